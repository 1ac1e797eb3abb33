"""What becomes of a channel whose health cannot be known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Then(StrEnum):
    """What follows when nothing is known by the deadline.

    ASK: the gate becomes an approval, whatever its policy.
    FAIL: as after harm.
    HOLD: wait on, until it is known or a person ends the run.
    """

    ASK = "ask"
    FAIL = "fail"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class OnInconclusive:
    """How long a channel is judged again while its health is not known, and what follows then.

    :param settle: how long after the soak the last points of a series are waited for
    :param hold_for: counted from the end of the soak
    """

    settle: timedelta = timedelta(minutes=5)
    hold_for: timedelta = timedelta(hours=1)
    then: Then = Then.ASK
