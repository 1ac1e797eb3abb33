"""Decisions carry their reason: it is logged, shown and recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from phased_rollout.model.target_state import Health, Observation

_SHOWN = 5


class Verdict(StrEnum):
    """Promote, hold, or roll back."""

    PROMOTE = "promote"
    HOLD = "hold"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and why."""

    verdict: Verdict
    reason: str


def judge(observations: Sequence[Observation]) -> Decision:
    """Decide on what was observed: harm beats everything, and no evidence never promotes."""
    harm = [o for o in observations if o.health is Health.HARM]
    if harm:
        return Decision(Verdict.ROLL_BACK, in_words(harm))
    unknown = [o for o in observations if o.health is Health.UNKNOWN]
    if unknown:
        return Decision(Verdict.HOLD, f"inconclusive: {in_words(unknown)}")
    if not observations:
        return Decision(Verdict.HOLD, "inconclusive: no health signal was observed")
    targets = {o.target for o in observations}
    return Decision(
        Verdict.PROMOTE, f"{len(observations)} observations of {len(targets)} targets are ok"
    )


def worst_of(*decisions: Decision) -> Decision:
    """Give the worst verdict, with the reasons of all that come to it."""
    order = (Verdict.ROLL_BACK, Verdict.HOLD, Verdict.PROMOTE)
    verdict = min((d.verdict for d in decisions), key=order.index)
    return Decision(verdict, "; ".join(d.reason for d in decisions if d.verdict is verdict))


def in_words(observations: Iterable[Observation]) -> str:
    """Name the first observations, and say how many more there are."""
    listed = list(observations)
    shown = "; ".join(f"{o.target}: {o.signal}: {o.detail}" for o in listed[:_SHOWN])
    more = len(listed) - _SHOWN
    return shown + (f"; and {more} more" if more > 0 else "")
