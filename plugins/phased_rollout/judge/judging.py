"""Judges a case; see docs/health.md."""

from __future__ import annotations

from phased_rollout.judge.case import Case, Group, Series
from phased_rollout.judge.judgement import Judgement, MetricJudgement, Verdict
from phased_rollout.judge.measuring import Measured, measure
from phased_rollout.judge.rules import LOOKS, spending
from phased_rollout.judge.windows import Span
from phased_rollout.judge.wording import metric_judgement


def judge(case: Case, *, look: int | None = None) -> Judgement:
    """Say whether the changed targets got worse than the others, or why that cannot be known.

    :param look: k of six looks, instead of the case's own; None takes the case's
    """
    look = look if look is not None else case.look
    part = (look or LOOKS) / LOOKS
    span = Span(case.soak_start, case.soak_start + (case.soak_end - case.soak_start) * part)
    final = look in (None, LOOKS)
    changed = set().union(*(_names(each.series) for each in case.metrics))
    level = case.alpha / max(len(case.metrics), 1)
    measured = [
        measure(each, span, alpha=case.alpha, level=level, missing=changed - _names(each.series))
        for each in case.metrics
    ]
    metrics = tuple(
        metric_judgement(each, level=level, holm=holm, final=final)
        for each, level, holm in _weighed(measured, alpha=case.alpha, look=look)
    )
    verdict, reason = _overall(metrics, final=final, look=look)
    return Judgement(
        verdict=verdict,
        reason=reason,
        alpha=case.alpha,
        look=look,
        final=final,
        window={"soak": (span.start, span.end), "pre": (span.start - span.pre, span.start)},
        metrics=metrics,
    )


def _names(series: tuple[Series, ...]) -> set[str]:
    return {each.target for each in series if each.group is Group.CHANGED}


def _weighed(
    measured: list[Measured], *, alpha: float, look: int | None
) -> list[tuple[Measured, float | None, float]]:
    """Give each metric with what may be spent on all of them, and its p after Holm."""
    count = len(measured)
    floor = max((each.choice.floor * count for each in measured), default=0.0)
    level = alpha if look is None else spending(alpha=alpha, look=look, floor=floor)
    p = [1.0 if each.first is None or each.blocked else each.first.p for each in measured]
    adjusted, least = [1.0] * count, 0.0
    for rank, at in enumerate(sorted(range(count), key=p.__getitem__)):
        least = adjusted[at] = min(max(least, (count - rank) * p[at]), 1.0)
    return [(each, level, adjusted[at]) for at, each in enumerate(measured)]


def _overall(
    metrics: tuple[MetricJudgement, ...], *, final: bool, look: int | None
) -> tuple[Verdict, str]:
    for verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE):
        found = [each for each in metrics if each.verdict is verdict]
        if found and (final or verdict is Verdict.FAIL):
            return verdict, "; ".join(f"{each.name}: {each.reason}" for each in found)
    if not final:
        return Verdict.INCONCLUSIVE, f"no harm found at look {look} of {LOOKS}; the soak goes on"
    if not metrics:
        return Verdict.INCONCLUSIVE, "no metric is declared, so nothing was looked at"
    return Verdict.PASS, f"no harm found in {', '.join(each.name for each in metrics)}"
