"""A GET of an address of each target: its status, what it says and how long it takes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from phased_rollout.errors import ConfigError, RolloutError, UnreachableError
from phased_rollout.http_access import join, session_of, shown
from phased_rollout.model.definition import Target
from phased_rollout.model.placeholders import filled, keys_in
from phased_rollout.model.target_state import Health, Observation
from phased_rollout.pointers import at, parts_of

MAX_BYTES = 1_000_000
_NAME = "probe"
_SHOWN = 100
_BROKEN_OFF = ("RemoteDisconnected", "IncompleteRead", "ReadTimeoutError")
"""What libraries that we do not import raise for it."""


class _FailedError(RolloutError):
    """The target answered, and not as it should."""


class HttpProbe:
    """Asks several times in a row before it says harm; never follows a redirect.

    What the target says or does once a connection stands counts against it, and so does a refused
    connection, for then its machine said no. That no connection can be made at all (a name without
    an address, no route, no TLS) may be our own network: it is unknown unless told otherwise.

    :param options: ``url``, or ``connection`` and ``path``; and optionally ``status`` (200),
        ``contains``, ``json`` (JSON pointer to value), ``max_latency``, ``timeout`` (5), ``pause``
        (1, in seconds as the others), ``failures`` (3), ``unreachable`` (``unknown``, ``harm``)
    :param sleep: waits so many seconds between two tries
    """

    def __init__(
        self, options: Mapping[str, Any], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        if not options.get("url") and not (options.get("connection") and options.get("path")):
            raise ConfigError(["http_probe: options.url is missing, or connection and path"])
        self._options = options
        self._sleep = sleep

    def observe(self, target: Target) -> Sequence[Observation]:
        """Probe until it is well, or has failed so many times in a row."""
        session, url = self._session(target)
        failures = int(self._options.get("failures") or 3)
        worst, said = Health.HARM, ""
        silence = Health(self._options.get("unreachable") or "unknown")
        with session:
            for number in range(failures):
                if number:
                    self._sleep(float(self._options.get("pause") or 1))
                try:
                    return [self._observation(target, Health.OK, self._tried(session, url))]
                except _FailedError as error:
                    said = str(error)
                except UnreachableError as error:
                    worst = silence
                    said = str(error)
        many = f"{failures} times in a row, at last: " if failures > 1 else ""
        return [self._observation(target, worst, f"{shown(url)}: {many}{said}")]

    def _observation(self, target: Target, health: Health, detail: str) -> Observation:
        path = urlsplit(self._options.get("url") or self._options["path"]).path
        return Observation(target.name, f"{_NAME} {path or '/'}", health, detail)

    def _session(self, target: Target) -> tuple[requests.Session, str]:
        """Give a session, and the target's address in which its own values cannot become more."""
        if url := self._options.get("url"):
            session, url = requests.Session(), _address(url, target)
            session.auth = lambda request: request  # no credentials from a .netrc
        else:
            session, base = session_of(self._options["connection"])
            url = join(base, _filled(self._options["path"], target))
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError([f"http_probe: {shown(url)} is neither http nor https"])
        for scheme in ("http://", "https://"):  # each failure counts
            session.mount(scheme, HTTPAdapter(max_retries=0))
        return session, url

    def _tried(self, session: requests.Session, url: str) -> str:
        """Ask once; says what is well, or raises."""
        timeout = float(self._options.get("timeout") or 5)
        begun = time.monotonic()
        try:
            with session.get(url, timeout=timeout, stream=True, allow_redirects=False) as response:
                is_read = self._options.get("contains") or self._options.get("json")
                body = _body(response, deadline=begun + timeout) if is_read else b""
                took = time.monotonic() - begun
        except requests.exceptions.ReadTimeout as error:
            raise _FailedError(f"no answer within {timeout:g} s") from error
        except (requests.RequestException, HTTPError) as error:
            # Its text may hold the address of a proxy, with a password in it.
            if _answered(error):
                raise _FailedError(_cause(error)) from error
            raise UnreachableError(f"no connection: {_cause(error)}") from error
        self._check(response, body, took)
        return f"status {response.status_code} in {took:.2f} s"

    def _check(self, response: requests.Response, body: bytes, took: float) -> None:
        wanted = self._options.get("status") or [200]
        if response.status_code not in wanted:
            good = " or ".join(map(str, wanted))
            raise _FailedError(f"status {response.status_code}, not {good}")
        text = self._options.get("contains")
        if text and text.encode() not in body:
            raise _FailedError(f"the answer does not contain {text!r}")
        for pointer, value in (self._options.get("json") or {}).items():
            found = _at(body, pointer)
            if found != value or isinstance(found, bool) is not isinstance(value, bool):
                raise _FailedError(f"{pointer} is {_short(found)}, not {_short(value)}")
        limit = self._options.get("max_latency")
        if limit is not None and took > limit:
            raise _FailedError(f"took {took:.2f} s, longer than {limit:g} s")


def _address(template: str, target: Target) -> str:
    """Fill an address: what a target says of itself becomes no other host and no other path."""
    scheme, _, rest = template.partition("://")
    host, slash, path = rest.partition("/")
    for key in keys_in(host):
        value = filled(f"{{{key}}}", target)
        if not value.replace("-", "").replace(".", "").isalnum() or not value.isascii():
            raise ConfigError([f"http_probe: {target.name}: its {key} cannot be part of a host"])
    return f"{scheme}://{filled(host, target)}{slash}{_filled(path, target)}"


def _filled(text: str, target: Target) -> str:
    def quoted(value: str) -> str:
        if not value.strip("."):
            raise ConfigError([f"http_probe: {target.name}: {value!r} cannot be part of a path"])
        return quote(value, safe="")

    return filled(text, target, quote=quoted)


def _body(response: requests.Response, *, deadline: float) -> bytes:
    """Read the beginning of the answer, and not for ever, however slowly it comes."""
    body = b""
    # Not iter_content, which waits for a whole chunk, and with each byte that comes for longer.
    while len(body) < MAX_BYTES and (piece := response.raw.read1(65_536, decode_content=True)):
        body += piece
        if time.monotonic() > deadline:
            raise _FailedError("the answer did not end in time")
    return body


def _answered(error: BaseException) -> bool:
    """Say whether the target itself broke off or refused; everything else may be our network."""
    if isinstance(error, requests.exceptions.ProxyError):
        return False
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (ConnectionRefusedError, ConnectionResetError, BrokenPipeError)):
            return True
        if type(seen).__name__ in _BROKEN_OFF:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _cause(error: BaseException) -> str:
    """Name what lies at the bottom of an error, without its text."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return type(error).__name__


def _at(body: bytes, pointer: str) -> Any:
    try:
        return at(json.loads(body), parts_of(pointer))
    except (ValueError, RecursionError) as error:
        raise _FailedError("the answer is not JSON") from error


def _short(value: Any) -> str:
    try:
        text = json.dumps(value)
    except TypeError:
        return "absent"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
