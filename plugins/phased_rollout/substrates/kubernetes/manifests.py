"""A change's manifests: read from its files, judged without a cluster, and put in order."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.digest import canonical_json, digest_of
from phased_rollout.model.target_state import Artifact
from phased_rollout.substrates.kubernetes.reading import documents

Json = dict[str, Any]

FILES = (".yaml", ".yml", ".json")
MAX_BYTES = 800_000
"""Of all manifests, packed: they are kept in a ConfigMap, which holds a megabyte."""

NAMESPACE, DEFINITION, CLAIM = "Namespace", "CustomResourceDefinition", "PersistentVolumeClaim"
_FIRST = (NAMESPACE, DEFINITION)
# After these whatever has no place of its own; the last are those that judge other objects.
_ORDER = (
    *_FIRST,
    "PriorityClass",
    "StorageClass",
    "ResourceQuota",
    "LimitRange",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "Secret",
    "ConfigMap",
    "PersistentVolume",
    CLAIM,
    "Service",
    "DaemonSet",
    "Deployment",
    "StatefulSet",
    "Job",
    "CronJob",
)
_LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "APIService")
# They become steps of a path: one with a slash, or of dots only, would lead to another object.
_API_VERSION = re.compile(r"([a-z0-9][a-z0-9.-]*/)?[a-z0-9]+")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"(?!\.{1,2}$)[^/%?#\\\s\x00-\x1f\x7f]{1,253}")
_OF_THE_SERVER = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """What names an object in a cluster, whatever its version.

    :param namespace: empty for one of the cluster's own
    """

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.path}"

    @property
    def path(self) -> str:
        """Name it within its kind."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def group_of(api_version: str) -> str:
    """Give the API group of an ``apiVersion``."""
    return api_version.rpartition("/")[0]


def ref_of(manifest: Mapping[str, Any], *, namespace: str = "") -> Ref:
    """Name the object of a manifest, which is in this namespace."""
    group, metadata = group_of(manifest["apiVersion"]), manifest["metadata"]
    return Ref(group, manifest["kind"], namespace, metadata["name"])


def is_first(manifest: Mapping[str, Any]) -> bool:
    """Say whether others may need it to be there: a namespace or a definition of a kind."""
    return manifest["kind"] in _FIRST


def in_order(manifests: Iterable[Json]) -> list[Json]:
    """Put namespaces and definitions first, what judges other objects last; stable otherwise."""
    return sorted(manifests, key=lambda manifest: _place(manifest["kind"]))


def _place(kind: str) -> int:
    if kind in _LAST:
        return len(_ORDER) + 1
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def render(change: Change) -> Artifact:
    """Give the change's manifests, in order; raises ChangeError with all that is wrong."""
    problems: list[str] = []
    if change.parameters or change.channels or change.targets or change.given:
        problems.append("manifests take no parameters: render them before (helm, kustomize)")
    if change.tags or change.capabilities:
        problems.append("manifests have no tags and no capabilities: label the objects themselves")
    found: dict[tuple[str, ...], str] = {}
    manifests: list[Json] = []
    for file, text in sorted(change.files.items()):
        if not file.endswith(FILES):
            problems.append(f"{file}: unknown file: manifests end with {', '.join(FILES)}")
            continue
        try:
            read = list(_documents(file, text))
        except ChangeError as error:
            problems.append(str(error))
            continue
        for where, manifest in read:
            wrong = list(_problems(manifest))
            problems += [f"{where}: {problem}" for problem in wrong]
            if not wrong:
                first = found.setdefault(_identity(manifest), where)
                if first != where:
                    problems.append(f"{where}: the same object is in {first}: remove one")
                manifests.append(_without_nulls(manifest))
    if not manifests and not problems:
        problems.append("no manifest is in it: nothing would be rolled out")
    if problems:
        raise ChangeError("\n".join(f"change {change.name!r}: {each}" for each in problems))
    return artifact(in_order(manifests))


def artifact(manifests: Sequence[Json]) -> Artifact:
    """Name manifests by their content, in any order."""
    objects = json.loads(canonical_json(list(manifests)))
    return Artifact(
        digest_of({"objects": sorted(map(canonical_json, objects))}), {"objects": objects}
    )


def _without_nulls(manifest: Json) -> Json:
    """Leave out what generators write as nothing: ``creationTimestamp: null``."""
    given = manifest["metadata"].items()
    metadata = {k: v for k, v in given if not (k in _OF_THE_SERVER and v is None)}
    return {**manifest, "metadata": metadata}


def _identity(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    metadata = manifest["metadata"]
    group = group_of(manifest["apiVersion"])
    return group, manifest["kind"], metadata.get("namespace") or "", metadata["name"]


def _documents(file: str, text: str) -> Iterator[tuple[str, Json]]:
    """Give each manifest with where it stands; those of a List one by one."""
    for line, value in documents(file, text):
        where = f"{file}:{line}"
        yield from ((where if n == 0 else f"{where} item {n}", each) for n, each in _items(value))


def _items(value: Any) -> Iterator[tuple[int, Any]]:
    """Give an object, or those of a List, with its number."""
    is_list = isinstance(value, dict) and str(value.get("kind", "")).endswith("List")
    if is_list and isinstance(value.get("items"), list):
        yield from enumerate(value["items"], start=1)
    else:
        yield 0, value


def _problems(manifest: Any) -> Iterator[str]:
    if not isinstance(manifest, dict):
        yield "is no object: write apiVersion, kind and metadata"
        return
    metadata = manifest.get("metadata")
    for key in ("apiVersion", "kind"):
        if not isinstance(manifest.get(key), str) or not manifest[key]:
            yield f"{key} is missing: write it"
        elif key == "apiVersion" and not _API_VERSION.fullmatch(manifest[key]):
            yield "apiVersion is none: write it as in apps/v1"
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        given = isinstance(metadata, dict) and "generateName" in metadata
        why = ": generateName would make another object each time" if given else ": write it"
        yield f"metadata.name is missing{why}"
        return
    yield from _misnamed(metadata)
    if given_by_server := [key for key in _OF_THE_SERVER if metadata.get(key) is not None]:
        yield f"metadata has {', '.join(given_by_server)}, which the server sets: remove it"
    annotations = metadata.get("annotations") or {}
    if not isinstance(annotations, dict):
        yield "metadata.annotations must be a mapping: correct it"
    elif hook := annotations.get("helm.sh/hook"):
        yield f"is a hook of Helm ({hook}), which nothing would run: helm template --no-hooks"
    if manifest.get("kind") == "Secret" and (manifest.get("data") or manifest.get("stringData")):
        yield (
            "is a Secret with its data, which would be kept in the records and in the cluster's "
            "record: let an operator make it (ExternalSecret, SealedSecret), or make it by hand"
        )


def _misnamed(metadata: Mapping[str, Any]) -> Iterator[str]:
    if not _NAME.fullmatch(metadata["name"]):
        yield "metadata.name is no name that an object can have: correct it"
    namespace = metadata.get("namespace")
    if namespace and not (isinstance(namespace, str) and _NAMESPACE.fullmatch(namespace)):
        yield "metadata.namespace is no namespace's name: correct it"
