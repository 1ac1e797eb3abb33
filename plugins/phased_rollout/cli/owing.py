"""What the command line tells about bypasses that are owed. Reads the record store."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from phased_rollout.cli.tables import Json, write_table
from phased_rollout.debts import owed
from phased_rollout.model.definition import Config
from phased_rollout.records import RecordStore


def debts_of(found: Config, rollout: str | None, *, now: datetime) -> list[Json]:
    """Give what is owed for one definition, or for all in the file."""
    store = RecordStore.from_environment()
    return [
        {"rollout": name, **asdict(debt), "overdue": datetime.fromisoformat(debt.due) < now}
        for name in found.definitions
        if rollout in (None, name)
        for debt in owed(store.rollout(name, ""))
    ]


def write_debts(debts: list[Json]) -> None:
    """Show them as a table."""
    rows = [
        [
            f"{debt['rollout']}\n{debt['change_name']}\n{debt['change'][:12]}",
            debt["left_out"],
            debt["reason"],
            f"{debt['requested_by'] or 'the schedule'}, {debt['authorized_by'] or 'nobody'}",
            debt["due"][:16].replace("T", " ") + (" OVERDUE" if debt["overdue"] else ""),
        ]
        for debt in debts
    ]
    write_table(["rollout, change", "left out", "why", "asked, authorized", "due"], rows)
