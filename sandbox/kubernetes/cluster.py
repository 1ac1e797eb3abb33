"""One cluster: its objects, and what requests do to them. Thread-safe."""

from __future__ import annotations

import copy
import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sandbox.kubernetes import kinds, rules
from sandbox.kubernetes.errors import ApiError, named, not_found
from sandbox.kubernetes.kinds import Kind
from sandbox.kubernetes.owners import Manager, Stored, applied, updated
from sandbox.kubernetes.selectors import by_fields, by_labels

Json = dict[str, Any]
Key = tuple[tuple[str, str], str, str]  # resource, namespace, name

_STARTS_WITH = ("default", "kube-system")


def moment() -> str:
    """Now, as the API writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Cluster:
    """The objects of a cluster. ``lock`` guards them; whoever changes several things holds it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lock = threading.RLock()
        self.kinds = list(kinds.BUILT_IN)
        self.objects: dict[Key, Stored] = {}
        self._version = 1
        for namespace in _STARTS_WITH:
            content = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            self.create(self.kind("v1", "Namespace"), "", content, manager="kube-apiserver")

    # kinds

    def kind(self, api_version: str, kind: str) -> Kind:
        return next(k for k in self.kinds if (k.api_version, k.kind) == (api_version, kind))

    def serves(self, group: str, version: str, plural: str) -> Kind | None:
        for each in self.kinds:
            if (each.group, each.version, each.plural) == (group, version, plural):
                return each
        return None

    # reading

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        return self._shown(kind, self._found(kind, namespace, name))

    def listed(
        self, kind: Kind, namespace: str, *, labels: str = "", fields: str = ""
    ) -> list[Json]:
        """The objects of a kind, of one namespace or of all, in order of their names."""
        with self.lock:
            found = [
                self._shown(kind, stored)
                for key, stored in sorted(self.objects.items())
                if key[0] == kind.resource and namespace in ("", key[1])
            ]
        return [
            each
            for each in found
            if (not labels or by_labels(labels, each)) and (not fields or by_fields(fields, each))
        ]

    @property
    def version(self) -> str:
        return str(self._version)

    # changing

    def create(
        self, kind: Kind, namespace: str, content: Json, *, manager: str, dry_run: bool = False
    ) -> Json:
        with self.lock:
            content = copy.deepcopy(content)
            metadata = content.setdefault("metadata", {})
            name = metadata.get("name") or f"{metadata['generateName']}{uuid.uuid4().hex[:5]}"
            metadata["name"] = name
            if (kind.resource, namespace, name) in self.objects:
                text = f'{named(kind.plural, kind.group)} "{name}" already exists'
                raise ApiError(409, "AlreadyExists", text)
            owner = Manager(manager, "Update", kind.api_version)
            made = updated(None, content, owner)
            return self._keep(kind, namespace, made, before=None, dry_run=dry_run)

    def replace(
        self, kind: Kind, namespace: str, name: str, content: Json, *, manager: str,
        dry_run: bool = False, subresource: str = "",
    ) -> Json:  # fmt: skip
        with self.lock:
            stored = self._found(kind, namespace, name)
            given = str((content.get("metadata") or {}).get("resourceVersion") or "")
            if given not in ("", stored.content["metadata"]["resourceVersion"]):
                raise self._overtaken(kind, name)
            kept = stored.content
            if subresource == "status":
                wanted = {**kept, "status": content.get("status", {})}
            else:
                wanted = {**content, **({"status": kept["status"]} if "status" in kept else {})}
            wanted = copy.deepcopy(wanted)
            for key in ("uid", "creationTimestamp", "generation", "resourceVersion", "name"):
                if key in kept["metadata"]:
                    wanted["metadata"][key] = kept["metadata"][key]
            owner = Manager(manager, "Update", kind.api_version, subresource)
            made = updated(stored, wanted, owner)
            return self._keep(kind, namespace, made, before=stored, dry_run=dry_run)

    def apply(
        self, kind: Kind, namespace: str, name: str, wanted: Json, *, manager: str, force: bool,
        dry_run: bool = False,
    ) -> Json:  # fmt: skip
        """Server-side apply: creates what is absent."""
        with self.lock:
            wanted = copy.deepcopy(wanted)
            metadata = wanted.setdefault("metadata", {})
            if metadata.get("name", name) != name:
                text = f'name in the patch "{metadata["name"]}" is not "{name}"'
                raise ApiError(400, "BadRequest", text)
            metadata["name"] = name
            if metadata.pop("managedFields", None):
                raise ApiError(400, "BadRequest", "metadata.managedFields must be nil")
            if (wanted.get("apiVersion"), wanted.get("kind")) != (kind.api_version, kind.kind):
                text = f"the apiVersion and kind are not those of {kind.api_version} {kind.kind}"
                raise ApiError(400, "BadRequest", text)
            rules.refuse_unknown_fields(kind, wanted)
            stored = self.objects.get((kind.resource, namespace, name))
            expected = metadata.pop("resourceVersion", None)
            if stored and expected not in (None, stored.content["metadata"]["resourceVersion"]):
                raise self._overtaken(kind, name)
            wanted.pop("status", None)
            owner = Manager(manager, "Apply", kind.api_version)
            made, differs = applied(stored, wanted, owner, force=force)
            if stored and not differs:
                return self._shown(kind, stored)
            made.times[owner] = moment()
            return self._keep(kind, namespace, made, before=stored, dry_run=dry_run)

    def delete(
        self, kind: Kind, namespace: str, name: str, *, uid: str = "", dry_run: bool = False
    ) -> Json:
        """Delete an object, or mark it where finalizers stand in the way."""
        with self.lock:
            stored = self._found(kind, namespace, name)
            metadata = stored.content["metadata"]
            if uid and uid != metadata["uid"]:
                text = f"Precondition failed: UID in precondition: {uid}"
                raise ApiError(409, "Conflict", text)
            if not dry_run:
                self.removed(kind, stored)
            return stored.shown()

    def removed(self, kind: Kind, stored: Stored) -> None:
        """Begin to take an object away, and do it if nothing stands in the way."""
        metadata = stored.content["metadata"]
        lingers = kind.kind in ("Namespace", "CustomResourceDefinition")
        if "deletionTimestamp" not in metadata and (metadata.get("finalizers") or lingers):
            metadata["deletionTimestamp"] = moment()
            self._bump(stored)
            if kind.kind == "Namespace":
                stored.content["status"] = {"phase": "Terminating"}
        elif not metadata.get("finalizers") and not lingers:
            self.drop(kind, stored)

    def drop(self, kind: Kind, stored: Stored) -> None:
        """Take an object away for good, and what it owns."""
        metadata = stored.content["metadata"]
        self._version += 1
        self.objects.pop((kind.resource, metadata.get("namespace", ""), metadata["name"]), None)
        for other in list(self.objects.values()):
            owners = other.content["metadata"].get("ownerReferences") or []
            if any(owner.get("uid") == metadata["uid"] for owner in owners):
                self.removed(self.kind_of(other), other)

    def kind_of(self, stored: Stored) -> Kind:
        return self.kind(stored.content["apiVersion"], stored.content["kind"])

    def all(self, *wanted: str) -> Iterator[tuple[Kind, Stored]]:
        """All objects of these kinds, or of all kinds."""
        for stored in list(self.objects.values()):
            if not wanted or stored.content["kind"] in wanted:
                yield self.kind_of(stored), stored

    def touch(self, stored: Stored, status: Json) -> None:
        """Set the status, as a controller does, if it differs."""
        if stored.content.get("status") != status:
            stored.content["status"] = status
            self._bump(stored)

    # within

    def _found(self, kind: Kind, namespace: str, name: str) -> Stored:
        with self.lock:
            stored = self.objects.get((kind.resource, namespace, name))
        if stored is None:
            raise not_found(kind.plural, kind.group, name)
        return stored

    def _shown(self, kind: Kind, stored: Stored) -> Json:
        with self.lock:
            return stored.shown() | {"apiVersion": kind.api_version, "kind": kind.kind}

    def _overtaken(self, kind: Kind, name: str) -> ApiError:
        text = (
            f'Operation cannot be fulfilled on {named(kind.plural, kind.group)} "{name}": the '
            "object has been modified; please apply your changes to the latest version"
        )
        return ApiError(409, "Conflict", text)

    def _bump(self, stored: Stored) -> None:
        self._version += 1
        stored.content["metadata"]["resourceVersion"] = self.version

    def _keep(
        self, kind: Kind, namespace: str, made: Stored, *, before: Stored | None, dry_run: bool
    ) -> Json:
        content = made.content
        metadata = content["metadata"]
        old = before.content if before else None
        if kind.namespaced:
            metadata["namespace"] = namespace
            self._refuse_namespace(namespace, creates=old is None)
        rules.fill_in(kind, content)
        rules.check(kind, content, before=old)
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata.setdefault("creationTimestamp", moment())
        if kind.has_status or kind.kind == "CustomResourceDefinition":
            self._count_generation(content, old)
        if dry_run:
            metadata.setdefault("resourceVersion", self.version)
            return self._shown(kind, made)
        if old is not None and _significant(old) == _significant(content):
            if before is not None and before.owners != made.owners:
                self._bump(made)
            self.objects[kind.resource, metadata.get("namespace", ""), metadata["name"]] = made
            return self._shown(kind, made)
        self._bump(made)
        self.objects[kind.resource, metadata.get("namespace", ""), metadata["name"]] = made
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self.removed(kind, made)
        return self._shown(kind, made)

    def _count_generation(self, content: Json, old: Json | None) -> None:
        """A generation is a content of everything but metadata and status."""
        before = (old or {}).get("metadata", {}).get("generation", 0)
        same = old is not None and _spec_of(old) == _spec_of(content)
        content["metadata"]["generation"] = before if same else before + 1

    def _refuse_namespace(self, namespace: str, *, creates: bool) -> None:
        key = (("", "namespaces"), "", namespace)
        found = self.objects.get(key)
        if found is None:
            raise not_found("namespaces", "", namespace)
        if creates and found.content["metadata"].get("deletionTimestamp"):
            text = (
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated"
            )
            raise ApiError(403, "Forbidden", text)


def _spec_of(content: Json) -> Json:
    return {k: v for k, v in content.items() if k not in ("metadata", "status", "apiVersion")}


def _significant(content: Json) -> str:
    metadata = {k: v for k, v in content["metadata"].items() if k != "resourceVersion"}
    text = json.dumps({**content, "metadata": metadata}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
