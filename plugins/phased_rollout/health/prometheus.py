"""PromQL queries about the targets: hard ones against a limit, judged ones as series."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import requests

from phased_rollout.errors import ConfigError, RolloutError, UnreachableError
from phased_rollout.health.measured import Answer, Measured
from phased_rollout.http_access import join, session_of, shown, without_secrets
from phased_rollout.model.definition import Target
from phased_rollout.model.placeholders import TARGETS, filled, known_of, promql

MAX_BYTES = 64_000_000
_REQUESTS_AT_ONCE = 8
_TARGETS_A_QUERY = 100
_POINTS_OF_A_SERIES = 10_000  # Prometheus refuses more than 11,000
_POINTS_OF_AN_ANSWER = 500_000
_TIMEOUT = (5, 60)
_SHOWN = 300

Json = Any
Group = Sequence[Target]
Points = list[tuple[float, float]]


class Prometheus(Measured):
    """One query about many targets where a label names them, else one for each.

    :param options: ``connection`` (of type ``http``), ``metrics``
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        if not options.get("connection"):
            raise ConfigError(["prometheus: options.connection is missing"])

    def ask(
        self, targets: Sequence[Target], name: str, *, start: datetime, end: datetime
    ) -> Mapping[str, Answer]:
        """Ask for the value at each whole period, with some requests at a time."""
        entry, (session, base) = self.entries[name], session_of(self.options["connection"])
        size = _TARGETS_A_QUERY if entry.get("label") else 1
        groups = [targets[first : first + size] for first in range(0, len(targets), size)]

        def answers_of(group: Group) -> Mapping[str, Answer]:
            try:
                return _points(session, base, entry, group, (start.timestamp(), end.timestamp()))
            except RolloutError as error:
                return {target.name: error for target in group}
            except (KeyError, TypeError, ValueError) as error:
                strange = UnreachableError(f"{shown(base)}: answers something else than a result")
                strange.__cause__ = error
                return {target.name: strange for target in group}

        with session, ThreadPoolExecutor(max_workers=_REQUESTS_AT_ONCE) as pool:
            return dict(pair for each in pool.map(answers_of, groups) for pair in each.items())


def _points(
    session: requests.Session,
    base: str,
    entry: Mapping[str, Any],
    group: Group,
    window: tuple[float, float],
) -> dict[str, Answer]:
    """Ask about a group page by page; whose each series is, is what its label says."""
    label, step = entry.get("label"), float(entry.get("period", 60))
    value_of = {t.name: filled(entry.get("value") or "{name}", t) for t in group}
    values: dict[str, str | list[str]] = {**known_of(group[0]), TARGETS: [*value_of.values()]}
    query = promql(entry["query"], values)
    found: dict[str, Points] = {name: [] for name in value_of}
    for first, last in _pages(window, step, series=len(group)):
        form = {"query": query, "start": first, "end": last, "step": step}
        seen: dict[str, Points] = {}
        for series in _answer(session, join(base, "api/v1/query_range"), form):
            whose = str(series["metric"].get(label, "")) if label else ""
            if whose in seen:
                which = f"{label}={whose!r}" if label else "a target"
                raise UnreachableError(
                    f"{shown(base)}: {entry['name']}: gives several series for {which}: aggregate "
                    "them, such as by sum(…)" + (f" by ({label})" if label else "")
                )
            seen[whose] = _finite(series, f"{shown(base)}: {entry['name']}")
        for name, value in value_of.items():
            found[name] += seen.get(value if label else "", [])
    return dict(found)


def _pages(
    window: tuple[float, float], step: float, *, series: int
) -> Iterator[tuple[float, float]]:
    """Cut a window into the first and last whole period of each page."""
    most = min(_POINTS_OF_A_SERIES, _POINTS_OF_AN_ANSWER // series)
    first, stop = math.ceil(window[0] / step), math.ceil(window[1] / step)
    for number in range(first, stop, most):
        yield number * step, (min(number + most, stop) - 1) * step


def _finite(series: Json, where: str) -> Points:
    """Give the points of a series; one that is no number is a gap."""
    if "histograms" in series:
        raise UnreachableError(f"{where}: gives histograms: use histogram_quantile or the like")
    points = ((float(at), float(value)) for at, value in series["values"])
    return [(at, value) for at, value in points if math.isfinite(value)]


def _answer(session: requests.Session, url: str, form: Mapping[str, Any]) -> list[Json]:
    """Ask once; whatever is not a whole and clean answer says nothing about any target."""
    try:
        with session.post(
            url, data=form, timeout=_TIMEOUT, stream=True, allow_redirects=False
        ) as response:
            status, body = response.status_code, b""
            for chunk in response.iter_content(65_536):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise UnreachableError(f"{shown(url)}: answers more than {MAX_BYTES:,} bytes")
    except requests.RequestException as error:
        # Its text may hold the address of a proxy, with a password in it.
        raise UnreachableError(
            f"{shown(url)}: could not be asked: {type(error).__name__}"
        ) from error
    answer = _parsed(body)
    if answer.get("status") != "success":
        said = f": {answer.get('errorType')}: {answer.get('error')}" if "error" in answer else ""
        text = f"{shown(url)}: status {status}{said}"
        raise UnreachableError(without_secrets(text[:_SHOWN], session))
    if warnings := answer.get("warnings"):
        text = f"{shown(url)}: the answer is not whole: {'; '.join(map(str, warnings))}"
        raise UnreachableError(without_secrets(text[:_SHOWN], session))
    return list(answer["data"]["result"])


def _parsed(body: bytes) -> dict[str, Json]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
