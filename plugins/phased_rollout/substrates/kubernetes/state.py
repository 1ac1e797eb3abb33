"""What a target runs, from its record and from the objects themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from phased_rollout.model.digest import digest_of
from phased_rollout.model.target_state import Artifact, TargetState
from phased_rollout.substrates.kubernetes.completion import Judgement, Stage, judge
from phased_rollout.substrates.kubernetes.manifests import Ref, in_order
from phased_rollout.substrates.kubernetes.owned import applied_by, fingerprint
from phased_rollout.substrates.kubernetes.record import Entry, Keeper, Record

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """The objects of a record as they are now.

    :param live: those that are there
    :param changed: why each that is not as it was applied differs
    """

    live: Mapping[Ref, Json]
    changed: Mapping[Ref, str]


def look(keeper: Keeper, entries: Iterable[Entry]) -> Seen:
    """Look at objects, and whether each is what was applied."""
    live, changed = dict[Ref, Json](), dict[Ref, str]()
    for entry in entries:
        found = get(keeper, entry)
        if found is None:
            changed[entry.ref] = f"{entry.ref} is gone"
            continue
        live[entry.ref] = found
        if fingerprint(found, keeper.manager) != entry.owned:
            changed[entry.ref] = f"{entry.ref} was changed{_by(found, keeper.manager)}"
    return Seen(live, changed)


def get(keeper: Keeper, entry: Entry) -> Json | None:
    """Give the object of an entry; None when it, or its whole kind, is gone."""
    resource = keeper.cluster.resource(entry.api_version, entry.ref.kind)
    if resource is None:
        return None
    return keeper.cluster.get(resource, entry.ref.name, entry.ref.namespace)


def _by(live: Mapping[str, Any], manager: str) -> str:
    """Name who has fields of an object besides us, the latest first."""
    others = [
        entry
        for entry in live["metadata"].get("managedFields") or ()
        if entry.get("manager") != manager and not entry.get("subresource")
    ]
    others.sort(key=lambda entry: str(entry.get("time")), reverse=True)
    return f", perhaps by {others[0]['manager']!r}" if others else ""


def state_of(keeper: Keeper, record: Record | None) -> TargetState:
    """Say what the target runs.

    As long as all objects are what was applied, that is what the record says. Otherwise it is what
    we still own of them: an artifact with a digest of its own, which a rollback gives back as far
    as nobody else has taken it.
    """
    if record is None:
        return TargetState(running=None)
    touched = record.touched
    seen = look(keeper, touched.values())
    judgements = {ref: judge(live) for ref, live in seen.live.items()}
    bad = {r: j for r, j in judgements.items() if j.stage is not Stage.COMPLETE}
    if record.attempt is None and not seen.changed:
        detail = "; ".join(f"{ref}: {judgement.reason}" for ref, judgement in bad.items())
        running = Artifact(record.digest, {"objects": list(record.objects)})
        return TargetState(running, healthy=not bad, detail=detail or "runs as it was applied")
    owned = (applied_by(live, keeper.manager) for live in seen.live.values())
    objects = in_order(each for each in owned if each)
    if record.attempt:
        detail = record.attempt.reason or f"an attempt of it has not ended: {record.attempt.phase}"
    else:
        detail = "; ".join(seen.changed.values())
    if not objects and not record.digest:
        return TargetState(None, healthy=False, detail=detail)
    digest = digest_of({"recorded": record.digest, "objects": objects})
    return TargetState(Artifact(digest, {"objects": objects}), healthy=False, detail=detail)


def judged(keeper: Keeper, entries: Iterable[Entry]) -> dict[Ref, tuple[Judgement, Json | None]]:
    """Judge objects anew; one that is gone has failed."""
    found = {}
    for entry in entries:
        live = get(keeper, entry)
        gone = Judgement(Stage.FAILED, "it is gone")
        found[entry.ref] = (judge(live) if live else gone, live)
    return found
