"""The contract between the engine and the systems that tell how targets fare.

There are two sorts of signals. A *hard* one says of a target, now, that it is harmed: it is polled
during the soak and ends it. A *judged* one gives series, and whether they got worse is decided at
looks over the whole soak, against the past and against targets that were not reached yet. An
adapter may be either, or both.

In channels.yaml the built-in sources list ``metrics``: one with ``above`` or ``below`` is hard, one
with ``worse`` is judged, one with neither is the ``exposure`` of another. ``model.metric`` reads
that shape from the options; an adapter of another package is free to have another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from phased_rollout.adapters import SIGNALS, load
from phased_rollout.model.definition import AdapterSpec, Target
from phased_rollout.model.metric import Metric
from phased_rollout.model.target_state import Observation

Series = Sequence[tuple[float, float]]
"""Points in the order of time: seconds since the epoch, value. Gaps are left out."""


@runtime_checkable
class Signal(Protocol):
    """A source of health that is asked now and then. Reads only. Built as ``cls(options)``."""

    def observe(self, target: Target) -> Sequence[Observation]:
        """Say how the target fares now: at least one observation, unless nothing of it is hard.

        What cannot be known (no data, nothing matched) is an UNKNOWN observation, never OK. Raises
        UnreachableError when the system could not be asked. Called from many threads at once.
        """


@runtime_checkable
class BatchSignal(Protocol):
    """A signal that asks about many targets in few requests. Reads only, built alike."""

    def observe_all(
        self, targets: Sequence[Target], *, since: Mapping[str, datetime], now: datetime
    ) -> Mapping[str, Sequence[Observation]]:
        """Say of each target what ``Signal.observe`` would; none is left out.

        A target that could not be asked is UNKNOWN. Raises UnreachableError when none could be.

        :param since: target name to when its change was verified; what was before tells nothing
        """


@runtime_checkable
class MetricSource(Protocol):
    """A source of series to be judged. Reads only. Built as ``cls(options)``."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics to be judged; empty when all of its metrics are hard."""

    def series(
        self, targets: Sequence[Target], *, metric: Metric, start: datetime, end: datetime
    ) -> Mapping[str, Series]:
        """Give each target's points from ``start`` up to, not including, ``end``.

        A target without data has an empty series; none is left out. Raises UnreachableError when
        not all of them could be asked: an error is never a gap.

        :param metric: one of ``metrics``
        """

    def exposure(
        self, targets: Sequence[Target], *, metric: Metric, start: datetime, end: datetime
    ) -> Mapping[str, float]:
        """Give how much the counter ``metric.exposure`` has counted for each target; 0 for none.

        Not called for a metric without one. Raises UnreachableError as ``series`` does.
        """


Polled = Signal | BatchSignal


def build(specs: Sequence[AdapterSpec]) -> list[Polled]:
    """Build the signals of a channel that are polled."""
    return [adapter for adapter in _built(specs) if isinstance(adapter, Signal | BatchSignal)]


def sources(specs: Sequence[AdapterSpec]) -> list[MetricSource]:
    """Build the sources of a channel that have metrics to be judged."""
    found = [adapter for adapter in _built(specs) if isinstance(adapter, MetricSource)]
    return [source for source in found if source.metrics]


def _built(specs: Sequence[AdapterSpec]) -> list[Any]:
    return [load(spec, group=SIGNALS) for spec in specs]
