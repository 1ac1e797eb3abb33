"""What the API server fills in and refuses, for the kinds that rollouts meet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sandbox.kubernetes.errors import ApiError, invalid
from sandbox.kubernetes.kinds import Kind

Json = dict[str, Any]

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_PORTS = range(1, 65536)
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job")
_KNOWN: dict[str, frozenset[str]] = {
    "Deployment": frozenset({
        "minReadySeconds", "paused", "progressDeadlineSeconds", "replicas", "revisionHistoryLimit",
        "selector", "strategy", "template",
    }),
    "ConfigMap": frozenset({"binaryData", "data", "immutable"}),
}  # fmt: skip
_IMMUTABLE = {
    "Deployment": ("selector",),
    "DaemonSet": ("selector",),
    "ReplicaSet": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
    "Job": ("selector", "template", "completions", "completionMode"),
}
_FROZEN = "field is immutable"


def refuse_unknown_fields(kind: Kind, patch: Json) -> None:
    """Refuse what the schema does not declare, as server-side apply does it: with a 500."""
    known = _KNOWN.get(kind.kind)
    inside = patch.get("spec") if kind.kind == "Deployment" else patch
    allowed = {*(known or ()), "apiVersion", "kind", "metadata"}
    for name in sorted(set(inside or {}) - allowed) if known else ():
        where = f"{patch['metadata'].get('namespace', '')}/{patch['metadata']['name']}".lstrip("/")
        prefix = ".spec" if kind.kind == "Deployment" else ""
        raise ApiError(
            500,
            "",
            f"failed to create typed patch object ({where}; {kind.api_version}, Kind={kind.kind}): "
            f"{prefix}.{name}: field not declared in schema",
        )


def fill_in(kind: Kind, content: Json) -> None:
    """Set the defaults that show."""
    spec = content.get("spec") if isinstance(content.get("spec"), dict) else {}
    assert spec is not None  # noqa: S101  # for the type checker
    if kind.kind in ("Deployment", "StatefulSet", "ReplicaSet"):
        spec.setdefault("replicas", 1)
    if kind.kind == "Deployment":
        spec.setdefault("progressDeadlineSeconds", 600)
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("strategy", {"type": "RollingUpdate"})
    if kind.kind == "StatefulSet":
        spec.setdefault("updateStrategy", {"type": "RollingUpdate"})
    if kind.kind == "DaemonSet":
        spec.setdefault("updateStrategy", {"type": "RollingUpdate"})
    if kind.kind == "Job":
        spec.setdefault("completions", 1)
        spec.setdefault("backoffLimit", 6)
    if kind.kind == "Namespace":
        content["spec"] = {"finalizers": ["kubernetes"]}
        content.setdefault("status", {"phase": "Active"})
        content["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = content[
            "metadata"
        ]["name"]
    if kind.kind == "PersistentVolumeClaim":
        content.setdefault("status", {"phase": "Pending"})


def check(kind: Kind, content: Json, *, before: Json | None) -> None:
    """Refuse an object that is not valid, or that changes what cannot be; raises ApiError."""
    name = content["metadata"].get("name", "")
    if causes := [*_problems(kind, content, name), *_changes(kind, content, before)]:
        raise invalid(kind.kind, kind.group, name, causes)


def _cause(field: str, message: str, reason: str = "FieldValueInvalid") -> Json:
    return {"reason": reason, "message": message, "field": field}


def _problems(kind: Kind, content: Json, name: str) -> Iterator[Json]:
    if not _NAME.fullmatch(name):
        text = f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case'
        yield _cause("metadata.name", text)
    spec = content.get("spec") or {}
    if kind.kind in _WORKLOADS and not ((spec.get("template") or {}).get("spec") or {}).get(
        "containers"
    ):
        yield _cause("spec.template.spec.containers", "Required value", "FieldValueRequired")
    if kind.kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        wanted = (spec.get("selector") or {}).get("matchLabels") or {}
        labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
        if not wanted:
            yield _cause("spec.selector", "Required value", "FieldValueRequired")
        elif any(labels.get(key) != value for key, value in wanted.items()):
            text = "Invalid value: `selector` does not match template `labels`"
            yield _cause("spec.template.metadata.labels", text)
    if kind.kind == "Service":
        for number, port in enumerate(spec.get("ports") or ()):
            if port.get("port") not in _PORTS:
                text = f"Invalid value: {port.get('port')}: must be between 1 and 65535, inclusive"
                yield _cause(f"spec.ports[{number}].port", text)
    if kind.kind == "ConfigMap":
        for key, value in (content.get("data") or {}).items():
            if not isinstance(value, str):
                yield _cause(f"data.{key}", "Invalid value: must be a string")


def _changes(kind: Kind, content: Json, before: Json | None) -> Iterator[Json]:
    if before is None:
        return
    if (
        kind.kind == "ConfigMap"
        and before.get("immutable")
        and (content.get("data") != before.get("data") or not content.get("immutable"))
    ):
        text = "Forbidden: field is immutable when `immutable` is set"
        yield _cause("data", text, "FieldValueForbidden")
    for name in _IMMUTABLE.get(kind.kind, ()):
        old, new = ((each.get("spec") or {}).get(name) for each in (before, content))
        if old != new:
            yield _cause(f"spec.{name}", f"Invalid value: {_FROZEN}")
    if kind.kind == "PersistentVolumeClaim" and before.get("spec") != content.get("spec"):
        text = "Forbidden: spec is immutable after creation except resources.requests"
        yield _cause("spec", text, "FieldValueForbidden")
