"""Takes objects away that a record has no more, and nothing that somebody else put there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

from phased_rollout.substrates.kubernetes.manifests import (
    CLAIM,
    DEFINITION,
    NAMESPACE,
    Ref,
    group_of,
    ref_of,
)
from phased_rollout.substrates.kubernetes.owned import applied_by, others_apply
from phased_rollout.substrates.kubernetes.record import Entry, Keeper
from phased_rollout.substrates.kubernetes.state import get

Json = dict[str, Any]

_NAMED = 3  # objects that are named in a message
# What a cluster itself puts into every namespace, or makes of what is there.
_BY_ITSELF = {"Event", "Endpoints", "EndpointSlice", "Lease", "PodMetrics", "ControllerRevision"}
_IN_EACH = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}


def remove(keeper: Keeper, entry: Entry, *, gone: Set[Ref], restoring: bool) -> str:
    """Take an object away, or give up what we own of one that others have; says what was kept.

    :param gone: all that is taken away with it
    :param restoring: keep what holds anything else, data too, in place of deleting it
    """
    live = get(keeper, entry)
    if live is None or live["metadata"].get("deletionTimestamp"):
        return ""
    resource = keeper.cluster.resource(entry.api_version, entry.ref.kind)
    if resource is None or applied_by(live, keeper.manager) is None:
        return f"{entry.ref} is somebody else's by now"
    ref = entry.ref
    if not entry.created or others_apply(live, keeper.manager):
        bare: Json = {"apiVersion": entry.api_version, "kind": ref.kind}
        bare["metadata"] = {"name": ref.name}
        keeper.cluster.apply(resource, bare, ref.namespace, manager=keeper.manager)
        return ""
    why = held_by(keeper, entry, gone=gone) if restoring else ""
    if restoring and ref.kind == CLAIM and (live.get("status") or {}).get("phase") == "Bound":
        why = f"{ref} has a volume with data"
    if why:
        return why
    keeper.cluster.delete(resource, ref.name, ref.namespace, uid=live["metadata"]["uid"])
    return ""


def is_leaving(keeper: Keeper, entry: Entry) -> bool:
    """Say whether an object is being deleted, and still there."""
    live = get(keeper, entry)
    return live is not None and bool(live["metadata"].get("deletionTimestamp"))


def held_by(keeper: Keeper, entry: Entry, *, gone: Set[Ref]) -> str:
    """Say what of somebody else would be deleted with a namespace or a definition of a kind."""
    if not entry.created or entry.ref.kind not in (NAMESPACE, DEFINITION):
        return ""
    if (live := get(keeper, entry)) is None:
        return ""
    inside = _within(keeper, entry.ref.name) if entry.ref.kind == NAMESPACE else _of(keeper, live)
    foreign = [ref for ref, each in inside if ref not in gone and not _comes_by_itself(ref, each)]
    if not foreign:
        return ""
    more = f" and {len(foreign) - _NAMED} more" if len(foreign) > _NAMED else ""
    return f"{entry.ref} holds {', '.join(map(str, foreign[:_NAMED]))}{more}"


def _comes_by_itself(ref: Ref, live: Mapping[str, Any]) -> bool:
    owned = bool(live["metadata"].get("ownerReferences"))
    return owned or ref.kind in _BY_ITSELF or (ref.kind, ref.name) in _IN_EACH


def _within(keeper: Keeper, namespace: str) -> Iterator[tuple[Ref, Json]]:
    for resource in keeper.cluster.resources():
        if resource.namespaced and "list" in resource.verbs:
            for live in keeper.cluster.list(resource, namespace):
                yield ref_of(live, namespace=namespace), live


def _of(keeper: Keeper, definition: Mapping[str, Any]) -> Iterator[tuple[Ref, Json]]:
    spec = definition["spec"]
    version = next((v["name"] for v in spec["versions"] if v.get("served", True)), "")
    resource = keeper.cluster.resource(f"{spec['group']}/{version}", spec["names"]["kind"])
    for live in keeper.cluster.list(resource, "") if resource else ():
        namespace = live["metadata"].get("namespace", "")
        yield (
            Ref(group_of(live["apiVersion"]), live["kind"], namespace, live["metadata"]["name"]),
            live,
        )
