"""Debts: what a bypass left out is owed until a full rollout of the same change makes it good.

One file for each run that owes, in a folder that all rollouts of a definition share::

    rollouts/<definition>/debts/<at>~<run>.json            what is owed
    rollouts/<definition>/debts/<at>~<run>.paid.json       by which run it was made good
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from phased_rollout.errors import GuardError, RecordExistsError
from phased_rollout.model.bypass import BypassTier
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Plan
from phased_rollout.record_names import safe_name, stamp
from phased_rollout.records import RolloutRecords

_PAID = ".paid.json"


@dataclass(frozen=True, slots=True)
class Debt:
    """What one run owes; times are ISO 8601 in UTC.

    :param left_out: what was bypassed, in words
    """

    run: str
    change: str
    change_name: str
    tier: str
    left_out: str
    reason: str
    requested_by: str | None
    authorized_by: str | None
    at: str
    due: str

    def __str__(self) -> str:
        """Say who owes what, and until when."""
        who = self.requested_by or "the schedule"
        return (
            f"{self.run} of {self.change_name} ({self.change[:12]}): {self.left_out}, asked for by "
            f"{who}: {self.reason}; due {self.due[:16]} UTC"
        )


def owe(records: RolloutRecords, plan: Plan, *, at: datetime) -> None:
    """Record what this run has left out, once; nothing for a run without a bypass."""
    bypass, folder = plan.bypass, records.shared / "debts"
    if bypass.tier is BypassTier.NONE:
        return
    authorized = records.details(Kind.AUTHORIZED)
    debt = Debt(
        run=plan.run_id,
        change=plan.change,
        change_name=plan.change_name,
        tier=bypass.tier,
        left_out=str(bypass),
        reason=bypass.reason,
        requested_by=bypass.requested_by,
        authorized_by=authorized[-1]["user"] if authorized else None,
        at=at.isoformat(),
        due=(at + plan.definition.emergency.owed_within).isoformat(),
    )
    name = f"{stamp(plan.made_at)}~{safe_name(plan.run_id)}.json"
    with contextlib.suppress(RecordExistsError):
        records.store.create(folder / name, asdict(debt))


def owed(records: RolloutRecords) -> list[Debt]:
    """Give what is owed for a definition, by the time of the runs, the oldest first."""
    folder = records.shared / "debts"
    names = records.store.names(folder)
    paid = {name.removesuffix(_PAID) for name in names if name.endswith(_PAID)}
    unpaid = [n for n in names if not n.endswith(_PAID) and n.removesuffix(".json") not in paid]
    return [_debt(records.store.read(folder / name)) for name in unpaid]


def made_good_by(debts: Sequence[Debt], *, change: str, tier: BypassTier) -> tuple[str, ...]:
    """Name the runs whose debts a rollout of this change makes good; a run with a bypass none.

    A full rollout of what was bypassed last pays for all: nothing else runs any more. Raises
    GuardError for a full rollout of another change.
    """
    if not debts or tier is not BypassTier.NONE:
        return ()
    if debts[-1].change != change:
        raise GuardError(
            "a bypass is owed: " + "; ".join(map(str, debts)) + ". Roll that change out in full "
            "first: it is soaked and judged, targets that run it are left as they are. What "
            "cannot wait needs a bypass of its own"
        )
    return tuple(debt.run for debt in debts)


def pay(records: RolloutRecords, runs: Iterable[str], *, at: datetime) -> None:
    """Record that this run has made good what those runs owe."""
    folder, wanted = records.shared / "debts", set(runs)
    for name in records.store.names(folder):
        if name.endswith(_PAID) or records.store.read(folder / name)["run"] not in wanted:
            continue
        with contextlib.suppress(RecordExistsError):
            records.store.create(
                folder / f"{name.removesuffix('.json')}{_PAID}",
                {"by": records.run_id, "at": at.isoformat()},
            )


def _debt(value: dict[str, Any]) -> Debt:
    return Debt(**{name: value[name] for name in Debt.__dataclass_fields__})
