"""Makes certificates of graduations, and reads what they are checked against."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from phased_rollout.errors import RecordError
from phased_rollout.model.certificate import LISTS, Certificate, facts_of, list_of, way_to
from phased_rollout.model.digest import canonical_json
from phased_rollout.model.kept import Kept, Record
from phased_rollout.model.ledger import Entry, Kind
from phased_rollout.model.plan import Plan
from phased_rollout.record_names import entry_of, safe_name
from phased_rollout.records import SCHEMA_VERSION, RolloutRecords

_AT_ONCE = 32


def certify(
    records: RolloutRecords, channel: str, *, at: datetime, facts: Mapping[str, Any]
) -> Certificate:
    """Make the certificate of a graduation from what is on record now.

    Reads each record once, over all graduations of the run, but for the targets of a channel that
    graduates again. What cannot be read is for ``verify`` to tell: it stops no rollout.

    :param facts: what else the record of the graduation will say
    """
    ledger = list(_ledger(records))
    graduated = {p for p in ledger if (e := _entry(p)) and e.kind is Kind.GRADUATED}
    known = [c for r in _read(records, sorted(graduated)) if (c := r.certificate)]
    previous = known[-1].digest if known else ""
    way = way_to(known, previous)
    listed = {p for c in way for n in LISTS[:2] for p in _listed(records, getattr(c, n)) or ()}
    lists: dict[str, dict[str, str]] = {name: {} for name in LISTS}
    for record in _read(records, (p for p in ledger if p not in listed)):
        lists[list_of(record.entry)][record.path] = record.digest
    own = _read(records, _of_targets(records, safe_name(channel)))
    lists["targets"] = {record.path: record.digest for record in own}
    evidence, approval, targets = (records.store.put({"records": lists[n]}) for n in LISTS)
    return Certificate(
        rollout=records.definition,
        run=records.run_id,
        channel=channel,
        at=at.isoformat(),
        plan=next(_read(records, ["plan.json"])).digest,
        evidence=evidence,
        approval=approval,
        targets=targets,
        facts=facts_of({"schema": SCHEMA_VERSION, **facts}),
        previous=previous,
    )


def kept(records: RolloutRecords) -> Kept:
    """Read all that the certificates of a run are checked against."""
    store, paths = records.store, list(_ledger(records))
    for parent in ("targets", "before"):
        for channel in store.names(records.folder / parent):
            paths += _of_targets(records, channel)
    there = "plan.json" in store.names(records.folder)
    plan = next(_read(records, ["plan.json"])) if there else Record("plan.json", None, "", None)
    frozen = _plan(records)
    known = {record.path: record for record in _read(records, paths)}
    certificates = [c for r in known.values() if (c := r.certificate)]
    names = {getattr(c, name) for c in certificates for name in LISTS}
    named = dict(_named(plan, frozen, known.values()))
    return Kept(
        rollout=records.definition,
        run=records.run_id,
        plan=frozen,
        frozen=plan,
        records=known,
        lists={n: found for n in names if (found := _listed(records, n)) is not None},
        objects=_objects(records, named | dict.fromkeys(names, "a list of a certificate")),
        schema=SCHEMA_VERSION,
    )


def _ledger(records: RolloutRecords) -> Iterator[str]:
    return (f"ledger/{name}" for name in records.store.names(records.folder / "ledger"))


def _of_targets(records: RolloutRecords, channel: str) -> Iterator[str]:
    """Name the records of a channel's targets.

    :param channel: as it is in names
    """
    store, folder = records.store, records.folder
    yield from (f"targets/{channel}/{n}" for n in store.names(folder / "targets" / channel))
    before = folder / "before" / channel
    for life in store.names(before):
        yield from (f"before/{channel}/{life}/{n}" for n in store.names(before / life))


def _read(records: RolloutRecords, paths: Iterable[str]) -> Iterator[Record]:
    """Read records by the bytes, many at once, in their order."""
    root = records.folder

    def one(path: str) -> Record:
        data = root.fs.cat_file((root / path).path)
        return Record(path, _entry(path), hashlib.sha256(data).hexdigest(), _value(data))

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        yield from pool.map(one, paths)


def _entry(path: str) -> Entry | None:
    folder, _, name = path.rpartition("/")
    try:
        return None if folder.startswith("before") else entry_of(name)
    except ValueError:
        return None


def _value(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _listed(records: RolloutRecords, digest: str) -> dict[str, str] | None:
    try:
        found = records.store.get(digest).get("records")
    except RecordError:
        return None
    return found if isinstance(found, dict) else None


def _plan(records: RolloutRecords) -> Plan | None:
    try:
        return records.plan()
    except (RecordError, ValueError, KeyError, TypeError):
        return None


def _named(plan: Record, frozen: Plan | None, found: Iterable[Record]) -> Iterator[tuple[str, str]]:
    """Give the content that records name, and what for."""
    if plan.value:
        yield str(plan.value.get("change")), "the change"
    if frozen and frozen.origin and frozen.origin.answer:
        yield frozen.origin.answer, "what the inventory answered"
    for record in found:
        body = (record.value or {}).get("body")
        if record.path.startswith("before/") and body:
            yield str(body), record.path


def _objects(records: RolloutRecords, named: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Say what is wrong with content: digest to what it is for, and what is wrong."""
    folder = records.store.root / "objects"

    def wrong(digest: str) -> str:
        try:
            data = folder.fs.cat_file((folder / f"{safe_name(digest)}.json").path)
        except (FileNotFoundError, RecordError):
            return "is missing"
        value = _value(data) or {}
        whole = canonical_json({"schema": SCHEMA_VERSION, "content": value.get("content")})
        content = canonical_json(value.get("content")).encode()
        if data != whole.encode() or hashlib.sha256(content).hexdigest() != digest:
            return "is not what its name says"
        return ""

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        found = zip(named, pool.map(wrong, named), strict=True)
        return {digest: (named[digest], why) for digest, why in found if why}
