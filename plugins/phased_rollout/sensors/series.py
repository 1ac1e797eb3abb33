"""Gathers the series that a judgement rests on. Only ever imported on a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from phased_rollout.errors import RolloutError, UnreachableError
from phased_rollout.health import MetricSource, Series
from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.looks import Soak
from phased_rollout.model.metric import Metric
from phased_rollout.model.outlook import HISTORY
from phased_rollout.model.sides import Sides, sides_of
from phased_rollout.rollout import Rollout

if TYPE_CHECKING:
    from phased_rollout.judge import case

_TAIL = 5
"""Periods at the end of a soak that are read to see whether a series has come that far."""

_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Gatherer:
    """The metrics of a channel, and the targets on both sides."""

    sources: Sequence[MetricSource]
    sides: Sides
    soak: Soak

    @classmethod
    def of(cls, rollout: Rollout, channel: str, soak: Soak) -> Gatherer:
        """Prepare to read the series of a channel."""
        records = rollout.records
        sides = sides_of(
            rollout.plan,
            records.ledger(),
            records.of_targets(channel),
            channel=channel,
            had_it=_had_it(rollout, channel),
        )
        planned = rollout.plan.definition.channel(channel)
        return cls(rollout.sources(planned), sides, soak)

    @property
    def metrics(self) -> Iterator[tuple[MetricSource, Metric]]:
        """Give each metric with its source."""
        return ((source, metric) for source in self.sources for metric in source.metrics)

    @property
    def targets(self) -> list[Target]:
        """Give the targets on both sides."""
        return [*self.sides.changed, *self.sides.controls]

    def late(self) -> list[str]:
        """Name the series that have not come to the end of the soak; raises UnreachableError."""
        return [
            f"{metric.name} of {target}"
            for source, metric in self.metrics
            for target, points in self._tails(source, metric).items()
            if not points or points[-1][0] < self.soak.end.timestamp() - 2 * metric.period
        ]

    def _tails(self, source: MetricSource, metric: Metric) -> Mapping[str, Series]:
        start = self.soak.end - timedelta(seconds=_TAIL * metric.period)
        return _asked(
            lambda: source.series(self.targets, metric=metric, start=start, end=self.soak.end)
        )

    def gather(self, *, until: datetime, alpha: float, look: int | None) -> case.Case:
        """Read all series up to a moment; raises UnreachableError."""
        from phased_rollout.judge.case import Case  # noqa: PLC0415 - numpy, on a worker only

        return Case(
            soak_start=self.soak.start.timestamp(),
            soak_end=self.soak.end.timestamp(),
            metrics=tuple(self._metric(*each, until=until) for each in self.metrics),
            alpha=alpha,
            look=look,
        )

    def _metric(self, source: MetricSource, metric: Metric, *, until: datetime) -> case.Metric:
        from phased_rollout.judge import case, rules  # noqa: PLC0415 - see gather

        start = self.soak.start - HISTORY
        found = _asked(lambda: source.series(self.targets, metric=metric, start=start, end=until))
        counted: Mapping[str, float] = {}
        if metric.exposure:
            window = {"start": self.soak.start, "end": until}
            counted = _asked(lambda: source.exposure(self.sides.changed, metric=metric, **window))
        sides = {case.Group.CHANGED: self.sides.changed, case.Group.CONTROL: self.sides.controls}
        return case.Metric(
            name=metric.name,
            worse=case.Worse(metric.worse.value),
            series=tuple(
                self._series(target, group, found[target.name], metric, counted)
                for group, targets in sides.items()
                for target in targets
            ),
            min_effect_sd=_or(metric.min_effect_sd, rules.MIN_EFFECT_SD),
            min_points=int(_or(metric.min_points, rules.MIN_POINTS)),
            min_exposure=_or(metric.min_exposure, rules.MIN_EXPOSURE),
        )

    def _series(
        self,
        target: Target,
        group: case.Group,
        points: Series,
        metric: Metric,
        counted: Mapping[str, float],
    ) -> case.Series:
        """Give a target's series without the time in which the channel's targets were changed.

        Then some of them ran the change and some did not yet: that is neither before nor after.
        """
        import numpy as np  # noqa: PLC0415 - see gather

        from phased_rollout.judge.case import Series  # noqa: PLC0415

        given = np.array(points, dtype=float).reshape(-1, 2)
        first, last = self.soak.entered.timestamp() - metric.period, self.soak.start.timestamp()
        kept = given[(given[:, 0] <= first) | (given[:, 0] >= last)]
        exposed = [counted[target.name]] if target.name in counted else []
        return Series(
            target=target.name,
            group=group,
            times=kept[:, 0],
            values=kept[:, 1],
            exposure_times=np.array([last] * len(exposed)),
            exposure=np.array(exposed, dtype=float),
        )


def _had_it(rollout: Rollout, channel: str) -> set[str]:
    """Name the targets that ran the change before this rollout came to them."""
    records = rollout.records
    verified = records.details(Kind.VERIFIED, channel=channel, targets=True)
    digests = {record["target"]: record["digest"] for record in verified}
    previewed = (records.details(Kind.PREVIEWED) or [{}])[-1].get("targets") or {}
    here = {target.name for target in rollout.plan.definition.channel(channel).targets}
    had = {name for name, digest in previewed.items() if not digest and name not in here}
    for name, digest in digests.items():
        before = records.before(channel=channel, target=name)
        if before is not None and before.digest == digest:
            had.add(name)
    return had


def _asked(ask: Callable[[], Answer]) -> Answer:
    """Ask a source; a fault of it is no word about a target, and its text may hold secrets."""
    try:
        return ask()
    except RolloutError:
        raise
    except Exception as error:
        _log.warning("a source of metrics could not be asked", exc_info=error)
        what = f"a source of metrics has a fault ({type(error).__name__}): see the log"
        raise UnreachableError(what) from error


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
