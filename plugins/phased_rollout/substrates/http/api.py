"""The calls to one API, and what its answers mean."""

from __future__ import annotations

import email.utils
import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import requests

from phased_rollout.config.problems import shortened
from phased_rollout.errors import RefusedError, RolloutError, UnreachableError
from phased_rollout.http_access import TIMEOUT, join, session_of, shown, without_secrets

MAX_BYTES = 5_000_000
PATIENCE = 20.0
"""Seconds that one step waits at most for an API that asks to be left alone."""

_T = TypeVar("_T")
_TRUSTED = 60.0  # seconds until a connection is looked at again
_SAID = 400  # characters of what the system said
_PAUSE = 1.0  # unless the API says how long
_LONGEST = 3600.0  # that an API is believed
_UNAUTHORIZED, _NO_ENTRY = 401, (401, 403, 407)
_CHANGED, _LATER, _SERVER = 412, (408, 423, 425, 429), 500
_WORDS = ("message", "detail", "title", "description", "error", "errors", "reason")


class BusyError(UnreachableError):
    """The API asks to be left alone for some seconds."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class ChangedError(RolloutError):
    """Somebody else has changed what was read, so nothing was sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API answered.

    :param etag: empty without one
    """

    status: int
    body: bytes
    etag: str

    def document(self) -> Any:
        """Give the JSON; raises ValueError when it is none."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


class Api:
    """The API of one connection. May be used by many threads.

    :param connection: its id in Airflow
    """

    def __init__(self, connection: str) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._opened: tuple[float, requests.Session, str] | None = None
        self._closed_until = 0.0

    def ask(
        self,
        method: str,
        path: str,
        *,
        expect: Sequence[int],
        busy: Sequence[int] = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; gives an answer with an expected status.

        Raises BusyError when the API asks to be left alone, also before anything is sent,
        UnreachableError, RefusedError with the API's words, and ChangedError for a 412.
        """
        session, base = self._session()
        url = join(base, path)
        if (left := self._closed_until - time.monotonic()) > 0:
            raise BusyError(f"{shown(url)}: asked to be left alone", seconds=left)
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        given = {"Accept": "application/json", **({} if data is None else _JSON), **(headers or {})}
        try:
            with closing(
                session.request(
                    method, url, data=data, headers=given, timeout=TIMEOUT, stream=True,
                    allow_redirects=False,
                )
            ) as response:  # fmt: skip
                found = Answer(response.status_code, _body(response), _etag(response))
                after = _seconds(response.headers.get("Retry-After"))
        except requests.RequestException as error:
            # Its text may hold the address of a proxy, with a password in it.
            raise UnreachableError(
                f"{method} {shown(url)}: could not be asked: {type(error).__name__}"
            ) from error
        if found.status in expect:
            return found
        text = f"{method} {shown(url)}: {_said(found, session)}"
        raise self._meant(found.status, text, busy=busy, after=after)

    def _meant(
        self, status: int, text: str, *, busy: Sequence[int], after: float | None
    ) -> RolloutError:
        """Say what a status means: ask again later, hold, or a refusal."""
        if status in (*_LATER, *busy) or (status >= _SERVER and after is not None):
            seconds = _PAUSE if after is None else after
            if after is not None:
                self._closed_until = max(self._closed_until, time.monotonic() + seconds)
            return BusyError(f"{text}: asked to be left alone for {seconds:g} s", seconds=seconds)
        if status in _NO_ENTRY:
            if status == _UNAUTHORIZED:
                self.forget()
            return UnreachableError(f"{text}: mend the connection's secrets, or its rights there")
        if status >= _SERVER:
            return UnreachableError(text)
        if status == _CHANGED:
            return ChangedError(text)
        if 300 <= status < 400:  # noqa: PLR2004  # redirects
            where = "redirects, which is not followed: correct path or connection"
            return UnreachableError(f"{text}: {where}")
        return RefusedError(text)

    def _session(self) -> tuple[requests.Session, str]:
        with self._lock:
            now = time.monotonic()
            if self._opened is None or now > self._opened[0] + _TRUSTED:
                self._opened = (now, *session_of(self._connection))
            return self._opened[1:]

    def forget(self) -> None:
        """Look the connection up anew before the next request."""
        with self._lock:
            self._opened = None


_JSON = {"Content-Type": "application/json"}


@cache
def api(connection: str) -> Api:
    """Give this process's API of a connection."""
    return Api(connection)


def patiently(act: Callable[[], _T]) -> _T:
    """Act again when an API that asked to be left alone is to be asked again, if that is soon."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except BusyError as busy:
            # Not all at the same moment, or the next ones are too many again.
            seconds = busy.seconds * random.uniform(1, 1.3) + random.uniform(0, 0.05)  # noqa: S311
            if time.monotonic() + seconds > give_up:
                raise
            time.sleep(seconds)


def _body(response: requests.Response) -> bytes:
    body = b""
    for chunk in response.iter_content(65_536):
        body += chunk
        if len(body) > MAX_BYTES:
            raise RefusedError(f"{shown(response.url)}: answers more than {MAX_BYTES:,} bytes")
    return body


def _etag(response: requests.Response) -> str:
    return response.headers.get("ETag", "")


def _seconds(text: str | None) -> float | None:
    """Read a Retry-After: seconds, or a date (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        return min(float(text), _LONGEST)
    try:
        seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return _PAUSE
    return min(max(0.0, seconds), _LONGEST)


def _said(answer: Answer, session: requests.Session) -> str:
    """Give the API's own words; of anything but JSON just the status: it may be a whole page."""
    try:
        words = " ".join(dict.fromkeys(_words(answer.document())))
    except ValueError:
        words = ""
    words = without_secrets(words, session)
    clean = "".join(c if c.isprintable() else " " for c in words)[:_SAID]
    return f"status {answer.status}" + (f": {clean}" if clean else "")


def _words(value: Any, depth: int = 3) -> Iterator[str]:
    """Find what is said in the usual places (problem+json and its like)."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and depth:
        for each in value[:3]:
            yield from _words(each, depth - 1)
    elif isinstance(value, dict) and depth:
        for key in _WORDS:
            if key in value:
                yield from _words(value[key], depth - 1)
        if depth and "errors" not in value and isinstance(value.get("code"), str):
            yield f"({shortened(value['code'])})"
