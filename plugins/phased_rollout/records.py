"""The record store: content-addressed objects and append-only records of each rollout.

Layout below the root, which is a local folder or object storage (``PHASED_ROLLOUT_RECORDS``)::

    objects/<digest>.json                                  content, named by its digest
    attempts/<rollout>/<attempt>/<target>/<what>.json      see substrates/http/attempts.py
    rollouts/<definition>/started/<at>~<run>.json          which rollouts have begun
    rollouts/<definition>/debts/<at>~<run>.json            see debts.py
    rollouts/<definition>/locks/<target>/<n>.json          locks, and <n>.released
    rollouts/<definition>/runs/<run>/plan.json             the frozen plan; certified: its
                                                           graduations are, see certificates.py
    rollouts/<definition>/runs/<run>/told/<event>~<digest>.json  whom to tell was claimed
    rollouts/<definition>/runs/<run>/ledger/<at>~<kind>~<channel>~~<nonce>.json
    rollouts/<definition>/runs/<run>/before/<channel>/<rollbacks>/<target>.json
    rollouts/<definition>/runs/<run>/targets/<channel>/<at>~<kind>~<channel>~<target>~<nonce>.json

A record is written once and never edited. Each carries a schema version; readers ignore keys that
they do not know, so that a run in flight survives an upgrade.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow.sdk import ObjectStoragePath
from pydantic import TypeAdapter

from phased_rollout import metrics
from phased_rollout.errors import RecordError, RecordExistsError
from phased_rollout.model.change import Change
from phased_rollout.model.digest import canonical_json, digest_of
from phased_rollout.model.ledger import Entry, Kind, Ledger
from phased_rollout.model.plan import Plan
from phased_rollout.model.target_state import Artifact, TargetState
from phased_rollout.record_names import entry_of, safe_name, stamp
from phased_rollout.storage import storage_at

SCHEMA_VERSION = 1
ENVIRONMENT = "PHASED_ROLLOUT_RECORDS"
_PLAN = TypeAdapter(Plan)
_CHANGE = TypeAdapter(Change)


@dataclass(frozen=True)
class RecordStore:
    """Reads and creates records; knows nothing of their meaning.

    :param root: folder of all records
    """

    root: ObjectStoragePath

    @classmethod
    def from_environment(cls) -> RecordStore:
        """Open the store that ``PHASED_ROLLOUT_RECORDS`` names; default: below AIRFLOW_HOME."""
        home = os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow"
        try:
            return cls(storage_at(os.environ.get(ENVIRONMENT) or f"file://{home}/records"))
        except LookupError as error:
            raise RecordError(f"{ENVIRONMENT}: {error}: create it in Airflow") from error

    def rollout(self, definition: str, run_id: str) -> RolloutRecords:
        """Give the records of one run."""
        folder = self.root / "rollouts" / safe_name(definition)
        return RolloutRecords(self, definition, run_id, folder, folder / "runs" / safe_name(run_id))

    def definitions(self) -> list[str]:
        """Name the definitions that have records."""
        return [unquote(name) for name in self.names(self.root / "rollouts")]

    def newest(self, definition: str) -> RolloutRecords:
        """Give the records of the rollout that began last; raises RecordError without any."""
        found = self.rollout(definition, "")
        runs = found.begun()
        if not runs:
            raise RecordError(f"no rollout of {definition} is recorded")
        return found.of(runs[-1])

    def create(self, path: ObjectStoragePath, value: Mapping[str, Any]) -> None:
        """Write a record that must not exist yet, whole or not at all; raises RecordExistsError."""
        data = canonical_json({"schema": SCHEMA_VERSION, **value}).encode()
        try:
            if path.protocol in ("file", "local", ""):
                _create_local(Path(path.path), data)
            else:
                path.fs.pipe_file(path.path, data, mode="create")
        except FileExistsError as error:
            raise RecordExistsError(f"{path} exists already; a record is never edited") from error

    def read(self, path: ObjectStoragePath) -> dict[str, Any]:
        """Read a record; raises RecordError when it is missing or damaged."""
        try:
            value = json.loads(path.fs.cat_file(path.path))
        except FileNotFoundError as error:
            raise RecordError(f"there is no record {path}") from error
        except ValueError as error:
            raise RecordError(f"the record {path} is damaged: {error}") from error
        if not isinstance(value, dict):
            raise RecordError(f"the record {path} is damaged: not a mapping")
        return value

    def names(self, folder: ObjectStoragePath) -> list[str]:
        """List the names in a folder, sorted; a folder that does not exist is empty."""
        folder.fs.invalidate_cache()
        try:
            found = folder.fs.ls(folder.path, detail=False)
        except FileNotFoundError:
            return []
        return sorted(n for n in (f.rsplit("/", 1)[-1] for f in found) if not n.startswith("."))

    def put(self, value: Mapping[str, Any]) -> str:
        """Keep content under its digest, once; returns the digest."""
        digest = digest_of(value)
        with contextlib.suppress(RecordExistsError):
            self.create(self.root / "objects" / f"{digest}.json", {"content": value})
        return digest

    def get(self, digest: str) -> dict[str, Any]:
        """Fetch content, and check that it is what its name says; raises RecordError."""
        content = self.read(self.root / "objects" / f"{digest}.json").get("content")
        if not isinstance(content, dict) or digest_of(content) != digest:
            raise RecordError(f"object {digest} is damaged: its content has another digest")
        return content


@dataclass(frozen=True)
class RolloutRecords:
    """The records of one rollout. Times are given by the caller, in UTC."""

    store: RecordStore
    definition: str
    run_id: str
    shared: ObjectStoragePath
    folder: ObjectStoragePath

    def freeze(self, plan: Plan, change: Change) -> Plan:
        """Keep the plan of this run. The first one stays: a second call gives it back."""
        content = self.store.put(_CHANGE.dump_python(change, mode="json"))
        kept = _PLAN.dump_python(plan, mode="json")
        value = {"plan": kept, "change": content, "certified": True}
        with contextlib.suppress(RecordExistsError):
            self.store.create(self.folder / "plan.json", value)
        frozen = self.plan()
        name = f"{stamp(frozen.made_at)}~{safe_name(self.run_id)}.json"
        with contextlib.suppress(RecordExistsError):
            self.store.create(self.shared / "started" / name, {"run": self.run_id})
            metrics.count("rollouts.started", self.definition)
        return frozen

    def plan(self) -> Plan:
        """Read the frozen plan; raises RecordError when there is none."""
        return _PLAN.validate_python(_readable(self.store.read(self.folder / "plan.json"))["plan"])

    def change(self) -> Change:
        """Read the frozen change."""
        content = self.store.read(self.folder / "plan.json")["change"]
        return _CHANGE.validate_python(self.store.get(content))

    def of(self, run_id: str) -> RolloutRecords:
        """Give the records of another run of the definition."""
        return self.store.rollout(self.definition, run_id)

    def begun(self) -> list[str]:
        """Name all rollouts of the definition, in the order in which they began."""
        names = self.store.names(self.shared / "started")
        return [unquote(name.split("~", 1)[1].removesuffix(".json")) for name in names]

    def newer(self) -> str | None:
        """Name a rollout of the same definition that began after this one, if any."""
        runs = self.begun()
        return runs[-1] if self.run_id in runs and runs[-1] != self.run_id else None

    def add(
        self, kind: Kind, *, at: datetime, channel: str = "", target: str = "", **details: Any
    ) -> None:
        """Append a record: of a target, of a channel, or of the run."""
        folder = self.folder / "targets" / safe_name(channel) if target else self.folder / "ledger"
        parts = [stamp(at), kind, safe_name(channel), safe_name(target)]
        name = "~".join([*parts, secrets.token_hex(4)]) + ".json"
        self.store.create(
            folder / name,
            {"at": at.isoformat(), "kind": kind, "channel": channel, "target": target, **details},
        )
        metrics.recorded(kind, self.definition, channel)

    def hold(self, reason: str, *, at: datetime, channel: str) -> None:
        """Record why a channel holds, unless that is what was recorded last."""
        held = self.details(Kind.HELD, channel=channel)
        if not held or held[-1]["reason"] != reason:
            self.add(Kind.HELD, at=at, channel=channel, reason=reason)

    def ledger(self) -> Ledger:
        """Give what has happened to the run and its channels, from the records' names alone."""
        return Ledger.of(entry for entry, _ in self._entries(self.folder / "ledger"))

    def of_targets(self, channel: str) -> Ledger:
        """Give what has happened to the targets of a channel, from the records' names alone."""
        folder = self.folder / "targets" / safe_name(channel)
        return Ledger.of(entry for entry, _ in self._entries(folder))

    def details(self, *kinds: Kind, channel: str = "", targets: bool = False) -> list[Any]:
        """Read whole records of these kinds, oldest first; of targets, or of channel and run.

        Without a channel: of all channels (not for targets).
        """
        folder = self.folder / "targets" / safe_name(channel) if targets else self.folder / "ledger"
        return [
            self.store.read(folder / name)
            for entry, name in self._entries(folder)
            if entry.kind in kinds and channel in ("", entry.channel)
        ]

    def latest(self, kind: Kind, *, channel: str) -> Any:
        """Read the last record of a kind of a channel; None without any."""
        names = [
            name
            for entry, name in self._entries(self.folder / "ledger")
            if entry.kind is kind and entry.channel == channel
        ]
        return self.store.read(self.folder / "ledger" / names[-1]) if names else None

    def capture(self, state: TargetState, *, channel: str, target: str, at: datetime) -> None:
        """Keep what the target ran before, once: a later call changes nothing.

        Once until the channel was rolled back: what is entered again after that is captured anew.
        """
        running = state.running
        value = {
            "at": at.isoformat(),
            "digest": state.digest,
            "body": self.store.put(running.body) if running else None,
            "healthy": state.healthy,
            "detail": state.detail,
        }
        with contextlib.suppress(RecordExistsError):
            self.store.create(self._before(channel) / f"{safe_name(target)}.json", value)

    def before(self, *, channel: str, target: str) -> TargetState | None:
        """Give what the target ran before this rollout touched it; None when it was not touched."""
        path = self._before(channel) / f"{safe_name(target)}.json"
        if not path.fs.exists(path.path):
            return None
        value = self.store.read(path)
        running = None
        if value["digest"] is not None:
            running = Artifact(digest=value["digest"], body=self.store.get(value["body"]))
        return TargetState(running=running, healthy=value["healthy"], detail=value["detail"])

    def captured(self, channel: str) -> list[str]:
        """Name the targets that this rollout may have touched since the channel's last rollback."""
        names = self.store.names(self._before(channel))
        return [unquote(name.removesuffix(".json")) for name in names]

    def _before(self, channel: str) -> ObjectStoragePath:
        undone = [e for e in self.ledger().entries if e.kind is Kind.ROLLED_BACK]
        rollbacks = sum(1 for e in undone if e.channel == channel)
        return self.folder / "before" / safe_name(channel) / str(rollbacks)

    def _entries(self, folder: ObjectStoragePath) -> Iterator[tuple[Entry, str]]:
        for name in self.store.names(folder):
            if entry := entry_of(name):
                yield entry, name


def _readable(value: dict[str, Any]) -> dict[str, Any]:
    if value.get("schema", 0) > SCHEMA_VERSION:
        raise RecordError(
            f"the plan has schema {value['schema']}, this version reads up to {SCHEMA_VERSION}: "
            f"a newer version of the product made it"
        )
    return value


def _create_local(path: Path, data: bytes) -> None:
    """Create a file with its whole content or not at all; raises FileExistsError.

    Written beside its place and then linked: a process that is killed leaves no half record.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    finally:
        part.unlink(missing_ok=True)
