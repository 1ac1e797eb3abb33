"""What the record store knows of one run, read at one moment, mostly from names alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from airflow.sdk import ObjectStoragePath

from phased_rollout.debts import Debt, owed
from phased_rollout.errors import RecordError
from phased_rollout.model.digest import digest_of
from phased_rollout.model.ledger import Kind, Ledger
from phased_rollout.model.plan import Plan
from phased_rollout.record_names import safe_name
from phased_rollout.records import RecordStore, RolloutRecords

TOLD = tuple(kind for kind in Kind if kind not in (Kind.ASKED, Kind.CLOSED, Kind.APPLIED))
"""Records of the run and its channels whose content is shown."""
TOLD_OF_TARGETS = (Kind.REFUSED, Kind.EXCEPTED, Kind.LEFT_ALONE, Kind.RESTORE_FAILED)
"""Records of targets whose content is shown. Of the others the name says all."""
_KEPT_IN_MEMORY = 4096

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Reader(RecordStore):
    """A record store that reads a record once: no record is ever edited."""

    def read(self, path: ObjectStoragePath) -> dict[str, Any]:
        """Read a record, or remember it."""
        return _read(self.root, path)


@lru_cache(maxsize=_KEPT_IN_MEMORY)
def _read(root: ObjectStoragePath, path: ObjectStoragePath) -> dict[str, Any]:
    return RecordStore(root).read(path)


@dataclass(frozen=True, slots=True)
class AirflowRun:
    """What Airflow knows of the run.

    :param state: queued, running, success or failed
    :param tasks: how many task instances are in a state: ``(task id, state, count)``
    """

    dag_id: str
    run_id: str
    state: str
    paused: bool = False
    tasks: tuple[tuple[str, str, int], ...] = ()
    began: datetime | None = None
    ended: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in ("success", "failed")

    def tasks_in(self, *states: str) -> list[str]:
        """Name the tasks that have an instance in one of these states."""
        return [task for task, state, _ in self.tasks if state in states]


@dataclass(frozen=True, slots=True)
class Next:
    """The rollout of the definition that began after this one.

    :param supersedes: whether it took over while this one was under way
    """

    run: str
    emergency: bool
    supersedes: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """What has happened to a run so far, as far as it is recorded.

    :param plan: None while none is frozen
    :param told: records of the run and its channels, oldest first
    :param targets: what has happened to the targets, by channel
    :param touched: the targets changed since the channel's last rollback, by channel
    :param told_of_targets: records that say why, by channel
    """

    plan: Plan | None = None
    about: str = ""
    ledger: Ledger = field(default_factory=Ledger)
    told: Sequence[Record] = ()
    targets: Mapping[str, Ledger] = field(default_factory=dict)
    touched: Mapping[str, frozenset[str]] = field(default_factory=dict)
    told_of_targets: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    debts: Sequence[Debt] = ()
    next: Next | None = None

    def records(self, *kinds: Kind) -> list[Record]:
        """Give the records of the run and its channels of these kinds, oldest first."""
        return [record for record in self.told if record["kind"] in kinds]


def gather(records: RolloutRecords) -> Facts:
    """Read what is recorded of a run; a run without a plan has few facts."""
    plan = plan_of(records)
    names = plan.names if plan else []
    targets = {name: records.of_targets(name) for name in names}
    told = {name for name in names if any(e.kind in TOLD_OF_TARGETS for e in targets[name].entries)}
    return Facts(
        plan=plan,
        about=records.change().description if plan else "",
        ledger=records.ledger(),
        told=records.details(*TOLD),
        targets=targets,
        touched={name: frozenset(records.captured(name)) for name in names},
        told_of_targets={
            name: records.details(*TOLD_OF_TARGETS, channel=name, targets=True)
            if name in told
            else []
            for name in names
        },
        debts=owed(records),
        next=_next(records),
    )


def _next(records: RolloutRecords) -> Next | None:
    begun = records.begun()
    after = begun[begun.index(records.run_id) + 1 :][:1] if records.run_id in begun else []
    for found in map(records.of, after):
        plan, taken = plan_of(found), found.details(Kind.SUPERSEDES)
        took = any(record["run"] == records.run_id for record in taken)
        return Next(found.run_id, emergency=bool(plan and plan.emergency), supersedes=took)
    return None


def plan_of(records: RolloutRecords) -> Plan | None:
    """Give the frozen plan, if there is one; raises RecordError for one that is damaged."""
    if "plan.json" not in records.store.names(records.folder):
        return None
    return records.plan()


def fingerprint(records: RolloutRecords, *more: Any) -> str:
    """Name the state of a run by the names of its records: another name, another state.

    :param more: what else a view depends on, as JSON values
    """
    store, folder = records.store, records.folder
    shared = (records.shared / "debts", records.shared / "started")
    listed = [store.names(each) for each in (folder, folder / "ledger", *shared)]
    for part in ("targets", "before"):
        channels = store.names(folder / part)
        listed += [[part, *channels]]
        listed += [store.names(folder / part / channel) for channel in channels]
        if part == "before":
            listed += [
                store.names(folder / part / channel / number)
                for channel in channels
                for number in store.names(folder / part / channel)[-1:]
            ]
    return digest_of([listed, *more])[:32]


def is_safe(*names: str) -> bool:
    """Whether the record store can keep something under these names at all."""
    try:
        return all(name and safe_name(name) for name in names)
    except RecordError:
        return False
