"""The judge's numbers, and which rule applies to which targets. Imports no numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

ALPHA = 0.01
MIN_EFFECT_SD = 0.5
MIN_POINTS = 50
MIN_EXPOSURE = 100.0
MAX_METRICS = 8
LOOKS = 6
LEVELS = (0.0046, 0.033, 0.0981, 0.2161, 0.4013, 0.6735)
"""Of alpha, at each look: what makes the chance to have crossed by look k the cube of k/6.

By numerical integration of Brownian motion (Lan and DeMets 1983), for alpha .00125, that of one of
eight metrics; for a greater alpha the chance is less. Separate tests would be left .42 at the end.
"""
POWER = 0.8
"""An effect is called visible when it is found in so many cases."""

STEP = 15 * 60.0
"""Seconds between the starts of two windows of the past; a day is a whole number of them."""
DAY = 24 * 3600.0
MIN_PRE = 3 * 3600.0
"""Least time before the soak that the soak is compared with."""
MIN_DAYS = 5
"""Fewer earlier days at the soak's time of day count as a short history."""
MIN_WINDOWS = 20
"""Fewer windows of the past tell neither how targets vary nor whether the groups move together."""
MIN_SEPARATE = 16
"""Windows of the past that do not overlap, where a short history is all there is."""
LOOSER = 5
"""How many times alpha the second test of a rule may reach where alpha cannot be."""
EXACT = 5_000
"""Up to so many ways of choosing the changed targets all are tried; above, a sample is."""
SAMPLED = 9_999


class Rule(StrEnum):
    """Which null a verdict rests on; docs/health.md says when."""

    BOTH = "days and targets"
    DAYS = "days"
    ALONE = "days, no controls"
    TARGETS = "targets"
    WINDOWS = "windows"


@dataclass(frozen=True, slots=True)
class Choice:
    """The rule for some targets, or why there is none.

    :param floor: the smallest p that the rule's first test can give
    :param cap: what the second test's p may be at most; 1 where there is none
    :param needs: what would make a rule apply; "" when one does
    """

    rule: Rule | None
    floor: float = 0.0
    cap: float = 1.0
    reason: str = ""
    needs: str = ""


def ways_of(changed: int, controls: int) -> int:
    """Count the ways to choose the changed targets among all."""
    return math.comb(changed + controls, changed)


def smallest_permutation_p(changed: int, controls: int) -> float:
    """Give the smallest p that choosing other targets as the changed ones can give."""
    ways = ways_of(changed, controls)
    return 1 / (ways if ways <= EXACT else SAMPLED + 1)


def choose(
    *,
    changed: int,
    controls: int,
    days: int,
    windows: int,
    separate: float,
    alpha: float,
    level: float,
) -> Choice:
    """Choose the rule, or say why no verdict is possible.

    :param level: what is left of alpha for one metric
    :param days: earlier days that have a window at the soak's time of day
    :param windows: windows of the past, one each quarter of an hour
    :param separate: how many of them fit into the past without overlapping
    """
    one = 1 / ways_of(changed, controls)
    rule = None
    if windows < MIN_WINDOWS or not changed:
        reason = f"the past holds {windows} windows as long as this one, of {MIN_WINDOWS} needed"
        return Choice(rule, reason=reason, needs="more history before the soak, or a shorter soak")
    floor, cap = 0.0, 1.0
    if days >= MIN_DAYS and controls and one <= LOOSER * alpha:
        rule, cap = Rule.BOTH, alpha if one <= alpha else LOOSER * alpha
    elif days >= MIN_DAYS:
        rule = Rule.DAYS if controls else Rule.ALONE
    elif controls and smallest_permutation_p(changed, controls) <= level:
        rule, cap = Rule.TARGETS, LOOSER * alpha
        floor = smallest_permutation_p(changed, controls)
    elif separate >= MIN_SEPARATE:
        rule = Rule.WINDOWS
    if rule:
        return Choice(rule, floor, cap)
    reason = (
        f"{days} earlier days, {separate:.0f} separate windows of the past and "
        f"{ways_of(changed, controls)} ways to choose the changed targets are too few"
    )
    return Choice(rule, reason=reason, needs=f"{MIN_DAYS + 1} days of history, or a shorter soak")


def spending(*, alpha: float, look: int, floor: float) -> float | None:
    """Give the p that a look of six may act on, or None when nothing is spent there.

    Up to look k the cube of k/6 is spent of alpha. What a look cannot use is carried to the next. A
    rule with a smallest p spends before the end only what leaves the last look able to fail a
    change.
    """
    if not floor:
        return alpha * LEVELS[look - 1]
    spent = 0.0
    for k in range(1, look + 1):
        at_hand = alpha * (k / LOOKS) ** 3 - spent
        usable = at_hand >= floor and (k == LOOKS or alpha - spent - at_hand >= floor)
        if k == look:
            return at_hand if usable else None
        spent += at_hand if usable else 0.0
    return None
