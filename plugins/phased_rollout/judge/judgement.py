"""What the judge says, with all that it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a judgement says; inconclusive holds, and never passes."""

    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class TargetEffect:
    """How far one target moved in the soak.

    :param effect_sd: against its own past, in standard deviations of its points; above 0 is worse
    :param deviation: against the controls, in MADs of its own past windows; above 0 is worse
    """

    target: str
    group: str
    points: int
    effect_sd: float | None
    deviation: float | None


@dataclass(frozen=True, slots=True)
class MetricJudgement:
    """One metric's verdict.

    :param rule: which rule of docs/health.md was used; "" when none can be
    :param null: in words, what the statistic was compared with
    :param statistic: what ``p`` belongs to, for each test that the rule asks for
    :param p: by the same names
    :param adjusted_p: after Holm, over all declared metrics; None when not judged
    :param threshold: what ``adjusted_p`` has to be at most; None where this look spends nothing
    :param second_threshold: what the p of the rule's second test has to be at most
    :param smallest_p: the smallest that this rule can give with these targets
    :param visible_effect_sd: the effect found in four of five cases with these series
    :param drivers: targets that the effect comes from, the strongest first
    :param needs: what would make a verdict possible; "" when there is one
    """

    name: str
    verdict: Verdict
    reason: str
    worse: str
    rule: str = ""
    null: str = ""
    statistic: dict[str, float] | None = None
    p: dict[str, float] | None = None
    adjusted_p: float | None = None
    threshold: float | None = None
    second_threshold: float | None = None
    smallest_p: float | None = None
    effect_sd: float | None = None
    min_effect_sd: float | None = None
    visible_effect_sd: float | None = None
    targets: tuple[TargetEffect, ...] = ()
    drivers: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict over a channel, with those of its metrics.

    :param final: whether the soak's last look, or the whole soak, was judged; only then is there a
        pass, and an inconclusive verdict before merely means that no harm was found so far
    :param window: what was judged: "soak", "pre" (the least time before it), each [start, end]
    """

    verdict: Verdict
    reason: str
    alpha: float
    look: int | None
    final: bool
    window: dict[str, tuple[float, float]]
    metrics: tuple[MetricJudgement, ...]

    def to_json(self) -> dict[str, Any]:
        """Give what ``phased-rollout judge`` prints and what is kept as evidence."""
        return asdict(self)
