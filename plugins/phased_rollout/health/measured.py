"""Metrics of any system: hard ones are held against a limit, judged ones are given as series."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from phased_rollout.errors import ConfigError, RolloutError, UnreachableError
from phased_rollout.health import Series
from phased_rollout.model.definition import Target
from phased_rollout.model.metric import Ceiling, Metric, hard, judged
from phased_rollout.model.target_state import Health, Observation

_LATE = timedelta(minutes=5)
"""How late the points of a system may come, at least, before it counts as silent."""

Answer = Series | RolloutError
"""What a system said of one metric of one target, or why that is not known."""


class Measured(ABC):
    """A source of metrics; those of another system differ only in how it is asked.

    :param options: ``metrics`` (``model.metric`` says what of them is hard and what judged), and
        what the system wants to be told
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        if not options.get("metrics"):
            raise ConfigError([f"{type(self).__name__}: options.metrics is missing"])
        self.options = options
        self.entries = {entry["name"]: entry for entry in options["metrics"]}
        self.metrics = judged(options)
        self._hard = hard(options)

    @abstractmethod
    def ask(
        self, targets: Sequence[Target], name: str, *, start: datetime, end: datetime
    ) -> Mapping[str, Answer]:
        """Ask for the points of a metric from ``start`` up to, not including, ``end``.

        An error that is about one target only is its answer; what concerns all is raised.
        """

    def observe_all(
        self, targets: Sequence[Target], *, since: Mapping[str, datetime], now: datetime
    ) -> Mapping[str, Sequence[Observation]]:
        """Judge the last points of each hard metric; those from before ``since`` do not count."""
        found: dict[str, list[Observation]] = {target.name: [] for target in targets}
        for ceiling in self._hard:
            answers = self.ask(targets, ceiling.name, start=now - _window(ceiling), end=now)
            for name, seen in found.items():
                begun = since[name].timestamp() if name in since else 0.0
                health, detail = _judged(ceiling, answers[name], since=begun)
                seen.append(Observation(name, f"metric {ceiling.name}", health, detail))
        return found

    def series(
        self, targets: Sequence[Target], *, metric: Metric, start: datetime, end: datetime
    ) -> Mapping[str, Series]:
        """Give each target's points."""
        return self._known(self.ask(targets, metric.name, start=start, end=end))

    def exposure(
        self, targets: Sequence[Target], *, metric: Metric, start: datetime, end: datetime
    ) -> Mapping[str, float]:
        """Sum up the points of the metric's counter."""
        counted = self._known(self.ask(targets, str(metric.exposure), start=start, end=end))
        return {name: sum(value for _, value in points) for name, points in counted.items()}

    def _known(self, answers: Mapping[str, Answer]) -> Mapping[str, Series]:
        found: dict[str, Series] = {}
        for target, answer in answers.items():
            if isinstance(answer, RolloutError):
                raise UnreachableError(f"{target}: {answer}") from answer
            found[target] = answer
        return found


def _window(ceiling: Ceiling) -> timedelta:
    """Say how far back the points may lie that tell how a target fares now."""
    period = timedelta(seconds=ceiling.period)
    return period * ceiling.points + max(_LATE, 2 * period)


def _judged(ceiling: Ceiling, answer: Answer, *, since: float) -> tuple[Health, str]:
    if isinstance(answer, RolloutError):
        return Health.UNKNOWN, str(answer)
    values = [value for at, value in answer if at >= since]
    last = values[-ceiling.points :]
    shown = ", ".join(f"{value:g}" for value in last)
    if len(last) < ceiling.points:
        few = f"{len(last)} of {ceiling.points} points in the last {_window(ceiling)}"
        return Health.UNKNOWN, f"{few} since the apply" + (f": {shown}" if shown else "")
    if all(ceiling.beyond(value) for value in last):
        return Health.HARM, f"{shown}: {ceiling}"
    return Health.OK, f"{shown}: not {ceiling}"
