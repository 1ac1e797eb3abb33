"""What a judgement could find with these targets, before there are series. Needs no numpy."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from phased_rollout.judge.rules import (
    ALPHA,
    DAY,
    MAX_METRICS,
    MIN_EFFECT_SD,
    MIN_POINTS,
    MIN_PRE,
    POWER,
    STEP,
    Choice,
    Rule,
    choose,
)
from phased_rollout.judge.tails import t_quantile

HISTORY = timedelta(days=13)
MINUTE = timedelta(minutes=1)
SOAKS = tuple(
    timedelta(minutes=minutes)
    for minutes in (10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1080, 1440)
) + tuple(timedelta(days=days) for days in (1.5, 2, 3, 4, 5, 6, 7))
"""The lengths that ``soak_for`` tries."""
_NOISE = ((0.6, 3 * 60.0), (0.4, 45 * 60.0))
"""Of the benchmark's series: shares of variance, and seconds in which their correlation fades."""
_UNSTEADY = 1.15
"""How much more real differences vary than that noise: rhythms that are not quite the same."""


@dataclass(frozen=True, slots=True)
class Attainable:
    """What the judge can do with these targets.

    :param reason: in words, why not, or what weakens it; "" when nothing does
    :param rule: the rule of docs/health.md that it would use; "" when none can be
    :param smallest_p: the smallest that the rule can give
    :param visible_effect_sd: the effect found in four of five cases, of series as those that the
        judge's benchmark is made of; None when impossible
    """

    reason: str
    rule: str
    smallest_p: float | None = None
    visible_effect_sd: float | None = None

    @property
    def possible(self) -> bool:
        """Whether the judge could ever fail a change; a gate that never can is refused."""
        return self.visible_effect_sd is not None


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """The shortest soak that an effect is found in, or why there is none.

    :param soak: None when no soak of up to a week is long enough
    :param visible_effect_sd: what that soak shows, or the least that any shows
    """

    effect_sd: float
    soak: timedelta | None
    rule: str
    visible_effect_sd: float | None
    reason: str

    def to_json(self) -> dict[str, Any]:
        """Give what ``phased-rollout soak-plan --json`` writes: the soak in seconds."""
        return asdict(self) | {"soak": self.soak and self.soak.total_seconds()}

    def __str__(self) -> str:
        """Say it to a person."""
        if self.soak is None:
            return f"impossible: {self.reason}"
        said = f"{self.soak}: an effect of {self.visible_effect_sd:.2g} sd is found in 4 of 5 cases"
        return "; ".join(filter(None, [f"{said} (rule: {self.rule})", self.reason]))


def attainability(
    *,
    changed: int,
    controls: int,
    history: timedelta = HISTORY,
    soak: timedelta,
    alpha: float = ALPHA,
    metrics: int = 1,
    min_effect_sd: float = MIN_EFFECT_SD,
    interval: timedelta = MINUTE,
    min_points: int = MIN_POINTS,
) -> Attainable:
    """Say which rule applies and what it could see.

    :param changed: targets of the channel
    :param controls: targets of channels not reached yet
    :param history: how far back the series go before the soak
    :param interval: time between two points of a series
    :param min_points: that the changed targets have to have in the soak, together
    """
    length, level = soak.total_seconds(), alpha / max(metrics, 1)
    past = history.total_seconds() - max(length, MIN_PRE)
    days = max(int(past // DAY), 0) if length <= DAY else max(int((past - length) // DAY), 0)
    choice = choose(
        changed=changed,
        controls=controls,
        days=days,
        windows=max(int((past - length) // STEP) + 1, 0),
        separate=max(past // length, 0),
        alpha=alpha,
        level=level,
    )
    points = (changed * (soak // interval), min_points)
    why_not = _impossible(choice, changed, metrics, soak=soak, points=points)
    if choice.rule is None or why_not:
        return Attainable(why_not, choice.rule or "")
    df = _degrees(choice.rule, changed + controls, days, past, length)
    visible = _spread(changed, controls, days, length, interval.total_seconds()) * (
        t_quantile(level, df) + t_quantile(1 - POWER, df)
    )
    weak = _weak(choice.rule, changed)
    return Attainable(weak, choice.rule, choice.floor, max(visible, min_effect_sd))


def soak_for(*, effect_sd: float, **given: Any) -> SoakPlan:
    """Give the shortest soak that shows an effect; takes what ``attainability`` does but a soak."""
    if "interval" in given and not isinstance(given["interval"], timedelta):
        given["interval"] = timedelta(seconds=given["interval"])
    return shortest(
        effect_sd, [(soak, attainability(soak=soak, min_effect_sd=0.0, **given)) for soak in SOAKS]
    )


def shortest(effect_sd: float, tried: list[tuple[timedelta, Attainable]]) -> SoakPlan:
    """Choose the shortest soak that shows an effect among those that were tried."""
    seen = [
        (each.visible_effect_sd, soak, each)
        for soak, each in tried
        if each.visible_effect_sd is not None
    ]
    for visible, soak, each in seen:
        if visible <= effect_sd:
            return SoakPlan(effect_sd, soak, each.rule, visible, each.reason)
    if not seen:
        return SoakPlan(effect_sd, None, "", None, tried[-1][1].reason if tried else "no series")
    visible, soak, each = min(seen, key=lambda found: found[:2])
    reason = (
        f"no soak shows {effect_sd:g} sd; one of {soak} shows {visible:.2g} sd, the least of all"
    )
    return SoakPlan(effect_sd, None, each.rule, visible, reason)


def _impossible(
    choice: Choice, changed: int, metrics: int, *, soak: timedelta, points: tuple[int, int]
) -> str:
    if metrics > MAX_METRICS:
        return f"{metrics} metrics are too many: declare at most {MAX_METRICS}"
    if not changed:
        return "no changed target"
    given, needed = points
    if given < needed:
        return f"a soak of {soak} gives {given} points, of {needed}: soak for longer"
    return f"{choice.reason}: it takes {choice.needs}" if choice.rule is None else ""


def _degrees(rule: Rule, targets: int, days: int, past: float, length: float) -> float:
    if rule is Rule.TARGETS:
        return targets - 2.0
    if rule is Rule.WINDOWS:
        return max(past // length - 1, 1.0)
    return max(min(days, days * DAY / length) - 1, 1.0)


def _spread(changed: int, controls: int, days: int, length: float, interval: float) -> float:
    """Give the standard deviation of the group's move when nothing happens, in sd of points."""
    move = _of_mean(length, interval) + _of_mean(max(length, MIN_PRE), interval)
    groups = 1 / changed + (1 / controls if controls else 0.0)
    return _UNSTEADY * math.sqrt(move * groups * (1 + 1 / max(days, 1)))


def _of_mean(length: float, interval: float) -> float:
    """Give the variance of a mean of autocorrelated points of variance 1."""
    parts = 0.0
    for share, fades in _NOISE:
        over = length / fades
        smooth = 2 / over * (1 - (1 - math.exp(-over)) / over)
        parts += share * max(smooth, interval / length)
    return parts


def _weak(rule: Rule, changed: int) -> str:
    said = []
    if rule is Rule.ALONE:
        said.append("without controls a shock to the whole fleet cannot be told from harm")
    if rule is Rule.DAYS:
        said.append("the controls are too few to judge by while the whole fleet moves")
    if changed == 1:
        said.append("one changed target: a pass is weak evidence")
    return "; ".join(said)
