"""What a judgement could find with these targets, before there are series. Needs no numpy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Attainable:
    """What the judge can do with these targets.

    :param possible: whether it could ever fail a change; a gate that never can is refused
    :param rule: the rule of docs/health.md that it would use; "" when none can be
    :param smallest_p: the smallest that the rule can give
    :param visible_effect_sd: the effect found in four of five cases, of series as those that the
        judge's benchmark is made of; None when impossible
    :param reason: in words, why not, or what weakens it; "" when nothing does
    """

    possible: bool
    rule: str
    smallest_p: float | None
    visible_effect_sd: float | None
    reason: str


def attainability(
    *,
    changed: int,
    controls: int,
    history: timedelta,
    soak: timedelta,
    alpha: float,
    metrics: int = 1,
    min_effect_sd: float,
    interval: timedelta = timedelta(minutes=1),
) -> Attainable:
    """Say which rule applies and what it could see.

    :param changed: targets of the channel
    :param controls: targets of channels not reached yet
    :param history: how far back the series go before the soak
    :param interval: time between two points of a series
    """
    raise NotImplementedError
