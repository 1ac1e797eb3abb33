"""A preview for people: what would change, field by field, without what the server keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from phased_rollout.model.target_state import Difference, Preview
from phased_rollout.substrates.kubernetes.manifests import CLAIM, DEFINITION, NAMESPACE
from phased_rollout.substrates.kubernetes.owned import applied_by
from phased_rollout.substrates.kubernetes.plan import Plan, Planned
from phased_rollout.substrates.kubernetes.record import OF_RECORD, Entry

_SHOWN = 30  # fields of an object
_LONGEST = 120  # characters of a value
_KEPT_BY_SERVER = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")
_KEYS = ("name", "mountPath", "containerPort", "port", "type", "key", "topologyKey", "host", "path")
_GOES_WITH_IT = {
    NAMESPACE: "and everything in it",
    DEFINITION: "and all objects of its kind",
    CLAIM: "and the data in it",
}


def preview_of(plan: Plan, *, manager: str) -> Preview:
    """Sum a plan up."""
    found = [difference for each in plan.planned if (difference := _difference(each))]
    found += [_removed(entry) for entry in plan.removed]
    return Preview(
        differences=tuple(found),
        notes=tuple(_notes(plan, manager=manager)),
        irreversible=tuple(_irreversible(plan)),
    )


def _difference(each: Planned) -> Difference | None:
    kind = f"{each.manifest['apiVersion']} {each.ref.kind}"
    if each.live is None:
        why = f"not server-validated: {each.unvalidated}" if each.unvalidated else ""
        return Difference("Add", each.ref.path, kind, detail=why)
    lines = list(_lines(_plain(each.live), _plain(each.result or {})))
    if not lines:
        return None
    if each.ref.kind == "Secret":
        lines = ["its data"]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return Difference("Modify", each.ref.path, kind, detail="; ".join(lines[:_SHOWN] + more))


def _removed(entry: Entry) -> Difference:
    with_it = _GOES_WITH_IT.get(entry.ref.kind, "") if entry.created else ""
    detail = with_it or ("" if entry.created else "only what this change's record applied to it")
    kind = f"{entry.api_version} {entry.ref.kind}"
    return Difference("Remove", entry.ref.path, kind, destructive=True, detail=detail)


def _notes(plan: Plan, *, manager: str) -> Iterator[str]:
    for each in plan.planned:
        if each.live and applied_by(each.live, manager) is None:
            yield f"{each.ref} is there already: it is taken over, and not deleted by a rollback"
        if each.unvalidated:
            yield f"{each.ref} is not server-validated: {each.unvalidated}"
        if each.ref.kind == "Job" and each.live is None:
            yield f"{each.ref}: a rollback deletes the job, but does not undo what it has done"


def _irreversible(plan: Plan) -> Iterator[str]:
    for entry in plan.removed:
        if entry.created and (what := _GOES_WITH_IT.get(entry.ref.kind)):
            yield f"{entry.ref} is deleted, {what}: a rollback creates it anew, empty"
        if entry.created and entry.ref.kind == "Job":
            yield f"{entry.ref} is deleted: a rollback creates it anew, so that it runs again"
    for each in plan.planned:
        if each.live is None and each.ref.kind == CLAIM:
            yield f"{each.ref}: once a volume is bound to it, a rollback keeps it"
        if each.live is None and (each.manifest.get("spec") or {}).get("volumeClaimTemplates"):
            yield f"{each.ref}: the volume claims that it makes are kept by a rollback"


def _plain(live: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what the server keeps, and status."""
    metadata = {k: v for k, v in live.get("metadata", {}).items() if k not in _KEPT_BY_SERVER}
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != OF_RECORD}
    metadata["annotations"] = annotations or None
    return {**{k: v for k, v in live.items() if k != "status"}, "metadata": metadata}


def _lines(old: Any, new: Any, *, at: str = "") -> Iterator[str]:
    """Say each value that differs: ``spec.replicas: 2 → 3``."""
    if old == new:
        return
    if isinstance(old, list) and isinstance(new, list) and (key := _key(old, new)):
        old, new = ({f"[{item[key]}]": item for item in items} for items in (old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            dot = "." if at and not name.startswith("[") else ""
            yield from _lines(old.get(name), new.get(name), at=f"{at}{dot}{name}")
        return
    yield f"{at}: {_short(old)} → {_short(new)}"


def _key(old: list[Any], new: list[Any]) -> str | None:
    """Give what tells the items of lists apart, if anything does."""
    if not (old or new) or not all(isinstance(item, dict) for item in (*old, *new)):
        return None
    for key in _KEYS:
        found = [[str(item[key]) for item in items if key in item] for items in (old, new)]
        if all(len(set(keys)) == len(items) for keys, items in zip(found, (old, new), strict=True)):
            return key
    return None


def _short(value: Any) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
