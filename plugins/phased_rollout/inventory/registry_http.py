"""A service that lists targets as JSON, page by page, reached by an HTTP connection of Airflow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from phased_rollout.errors import ConfigError, RefusedError, UnreachableError
from phased_rollout.http_access import TIMEOUT, join, session_of, shown
from phased_rollout.model.targets import ACTIVE, Found
from phased_rollout.pointers import ABSENT, at, parts_of

MAX_BYTES, MAX_PAGES = 10_000_000, 1_000
_OK, _REDIRECTS, _TOO_MANY, _SERVER_ERROR = 200, range(300, 400), 429, 500
_NO_ENTRY = (401, 403, 407)


class RegistryHttp:
    """Maps the items of an answer to targets; the host and the secrets are the connection's.

    :param options: ``connection``, ``path``, ``name``, ``address``, and optionally ``items``,
        ``labels``, ``state`` with ``active``, ``next``
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        needed = ("connection", "path", "name", "address")
        if missing := [key for key in needed if not options.get(key)]:
            raise ConfigError([f"inventory http: {key}: missing: set it" for key in missing])
        self._options = options

    def list(self) -> Sequence[Found]:
        """Give the targets of all pages."""
        return [
            self._found(item, f"{shown(url)}: item {number}")
            for url, items in self._pages()
            for number, item in enumerate(items, start=1)
        ]

    def _pages(self) -> Iterator[tuple[str, Sequence[Any]]]:
        session, base = session_of(self._options["connection"])
        url: str | None = join(base, self._options["path"])
        seen: set[str] = set()
        with session:
            while url:
                if url in seen or len(seen) == MAX_PAGES:
                    raise RefusedError(f"{shown(url)}: page {len(seen) + 1}: the pages have no end")
                seen.add(url)
                answer = _answer(session, url)
                items = _at(answer, self._options.get("items"))
                if not isinstance(items, list):
                    where = self._options.get("items") or "the answer"
                    raise RefusedError(f"{shown(url)}: {where} must be a list, not {_sort(items)}")
                yield url, items
                url = self._next(answer, url, base)

    def _next(self, answer: Any, url: str, base: str) -> str | None:
        """Give the next page, of the same host only: the session carries secrets."""
        link = _at(answer, self._options["next"]) if self._options.get("next") else None
        if link in (None, ABSENT, ""):
            return None
        if not isinstance(link, str):
            raise RefusedError(
                f"{shown(url)}: {self._options['next']} must be a link, not {_sort(link)}"
            )
        following = urljoin(url, link)
        if _origin(following) != _origin(base):
            raise RefusedError(
                f"{shown(url)}: the next page is on another host, which is not asked"
            )
        return following

    def _found(self, item: Any, where: str) -> Found:
        options = self._options
        address = {key: _text(item, at, where) for key, at in options["address"].items()}
        state = ACTIVE
        if options.get("state"):
            said = _text(item, options["state"], where)
            state = ACTIVE if said in options["active"] else f"in state {said}"
        return Found(
            _text(item, options["name"], where), address, state=state, labels=self._labels(item)
        )

    def _labels(self, item: Any) -> dict[str, str]:
        wanted = self._options.get("labels") or {}
        given = _at(item, wanted) if isinstance(wanted, str) else None
        if isinstance(wanted, str):
            return {k: str(v) for k, v in given.items()} if isinstance(given, dict) else {}
        found = {key: _at(item, at) for key, at in wanted.items()}
        return {key: value for key, value in found.items() if isinstance(value, str)}


def _answer(session: requests.Session, url: str) -> Any:
    try:
        with session.get(url, timeout=TIMEOUT, stream=True, allow_redirects=False) as response:
            _check(response.status_code, url)
            body = b""
            for chunk in response.iter_content(65_536):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise RefusedError(
                        f"{shown(url)}: answers more than {MAX_BYTES:,} bytes: use pages"
                    )
    except requests.RequestException as error:
        # Its text may hold the address of a proxy, with a password in it.
        raise UnreachableError(
            f"{shown(url)}: could not be asked: {type(error).__name__}"
        ) from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            f"{shown(url)}: the answer is not JSON: correct path or connection"
        ) from error


def _check(status: int, url: str) -> None:
    if status in _NO_ENTRY:
        raise UnreachableError(
            f"{shown(url)}: status {status}: mend login, password or extra in Airflow"
        )
    if status == _TOO_MANY or status >= _SERVER_ERROR:
        raise UnreachableError(f"{shown(url)}: status {status}")
    if status in _REDIRECTS:
        raise RefusedError(
            f"{shown(url)}: redirects, which is not followed: correct the connection"
        )
    if status != _OK:
        raise RefusedError(f"{shown(url)}: status {status}: correct path or connection")


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _at(value: Any, pointer: str | None) -> Any:
    return at(value, parts_of(pointer))


def _text(item: Any, pointer: str, where: str) -> str:
    value = _at(item, pointer)
    if not isinstance(value, str) or not value:
        raise RefusedError(f"{where}: {pointer} must be text, not {_sort(value)}")
    return value


def _sort(value: Any) -> str:
    if value is ABSENT:
        return "absent"
    if value is None:
        return "null"
    kinds = {dict: "a mapping", list: "a list", str: "a text", bool: "a boolean"}
    return kinds.get(type(value), "a number")
