"""What is judged: the series of a channel's targets and of those not reached yet, and one soak."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phased_rollout.judge.rules import ALPHA, MIN_EFFECT_SD, MIN_EXPOSURE, MIN_POINTS

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Group(StrEnum):
    """Which side of the comparison a target is on."""

    CHANGED = "changed"
    CONTROL = "control"


class Worse(StrEnum):
    """The direction in which a metric gets worse."""

    HIGHER = "higher"
    LOWER = "lower"


def _none() -> Array:
    return np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One metric of one target; any order, gaps as absent points or NaN.

    :param times: seconds since the epoch, as long as ``values``
    :param exposure: what was asked of the target at ``exposure_times``: requests, jobs; empty where
        nothing counts them
    """

    target: str
    group: Group
    times: Array
    values: Array
    exposure_times: Array = field(default_factory=_none)
    exposure: Array = field(default_factory=_none)


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric of a channel, with the series of all targets that it is judged by.

    :param min_effect_sd: least harm that counts, in standard deviations of a target's own points
    :param min_points: points that each group has to have in the soak, over all its targets
    :param min_exposure: what the changed targets have to have been asked in the soak, where counted
    """

    name: str
    worse: Worse
    series: tuple[Series, ...]
    min_effect_sd: float = MIN_EFFECT_SD
    min_points: int = MIN_POINTS
    min_exposure: float = MIN_EXPOSURE


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """All that one verdict rests on.

    :param soak_start: seconds since the epoch: when the channel's last target was verified
    :param soak_end: when the whole soak ends, whatever the look
    :param alpha: greatest rate of false alarms for the channel, over all its metrics and looks
    :param look: k of six looks, at k/6 of the soak; None judges the whole soak once
    """

    soak_start: float
    soak_end: float
    metrics: tuple[Metric, ...]
    alpha: float = ALPHA
    look: int | None = None


def parse(value: Any) -> Case:
    """Build a case from what JSON says; the format is that of docs/health.md.

    :raises CaseError: with every problem found, each with its place
    """
    raise NotImplementedError


def to_json(case: Case) -> dict[str, Any]:
    """Give the document that ``parse`` builds this case from; NaN becomes null."""
    raise NotImplementedError
