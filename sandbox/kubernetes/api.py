"""What a request to a cluster means: discovery, and the verbs on objects."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import yaml

from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.errors import ApiError
from sandbox.kubernetes.faults import Request
from sandbox.kubernetes.fields import merge
from sandbox.kubernetes.kinds import VERSION, Kind

Json = dict[str, Any]

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Http:
    """A request below the address of a cluster."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    agent: str
    body: bytes

    @property
    def dry_run(self) -> bool:
        return self.query.get("dryRun") == "All"

    @property
    def manager(self) -> str:
        return self.query.get("fieldManager") or self.agent.partition("/")[0] or "unknown"


@dataclass(frozen=True, slots=True)
class Place:
    """Which objects a path names; without a name all of a kind."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def place_of(path: str) -> Place | None:
    """Read a path; None for that of discovery."""
    parts = [part for part in path.split("/") if part]
    group, rest = ("", parts[1:]) if parts[:1] == ["api"] else ("/".join(parts[1:2]), parts[2:])
    if parts[:1] not in (["api"], ["apis"]) or len(rest) < 2:  # noqa: PLR2004
        return None
    version, *rest = rest
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":  # noqa: PLR2004
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "")[:3]
    return Place(group, version, plural, namespace, name, subresource)


def request_of(cluster: str, http: Http) -> Request:
    """Say what a request is about, for the log and for faults."""
    place = place_of(http.path)
    if place is None:
        return Request(cluster, "discover")
    verb = _VERBS.get(http.method) or ("get" if place.name else "list")
    if verb == "patch" and http.content_type == _APPLY:
        verb = "apply"
    return Request(cluster, verb, place.plural, place.namespace, place.name, http.dry_run)


def answer(cluster: Cluster, http: Http) -> tuple[int, Json]:
    """Do what is asked; raises ApiError."""
    place = place_of(http.path)
    if place is None:
        return 200, _discovered(cluster, http.path.strip("/"))
    kind = cluster.serves(place.group, place.version, place.plural)
    if kind is None:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    if http.query.get("dryRun") not in (None, "All"):
        raise ApiError(400, "BadRequest", 'Invalid value: "dryRun": must be "All"')
    if http.method == "GET":
        return 200, _read(cluster, kind, place, http.query)
    if http.method == "DELETE":
        options = json.loads(http.body) if http.body else {}
        uid = (options.get("preconditions") or {}).get("uid", "")
        return 200, cluster.delete(kind, place.namespace, place.name, uid=uid, dry_run=http.dry_run)
    if kind.namespaced and not place.namespace:
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method here")
    content = yaml.safe_load(http.body)
    if not isinstance(content, dict):
        raise ApiError(400, "BadRequest", "the object provided is unrecognized")
    return _written(cluster, kind, place, http, content)


def _written(
    cluster: Cluster, kind: Kind, place: Place, http: Http, content: Json
) -> tuple[int, Json]:
    common: Json = {"manager": http.manager, "dry_run": http.dry_run}
    if http.method == "POST":
        return 201, cluster.create(kind, place.namespace, content, **common)
    if http.method == "PATCH" and http.content_type == _APPLY:
        if not http.query.get("fieldManager"):
            text = "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value: is required"
            raise ApiError(422, "Invalid", text + " for apply patch")
        force = http.query.get("force", "").lower() == "true"
        found = cluster.apply(kind, place.namespace, place.name, content, force=force, **common)
        return 200, found
    if http.method == "PATCH":
        if "merge-patch" not in http.content_type:
            raise ApiError(415, "UnsupportedMediaType", f"no patch by {http.content_type}")
        before = cluster.get(kind, place.namespace, place.name)
        before["metadata"].pop("managedFields", None)
        strategic = "strategic" in http.content_type
        content = merge(before, content) if strategic else _patched(before, content)
    return 200, cluster.replace(
        kind, place.namespace, place.name, content, subresource=place.subresource, **common
    )


def _patched(before: Any, patch: Any) -> Any:
    """A JSON merge patch: RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    found = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _patched(found.get(key), value)
    return found


def _read(cluster: Cluster, kind: Kind, place: Place, query: dict[str, str]) -> Json:
    if place.name:
        return cluster.get(kind, place.namespace, place.name)
    if query.get("watch") in ("true", "1"):
        raise ApiError(405, "MethodNotAllowed", "the sandbox does not watch: ask again")
    found = cluster.listed(
        kind,
        place.namespace,
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
    )
    metadata: Json = {"resourceVersion": cluster.version}
    start = int(base64.b64decode(query["continue"])) if query.get("continue") else 0
    limit = int(query.get("limit") or 0)
    if limit and start + limit < len(found):
        metadata["continue"] = base64.b64encode(str(start + limit).encode()).decode()
        metadata["remainingItemCount"] = len(found) - start - limit
    found = found[start : start + limit] if limit else found
    return {
        "kind": f"{kind.kind}List",
        "apiVersion": kind.api_version,
        "metadata": metadata,
        "items": found,
    }


def _discovered(cluster: Cluster, path: str) -> Json:
    if path == "version":
        return dict(VERSION)
    if path == "api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    groups: dict[str, list[str]] = {}
    for kind in cluster.kinds:
        versions = groups.setdefault(kind.group, [])
        versions += [kind.version] if kind.version not in versions else []
    if path == "apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
            _group(name, versions) for name, versions in groups.items() if name
        ]}  # fmt: skip
    parts = path.split("/")
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in groups:  # noqa: PLR2004
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1], groups[parts[1]])}
    wanted = "/".join(parts[1:])
    served = [kind for kind in cluster.kinds if kind.api_version == wanted]
    if not served or parts[0] not in ("api", "apis"):
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    resources = [each for kind in served for each in kind.discovered()]
    return {"kind": "APIResourceList", "groupVersion": wanted, "resources": resources}


def _group(name: str, versions: list[str]) -> Json:
    found = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": found, "preferredVersion": found[0]}
