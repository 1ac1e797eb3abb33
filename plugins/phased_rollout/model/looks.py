"""When the metrics of a soak are judged: at looks on the way, and at its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from phased_rollout.judge.rules import LOOKS
from phased_rollout.model.ledger import Kind, Ledger

SHORTEST = timedelta(seconds=10)
"""A soak whose parts are shorter is judged once, at its end: there is nothing to see sooner."""
LATEST = timedelta(minutes=3)
"""How long a look waits for the last points at most; one on the way may do without them."""


@dataclass(frozen=True, slots=True)
class Soak:
    """The soak of a channel as it was lived through.

    :param entered: when the first of its targets may have been changed
    :param start: when the last one was verified
    :param end: when the soak is over
    """

    entered: datetime
    start: datetime
    end: datetime

    @classmethod
    def of(cls, ledger: Ledger, targets: Ledger, *, channel: str, soak: timedelta) -> Soak:
        """Read it from the records.

        :param targets: what has happened to the targets of the channel
        """
        applied = ledger.last(Kind.APPLIED, channel=channel)
        start = max(applied, targets.last_of_any(Kind.VERIFIED))
        return cls(ledger.last(Kind.ENTERED, channel=channel), start, start + soak)

    @property
    def part(self) -> timedelta:
        """The time between two looks."""
        return (self.end - self.start) / LOOKS

    @property
    def has_looks(self) -> bool:
        """Whether it is looked at on the way."""
        return self.part >= SHORTEST

    def seen_at(self, look: int) -> datetime:
        """Say up to when a look sees."""
        return self.start + self.part * look

    def look_at(self, look: int) -> datetime:
        """Say when a look on the way is taken: a little later than what it sees."""
        return self.seen_at(look) + min(self.part / 2, LATEST)

    def next_look(self, now: datetime) -> int | None:
        """Give the first look on the way that is still to come; None when none is."""
        ahead = (look for look in range(1, LOOKS) if self.look_at(look) > now)
        return next(ahead, None) if self.has_looks else None

    def due_look(self, now: datetime) -> int | None:
        """Give the last look on the way whose time has come; None when none has."""
        due = [look for look in range(1, LOOKS) if self.look_at(look) <= now]
        return due[-1] if due and self.has_looks else None

    @property
    def last_look(self) -> int | None:
        """Give the number of the judgement at the end; None when it is the only one."""
        return LOOKS if self.has_looks else None
