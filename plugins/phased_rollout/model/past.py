"""What became of rollouts, and how well they go: figures from the records, as the docs define."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median

from phased_rollout.model.bypass import BypassTier
from phased_rollout.model.ledger import NEVER, Kind, Ledger
from phased_rollout.model.plan import Plan

_HARM = (Kind.FAILED, Kind.ARMED, Kind.ROLLING_BACK)


class Result(StrEnum):
    """How a rollout has ended, so far."""

    UNDER_WAY = "under way"
    FINISHED = "finished"
    NOTHING_TO_CHANGE = "nothing to change"
    FAILED = "failed"
    ROLLED_BACK = "rolled back"


@dataclass(frozen=True, slots=True)
class PastRun:
    """One rollout, looked back at.

    :param ended: None while it is under way
    :param touched: a channel was entered
    :param harmed: it failed after that, whatever came of it
    :param restored_after: from each first failure to the end of its complete rollback
    """

    plan: Plan
    result: Result
    ended: datetime | None
    touched: bool
    harmed: bool
    restored_after: tuple[timedelta, ...] = ()

    @property
    def took(self) -> timedelta | None:
        """How long it took, from plan to end."""
        return self.ended - self.plan.made_at if self.ended else None


def looked_back(plan: Plan, ledger: Ledger) -> PastRun:
    """Tell from its records what became of a rollout."""
    first = min((e.at for e in ledger.entries if e.kind is Kind.ENTERED), default=None)
    harmed = any(
        first and e.at > first and e.kind in (*_HARM, Kind.CONCLUDED) for e in ledger.entries
    )
    result, ended = _result(ledger)
    return PastRun(plan, result, ended, first is not None, harmed, tuple(_restorations(ledger)))


def _result(ledger: Ledger) -> tuple[Result, datetime | None]:
    begun = ledger.last_of_any(Kind.ENTERED, Kind.PREVIEWED)
    finished, concluded = ledger.last(Kind.FINISHED), ledger.last(Kind.CONCLUDED)
    if finished > max(begun, concluded):
        nothing = ledger.happened(Kind.NOTHING_TO_CHANGE) and not ledger.last_entered()
        return (Result.NOTHING_TO_CHANGE if nothing else Result.FINISHED), finished
    if concluded > begun:
        rolled_back = ledger.last_of_any(Kind.ROLLED_BACK) > ledger.last_of_any(Kind.ENTERED)
        return (Result.ROLLED_BACK if rolled_back else Result.FAILED), concluded
    return Result.UNDER_WAY, None


def _restorations(ledger: Ledger) -> list[timedelta]:
    """Measure each rollback that restored every channel that it began with."""
    found: list[timedelta] = []
    entered, failed, restored, open_channels = False, NEVER, NEVER, set[str]()

    def close() -> None:
        if failed > NEVER and restored > NEVER and not open_channels:
            found.append(restored - failed)

    for entry in ledger.entries:
        if entry.kind is Kind.ENTERED:
            close()
            entered, failed, restored, open_channels = True, NEVER, NEVER, set()
        elif entry.kind in _HARM and failed == NEVER and entered:
            failed = entry.at
        if entry.kind is Kind.ROLLING_BACK:
            open_channels.add(entry.channel)
        elif entry.kind is Kind.ROLLED_BACK:
            open_channels.discard(entry.channel)
            restored = entry.at
    close()
    return found


@dataclass(frozen=True, slots=True)
class Typical:
    """A median, and of how many; None when there is none."""

    median: timedelta | None
    count: int

    @classmethod
    def of(cls, values: Sequence[timedelta]) -> Typical:
        """Give the median."""
        seconds = [value.total_seconds() for value in values]
        return cls(timedelta(seconds=median(seconds)) if seconds else None, len(seconds))


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    count: int
    of: int

    @property
    def rate(self) -> float | None:
        """Give the share, None of nothing."""
        return self.count / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class Figures:
    """How well rollouts go.

    :param lead_time: from plan to finished, of those that finished with something to change
    :param change_failure_rate: those that failed after a channel was entered, of those that
        entered one and have ended
    :param time_to_restore: from the first failure to the end of a complete rollback
    :param bypass_rate: those with a bypass, of all
    """

    began: int
    under_way: int
    lead_time: Typical
    change_failure_rate: Share
    time_to_restore: Typical
    bypass_rate: Share


def figures_of(runs: Sequence[PastRun]) -> Figures:
    """Give the figures of some rollouts."""
    finished = [run.took for run in runs if run.result is Result.FINISHED and run.took]
    ended = [run for run in runs if run.touched and run.ended]
    bypasses = [run for run in runs if run.plan.bypass.tier is not BypassTier.NONE]
    return Figures(
        began=len(runs),
        under_way=sum(run.result is Result.UNDER_WAY for run in runs),
        lead_time=Typical.of(finished),
        change_failure_rate=Share(sum(run.harmed for run in ended), len(ended)),
        time_to_restore=Typical.of([t for run in runs for t in run.restored_after]),
        bypass_rate=Share(len(bypasses), len(runs)),
    )
