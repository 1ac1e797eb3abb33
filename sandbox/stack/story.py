"""What the record store tells about a rollout beyond the states of its tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phased_rollout.records import RolloutRecords

# Tasks that fail because others did, and say again what those said.
_SUMS_UP = {"outcome", "rollback.verdict"}


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed: a step of a channel, on a target where one is known, and why."""

    channel: str
    step: str
    target: str
    reason: str


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a rollback did with a target: restored, left alone, or failed to restore, and why."""

    channel: str
    target: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Story:
    """All of that. Everything is empty as long as the rollout has recorded nothing."""

    change: str = ""
    targets: Mapping[str, int] = field(default_factory=dict)
    soaks: Mapping[str, timedelta] = field(default_factory=dict)
    soak_ends: Mapping[str, datetime] = field(default_factory=dict)
    holds: Mapping[str, str] = field(default_factory=dict)
    unchanged: bool = False
    bypassed: frozenset[str] = frozenset()
    rolled_back: frozenset[str] = frozenset()
    failures: tuple[Failure, ...] = ()
    restored: tuple[Restoration, ...] = ()


def read_story(root: Path, *, definition: str, run_id: str) -> Story:
    """Read the records below `root` of one run.

    The product's own reader does the work; it is imported here, since it brings Airflow along.
    """
    from airflow.sdk import ObjectStoragePath  # noqa: PLC0415 - slow

    from phased_rollout.errors import RolloutError  # noqa: PLC0415
    from phased_rollout.records import RecordStore  # noqa: PLC0415

    records = RecordStore(ObjectStoragePath(f"file://{root}")).rollout(definition, run_id)
    try:
        records.plan()
    except RolloutError:
        return Story()
    return _read(records)


def _read(records: "RolloutRecords") -> Story:
    from phased_rollout.model.ledger import Kind  # noqa: PLC0415 - see read_story

    plan = records.plan()
    applied = records.details(Kind.APPLIED)
    soaks = {channel.name: channel.soak for channel in plan.channels}
    latest = {entry.channel: entry.kind for entry in records.ledger().entries}
    held = [e for e in records.details(Kind.HELD) if latest[e["channel"]] is Kind.HELD]
    undone = records.details(Kind.ROLLED_BACK)
    return Story(
        change=plan.change_name,
        targets={channel.name: len(channel.targets) for channel in plan.channels},
        soaks=soaks,
        soak_ends={a["channel"]: _at(a) + soaks[a["channel"]] for a in applied},
        holds={entry["channel"]: entry["reason"] for entry in held},
        unchanged=records.ledger().happened(Kind.NOTHING_TO_CHANGE),
        bypassed=frozenset(plan.bypass.channels),
        rolled_back=frozenset(entry["channel"] for entry in undone),
        failures=_failures(records, channels=list(soaks)),
        restored=_restored(records, channels=list(soaks)),
    )


def _failures(records: "RolloutRecords", *, channels: list[str]) -> tuple[Failure, ...]:
    from phased_rollout.model.ledger import Kind  # noqa: PLC0415 - see read_story

    refused = [
        Failure(name, "apply", entry["target"], entry["reason"])
        for name in channels
        for entry in records.details(Kind.REFUSED, channel=name, targets=True)
    ]
    told = {(failure.channel, failure.step) for failure in refused}
    failed = [
        Failure(e["channel"], e["task"].rpartition(".")[2], "", e["reason"])
        for e in records.details(Kind.FAILED)
        if e["task"] not in _SUMS_UP
    ]
    return (*refused, *(f for f in failed if (f.channel, f.step) not in told))


def _restored(records: "RolloutRecords", *, channels: list[str]) -> tuple[Restoration, ...]:
    from phased_rollout.model.ledger import Kind  # noqa: PLC0415 - see read_story

    words = {
        Kind.RESTORED: "restored",
        Kind.LEFT_ALONE: "left alone",
        Kind.RESTORE_FAILED: "NOT RESTORED",
    }
    found: dict[tuple[str, str], Restoration] = {}
    for name in reversed(channels):
        for entry in records.details(*words, channel=name, targets=True):
            word, target = words[Kind(entry["kind"])], entry["target"]
            found[name, target] = Restoration(name, target, word, entry.get("reason", ""))
    return tuple(found.values())


def _at(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])
