"""How long a soak has to be, measured on the series of the targets themselves."""

from __future__ import annotations

from datetime import timedelta

from phased_rollout.judge.attainability import SOAKS, Attainable, SoakPlan, shortest
from phased_rollout.judge.case import Case
from phased_rollout.judge.measuring import measure
from phased_rollout.judge.windows import Span


def soak_of(case: Case, *, effect_sd: float) -> SoakPlan:
    """Give the shortest soak that shows an effect in every metric of a case.

    Judges what lies before the case's soak as if nothing had happened; the soak itself is not read.
    """
    return shortest(effect_sd, [(soak, _attainable(case, soak)) for soak in SOAKS])


def _attainable(case: Case, soak: timedelta) -> Attainable:
    span = Span(case.soak_start - soak.total_seconds(), case.soak_start)
    level = case.alpha / max(len(case.metrics), 1)
    found = [measure(each, span, alpha=case.alpha, level=level) for each in case.metrics]
    for each in found:
        if each.choice.rule is None or (each.blocked and each.doubts):
            reason = "; ".join(doubt.reason for doubt in each.doubts)
            return Attainable(f"{each.metric.name}: {reason}", "")
    worst = max(found, key=lambda each: each.visible)
    rule, floor = worst.choice.rule or "", worst.choice.floor
    return Attainable("; ".join(worst.notes), rule, floor, worst.visible)
