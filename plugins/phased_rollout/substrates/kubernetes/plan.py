"""What applying manifests would do, asked of the server by dry runs of them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.substrates.kubernetes.client import Cluster, RefusedByClusterError
from phased_rollout.substrates.kubernetes.manifests import (
    DEFINITION,
    NAMESPACE,
    Ref,
    group_of,
    ref_of,
)
from phased_rollout.substrates.kubernetes.owned import applied_by
from phased_rollout.substrates.kubernetes.record import Entry, Keeper, Record
from phased_rollout.substrates.kubernetes.removal import held_by

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Planned:
    """One manifest against the cluster as it is.

    :param live: the object now; None when it is not there
    :param result: what it would be; None when the server cannot say yet
    :param unvalidated: why it cannot
    """

    manifest: Json
    ref: Ref
    live: Json | None = None
    result: Json | None = None
    unvalidated: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All manifests, and the objects that are taken away."""

    planned: tuple[Planned, ...]
    removed: tuple[Entry, ...]


def made(keeper: Keeper, record: Record | None, manifests: Sequence[Json]) -> Plan:
    """Ask the server; stores nothing. Raises RefusedError with all that it refuses."""
    names = _Names(keeper.cluster, keeper.namespace, manifests)
    names.refuse_record(keeper)
    planned, problems = [], []
    for manifest in manifests:
        try:
            planned.append(_asked(keeper, names, manifest))
        except RefusedError as error:
            problems.append(_in_words(error, manifest))
    if problems:
        raise RefusedError(f"{keeper.cluster.name} refuses the change: " + "\n".join(problems))
    wanted = {each.ref for each in planned}
    touched = record.touched if record else {}
    return Plan(tuple(planned), tuple(e for ref, e in touched.items() if ref not in wanted))


def refuse_full(keeper: Keeper, plan: Plan) -> None:
    """Refuse to take a namespace or a definition away that holds what is not of this record."""
    gone = {entry.ref for entry in plan.removed}
    held = [why for entry in plan.removed if (why := held_by(keeper, entry, gone=gone))]
    if held:
        raise RefusedError("\n".join(f"{why}: take that away first, or keep it" for why in held))


def _in_words(error: RefusedError, manifest: Mapping[str, Any]) -> str:
    if not isinstance(error, RefusedByClusterError):
        return str(error)
    text = f"{manifest['kind']} {manifest['metadata']['name']}: {error.said}"
    if "conflict with" in error.said or "conflicts with" in error.said:
        text += (
            ": the other manager owns these fields, and they are never taken by force: leave them "
            "out of the change, or let the other give them up"
        )
    elif "immutable" in error.said:
        text += ": give the object another name, or delete it first"
    return text


@dataclass(frozen=True, slots=True)
class _Names:
    """Where manifests go, in a cluster and with what the change itself brings."""

    cluster: Cluster
    default: str
    manifests: Sequence[Json]
    known: dict[str, bool] = field(default_factory=dict)

    def refuse_record(self, keeper: Keeper) -> None:
        """Refuse a record whose namespace is not there: nothing could be remembered."""
        if not self._has(keeper.namespace):
            raise RefusedError(
                f"{keeper}: the namespace {keeper.namespace!r} does not exist: create it, or set "
                "`namespace`"
            )

    def defined(self, manifest: Mapping[str, Any]) -> bool | None:
        """Say whether a kind that the change itself defines is namespaced; None if it does not."""
        wanted = group_of(manifest["apiVersion"]), manifest["kind"]
        for each in self.manifests:
            spec = each.get("spec") or {}
            names = spec.get("names") or {}
            if each["kind"] == DEFINITION and (spec.get("group"), names.get("kind")) == wanted:
                return bool(spec.get("scope") == "Namespaced")
        return None

    def namespace_of(self, manifest: Mapping[str, Any], *, namespaced: bool) -> str:
        return str(manifest["metadata"].get("namespace") or self.default) if namespaced else ""

    def unvalidated(self, namespace: str) -> str:
        """Say why an object of a namespace cannot be looked at yet; raises when it never can."""
        if not namespace or self._has(namespace):
            return ""
        brought = {m["metadata"]["name"] for m in self.manifests if m["kind"] == NAMESPACE}
        if namespace not in brought:
            raise RefusedError(
                f"the namespace {namespace!r} does not exist: create it, or put it into the change"
            )
        return "its namespace does not exist yet"

    def _has(self, namespace: str) -> bool:
        if namespace in self.known:
            return self.known[namespace]
        resource = self.cluster.resource("v1", NAMESPACE)
        found = self.cluster.get(resource, namespace, "") if resource else None
        if found and found["metadata"].get("deletionTimestamp"):
            raise UnreachableError(f"{self.cluster.name}: namespace {namespace} is being deleted")
        self.known[namespace] = found is not None
        return self.known[namespace]


def _asked(keeper: Keeper, names: _Names, manifest: Json) -> Planned:
    cluster, api_version, kind = keeper.cluster, manifest["apiVersion"], manifest["kind"]
    resource = cluster.resource(api_version, kind)
    namespaced = resource.namespaced if resource else names.defined(manifest)
    if namespaced is None:
        raise RefusedError(_not_served(cluster, manifest))
    namespace = names.namespace_of(manifest, namespaced=namespaced)
    ref = ref_of(manifest, namespace=namespace)
    if resource is None:
        return Planned(manifest, ref, unvalidated="its kind is not defined yet")
    if why := names.unvalidated(namespace):
        return Planned(manifest, ref, unvalidated=why)
    live = cluster.get(resource, ref.name, namespace)
    if live and live["metadata"].get("deletionTimestamp"):
        raise UnreachableError(f"{cluster.name}: {ref} is being deleted: wait until it is gone")
    result = keeper.apply(resource, manifest, namespace, dry_run=True)
    return Planned(manifest, ref, live, result)


def _not_served(cluster: Cluster, manifest: Mapping[str, Any]) -> str:
    api_version, kind = manifest["apiVersion"], manifest["kind"]
    served = cluster.serving(kind)
    mend = (
        f"it serves {', '.join(served)}: write that"
        if served
        else "nor the kind in any version: install what defines it first"
    )
    name = manifest["metadata"]["name"]
    return f"{kind} {name}: {cluster.version()} does not serve {api_version}, {mend}"


def resolved(keeper: Keeper, manifests: Sequence[Json]) -> Iterator[tuple[Json, Ref]]:
    """Give manifests with the objects they name, as far as that can be told by now."""
    names = _Names(keeper.cluster, keeper.namespace, manifests)
    for manifest in manifests:
        resource = keeper.cluster.resource(manifest["apiVersion"], manifest["kind"])
        namespaced = resource.namespaced if resource else bool(names.defined(manifest))
        yield (
            manifest,
            ref_of(manifest, namespace=names.namespace_of(manifest, namespaced=namespaced)),
        )


def begun(keeper: Keeper, plan: Plan, record: Record | None) -> tuple[Entry, ...]:
    """List all that an attempt touches, before it does; who created what is told for good here."""
    touched = record.touched if record else {}
    entries = []
    for each in plan.planned:
        known = touched.get(each.ref)
        ours = each.live is not None and applied_by(each.live, keeper.manager) is not None
        # What we know and still own is as it was; what is not there is about to be created by us.
        created = each.live is None or bool(known and known.created and ours)
        entries.append(Entry(each.ref, each.manifest["apiVersion"], created=created))
    return (*entries, *(replace(entry, leaves=True) for entry in plan.removed))
