"""Turns what was measured of a metric into its verdict, and both into words."""

from __future__ import annotations

import math

import numpy as np

from phased_rollout.judge.judgement import MetricJudgement, TargetEffect, Verdict
from phased_rollout.judge.measuring import Measured
from phased_rollout.judge.rules import Rule

WILD = 8.0
"""MADs beyond which one target holds the channel for a person."""
_WEAK = 2.0
"""Standard deviations; a pass that could not have seen less is weak evidence."""
_DRIVERS = 5
NULLS = {
    Rule.BOTH: "the same time on other days and, second, other choices of targets",
    Rule.DAYS: "the same time on other days, with controls",
    Rule.ALONE: "the same time on other days, without controls",
    Rule.TARGETS: "other choices of targets and, second, earlier windows",
    Rule.WINDOWS: "earlier windows",
}


def metric_judgement(
    found: Measured, *, level: float | None, holm: float, final: bool
) -> MetricJudgement:
    """Give one metric's verdict.

    :param level: what the p after Holm has to be at most; None where nothing is spent at this look
    :param holm: the first test's p after Holm
    """
    verdict, reason, needs = _verdict(found, level=level, holm=holm, final=final)
    rule, tests = found.choice.rule, (found.first, found.second)
    names = ("targets", "windows") if rule is Rule.TARGETS else ("days", "targets")
    names = ("windows", "") if rule is Rule.WINDOWS else names
    by_name = {name: test for name, test in zip(names, tests, strict=True) if test}
    return MetricJudgement(
        name=found.metric.name,
        verdict=verdict,
        reason=reason,
        worse=found.metric.worse,
        rule=rule or "",
        null=NULLS[rule] if rule else "",
        statistic={name: test.statistic for name, test in by_name.items()},
        p={name: test.p for name, test in by_name.items()},
        adjusted_p=holm if found.first and not found.blocked else None,
        threshold=level,
        second_threshold=found.choice.cap if found.second else None,
        smallest_p=found.choice.floor if rule else None,
        effect_sd=_finite(found.effect),
        min_effect_sd=found.metric.min_effect_sd,
        visible_effect_sd=_finite(found.visible),
        targets=_targets(found),
        drivers=_drivers(found),
        notes=_notes(found),
        needs=needs,
    )


def _verdict(
    found: Measured, *, level: float | None, holm: float, final: bool
) -> tuple[Verdict, str, str]:
    least = found.metric.min_effect_sd
    harm = level is not None and holm <= level and found.effect >= least and not found.blocked
    agreed = found.second is None or found.second.p <= found.choice.cap
    if harm and agreed:
        reason = f"worse by {found.effect:.2g} sd (p {holm:.2g}, of {level:.2g})"
        drivers = ", ".join(_drivers(found))
        return Verdict.FAIL, reason + (f", most of all {drivers}" if drivers else ""), ""
    if found.doubts:
        reasons = "; ".join(each.reason for each in found.doubts)
        return Verdict.INCONCLUSIVE, reasons, "; ".join(each.needs for each in found.doubts)
    if not final:
        return Verdict.INCONCLUSIVE, "no harm found so far", "the rest of the soak"
    if harm and found.second:
        reason = (
            f"worse by {found.effect:.2g} sd in the first test, but the second does not agree "
            f"(p {found.second.p:.2g}, of {found.choice.cap:.2g})"
        )
        return Verdict.INCONCLUSIVE, reason, "a longer soak, or a person who looks"
    if wild := _wild(found):
        return Verdict.INCONCLUSIVE, wild, "a person who looks at it"
    return Verdict.PASS, _passed(found), ""


def _passed(found: Measured) -> str:
    said = f"no harm found: {found.effect:+.2g} sd"
    if found.visible > _WEAK:
        said += f"; weak evidence, for less than {found.visible:.2g} sd would mostly not be seen"
    return said


def _wild(found: Measured) -> str:
    """Say how many changed targets moved by far, and which one most; empty when none did."""
    at = np.where(found.moves.changed, np.nan_to_num(found.deviations), -math.inf)
    at = np.where(found.effects >= found.metric.min_effect_sd, at, -math.inf)
    worst, count = int(at.argmax()), int((at > WILD).sum())
    which = f"{found.moves.names[worst]} by {at[worst]:.3g}"
    changed = int(found.moves.changed.sum())
    return (
        f"{count} of {changed} changed targets moved beyond {WILD:g} MAD: {which}" if count else ""
    )


def _targets(found: Measured) -> tuple[TargetEffect, ...]:
    moves = found.moves
    if not len(found.effects):
        return ()
    return tuple(
        TargetEffect(
            target=name,
            group="changed" if moves.changed[at] else "control",
            points=int(moves.points[at]),
            effect_sd=_finite(float(found.effects[at])),
            deviation=_finite(float(found.deviations[at])),
        )
        for at, name in enumerate(moves.names)
    )


def _drivers(found: Measured) -> tuple[str, ...]:
    """Name the changed targets that moved at least as far as counts, the farthest first."""
    if not len(found.effects):
        return ()
    far = [
        (-found.deviations[at], name)
        for at, name in enumerate(found.moves.names)
        if found.moves.changed[at] and found.effects[at] >= found.metric.min_effect_sd
    ]
    return tuple(name for _, name in sorted(far)[:_DRIVERS])


def _notes(found: Measured) -> tuple[str, ...]:
    one = "one changed target: small effects are mostly not seen"
    return (*found.notes, *([one] if int(found.moves.changed.sum()) == 1 else []))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
