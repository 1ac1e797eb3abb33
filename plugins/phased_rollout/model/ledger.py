"""What has happened in one rollout so far, as far as its rules need to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

NEVER = datetime.min.replace(tzinfo=UTC)


class Kind(StrEnum):
    """Kinds of entries in a rollout's append-only record."""

    # of the run
    PREVIEWED = "previewed"
    NOTHING_TO_CHANGE = "nothing_to_change"
    AUTHORIZED = "authorized"
    ARMED = "armed"
    KEPT = "kept"
    OPERATOR_HOLD = "operator_hold"
    OPERATOR_RESUME = "operator_resume"
    STUCK = "stuck"
    ABORTED = "aborted"
    ABANDONED = "abandoned"
    FINISHED = "finished"
    CONCLUDED = "concluded"
    SUPERSEDES = "supersedes"
    # of a question (in place of a channel: the task that asks)
    ASKED = "asked"
    CLOSED = "closed"
    # of a channel
    DOUBTED = "doubted"
    CONFIRMED = "confirmed"
    ENTERED = "entered"
    BYPASSED = "bypassed"
    UNCHANGED = "unchanged"
    APPLIED = "applied"
    HELD = "held"
    OBSERVED = "observed"
    FAILED = "failed"
    JUDGED = "judged"
    HEALTHY = "healthy"
    INCONCLUSIVE = "inconclusive"
    APPROVED = "approved"
    REJECTED = "rejected"
    GRADUATED = "graduated"
    WITHDRAWN = "withdrawn"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    # of a target
    VERIFIED = "verified"
    REFUSED = "refused"
    EXCEPTING = "excepting"
    EXCEPTED = "excepted"
    RESTORED = "restored"
    RESTORE_FAILED = "restore_failed"
    LEFT_ALONE = "left_alone"
    # of a rollback that paused
    RESUMED = "resumed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened: when, what, and to which channel or target (empty: the run)."""

    at: datetime
    kind: Kind
    channel: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The entries of the run and of its channels. Compared by time, never by mere presence."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Ledger:
        """Sort the entries by time."""
        return cls(tuple(sorted(entries, key=lambda e: e.at)))

    def last(self, *kinds: Kind, channel: str = "", target: str = "") -> datetime:
        """Say when this last happened; NEVER if it did not. A target is enough without channel."""
        times = (
            e.at
            for e in self.entries
            if e.kind in kinds
            and e.target == target
            and (e.channel == channel or (target and not channel))
        )
        return max(times, default=NEVER)

    def of_target(self, target: str, *kinds: Kind) -> list[Entry]:
        """Give what happened to a target, oldest first."""
        return [e for e in self.entries if e.target == target and e.kind in kinds]

    def happened(self, *kinds: Kind, channel: str = "") -> bool:
        """Whether it happened at all."""
        return self.last(*kinds, channel=channel) > NEVER

    def entered_since_rollback(self, channel: str) -> bool:
        """Whether the channel's last entry is newer than any rollback of it."""
        undone = self.last(Kind.ROLLING_BACK, Kind.ROLLED_BACK, channel=channel)
        return self.last(Kind.ENTERED, channel=channel) > undone

    def is_unchanged(self, channel: str) -> bool:
        """Whether the channel was passed because there was nothing to change, and not since."""
        since = (Kind.ENTERED, Kind.ROLLING_BACK, Kind.ROLLED_BACK)
        return self.last(Kind.UNCHANGED, channel=channel) > self.last(*since, channel=channel)

    def judged(self, channel: str) -> datetime:
        """Say when the channel was last judged: healthy, or inconclusive and left to a person."""
        return self.last(Kind.HEALTHY, Kind.INCONCLUSIVE, channel=channel)

    def is_left_to_a_person(self, channel: str) -> bool:
        """Whether the last judgement of the channel could not know, so that a person decides."""
        known, unknown = (self.last(k, channel=channel) for k in (Kind.HEALTHY, Kind.INCONCLUSIVE))
        return unknown > known

    def is_withdrawn(self, channel: str) -> bool:
        """Whether the channel's graduation was withdrawn, and it was not entered again since."""
        since = self.last(Kind.ENTERED, Kind.GRADUATED, channel=channel)
        return self.last(Kind.WITHDRAWN, channel=channel) > since

    @property
    def is_held(self) -> bool:
        """Whether an operator holds the rollout."""
        return self.last(Kind.OPERATOR_HOLD) > self.last(Kind.OPERATOR_RESUME)

    @property
    def is_given_up(self) -> bool:
        """Whether an operator has ended the rollout, for good."""
        return self.happened(Kind.ABORTED, Kind.ABANDONED)

    @property
    def is_left_as_it_is(self) -> bool:
        """Whether an operator has ended the rollout and wants nothing restored."""
        return self.last(Kind.ABANDONED) > self.last(Kind.ABORTED)

    def last_entered(self) -> str | None:
        """Name the channel that was entered last."""
        entered = [e for e in self.entries if e.kind is Kind.ENTERED]
        return entered[-1].channel if entered else None

    def last_of_any(self, *kinds: Kind) -> datetime:
        """Say when this last happened anywhere, to the run or any channel; NEVER if it did not."""
        return max((e.at for e in self.entries if e.kind in kinds), default=NEVER)

    def failed_targets(self, *, since: datetime) -> set[str]:
        """Name the targets that were refused since a moment and were not verified after that."""
        return self._unmended(Kind.REFUSED, Kind.VERIFIED, since=since)

    def unrestored_targets(self, *, since: datetime) -> set[str]:
        """Name the targets that could not be restored since a moment, nor later."""
        return self._unmended(Kind.RESTORE_FAILED, Kind.RESTORED, Kind.LEFT_ALONE, since=since)

    def _unmended(self, failed: Kind, *mended: Kind, since: datetime) -> set[str]:
        names = {e.target for e in self.entries if e.kind is failed and e.at > since}
        return {n for n in names if self.last(failed, target=n) > self.last(*mended, target=n)}
