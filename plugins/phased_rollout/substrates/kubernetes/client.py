"""The calls to one cluster, by the dynamic client, and what its answers mean."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from kubernetes.client import ApiClient  # type: ignore[import-untyped]  # has no types
from kubernetes.client.rest import ApiException  # type: ignore[import-untyped]  # has no types
from kubernetes.dynamic import DynamicClient  # type: ignore[import-untyped]  # has no types
from kubernetes.dynamic.resource import Resource  # type: ignore[import-untyped]  # has no types
from urllib3.exceptions import HTTPError

from phased_rollout.errors import RefusedError, RolloutError, UnreachableError

Json = dict[str, Any]
_T = TypeVar("_T")

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT = 401, 403, 404, 409
_TOO_MANY, _GONE, _SERVER = 429, 410, 500
_PAGE = 500
_RBAC = re.compile(r'cannot \w+ (resource|path)|User "')
_ENDING = re.compile(r"because it is being terminated")
# The server answers what a manifest's schema does not declare with an internal error.
_TYPED = re.compile(r"failed to create typed (patch|live) object|field not declared in schema")


class RefusedByClusterError(RefusedError):
    """The API server said no.

    :param code: of HTTP
    :param said: the server's own message
    """

    def __init__(self, message: str, *, code: int, said: str) -> None:
        super().__init__(message)
        self.code = code
        self.said = said


class _NoDiscovery:
    """In place of the client's own discovery, whose cache on disk may be another cluster's."""

    def __init__(self, *_: Any) -> None:
        pass


class Cluster:
    """One cluster's API server.

    :param name: in messages
    :param on_denied: called when the credentials are not taken
    """

    def __init__(self, client: ApiClient, *, name: str, on_denied: Callable[[], None]) -> None:
        self.name = name
        self._dynamic = DynamicClient(client, discoverer=_NoDiscovery)
        self._on_denied = on_denied
        self._lock = threading.Lock()
        self._served: dict[str, dict[str, Resource]] = {}

    # what is served

    def resource(self, api_version: str, kind: str) -> Resource | None:
        """Give how a kind is asked for; None when the cluster does not serve it."""
        found = self._served.get(api_version, {}).get(kind)
        return found or self._discover(api_version).get(kind)

    def resources(self) -> Iterator[Resource]:
        """Give all kinds, each in the version that the cluster prefers."""
        groups = self._ask("GET", "/apis").get("groups", [])
        for version in ["v1", *(g["preferredVersion"]["groupVersion"] for g in groups)]:
            yield from self._discover(version).values()

    def serving(self, kind: str) -> list[str]:
        """Give the versions in which a kind is served, in any group."""
        groups = self._ask("GET", "/apis").get("groups", [])
        versions = ["v1", *(v["groupVersion"] for g in groups for v in g["versions"])]
        return [version for version in versions if kind in self._discover(version)]

    def version(self) -> str:
        """Give the server's version, such as ``v1.33.1``."""
        return str(self._ask("GET", "/version").get("gitVersion", "of no version"))

    def uid_of_namespace(self, name: str) -> str:
        """Give what tells a namespace from those of its name elsewhere; empty when it is absent."""
        resource = self.resource("v1", "Namespace")
        found = self.get(resource, name, "") if resource else None
        return str(found["metadata"]["uid"]) if found else ""

    def _discover(self, api_version: str) -> dict[str, Resource]:
        group, _, version = api_version.rpartition("/")
        prefix = "apis" if group else "api"
        try:
            found = self._ask("GET", f"/{prefix}/{api_version}")
        except RefusedByClusterError as error:
            if error.code == _NOT_FOUND:
                return {}
            raise
        served = {
            each["kind"]: Resource(
                prefix=prefix,
                group=group,
                api_version=version,
                kind=each["kind"],
                namespaced=each["namespaced"],
                verbs=each.get("verbs", []),
                name=each["name"],
                client=self._dynamic,
            )
            for each in found.get("resources", [])
            if "/" not in each["name"]
        }
        with self._lock:
            self._served[api_version] = served
        return served

    # objects

    def get(self, resource: Resource, name: str, namespace: str) -> Json | None:
        """Give an object; None when it is not there."""
        try:
            return self._said(
                f"get {resource.kind} {name}",
                lambda: self._dynamic.get(
                    resource, name=name, namespace=namespace or None, serialize=False
                ),
            )
        except RefusedByClusterError as error:
            if error.code == _NOT_FOUND:
                return None
            raise

    def list(self, resource: Resource, namespace: str, **selectors: str) -> Iterator[Json]:
        """Give all objects of a kind, page by page; those of all namespaces without one."""
        token = ""
        while True:
            page = self._page(resource, namespace, {**selectors, "_continue": token or None})
            for item in page.get("items", []):
                yield {"apiVersion": resource.group_version, "kind": resource.kind, **item}
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return

    def _page(self, resource: Resource, namespace: str, chosen: Json) -> Json:
        return self._said(
            f"list {resource.name}",
            lambda: self._dynamic.get(
                resource, namespace=namespace or None, limit=_PAGE, serialize=False, **chosen
            ),
        )

    def apply(
        self, resource: Resource, manifest: Mapping[str, Any], namespace: str, *, manager: str,
        dry_run: bool = False,
    ) -> Json:  # fmt: skip
        """Apply a manifest, never by force; with ``dry_run`` the server stores nothing."""
        body = {**manifest, "metadata": {**manifest["metadata"]}}
        if resource.namespaced:
            body["metadata"]["namespace"] = namespace
        given = {"dry_run": "All"} if dry_run else {}
        return self._said(
            f"apply {resource.kind} {manifest['metadata']['name']}",
            lambda: self._dynamic.server_side_apply(
                resource,
                body=body,
                namespace=namespace or None,
                field_manager=manager,
                serialize=False,
                **given,
            ),
        )

    def delete(self, resource: Resource, name: str, namespace: str, *, uid: str) -> None:
        """Begin to delete an object, if it is still this one; done as well when it is gone."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid},
        }
        try:
            self._said(
                f"delete {resource.kind} {name}",
                lambda: self._dynamic.delete(
                    resource, name=name, namespace=namespace or None, body=options, serialize=False
                ),
            )
        except RefusedByClusterError as error:
            if error.code not in (_NOT_FOUND, _CONFLICT):
                raise

    def _ask(self, method: str, path: str) -> Json:
        return self._said(
            f"ask for {path}", lambda: self._dynamic.request(method, path, serialize=False)
        )

    def _said(self, what: str, send: Callable[[], Any]) -> Json:
        try:
            found: Json = json.loads(send().data)
        except ApiException as error:
            raise self._meant(what, error) from error
        except (HTTPError, OSError, ValueError) as error:
            # Its text may hold an address with credentials in it.
            why = type(getattr(error, "reason", None) or error).__name__
            raise UnreachableError(f"{self.name}: could not be asked to {what}: {why}") from error
        return found

    def _meant(self, what: str, error: ApiException) -> RolloutError:
        """Say what an error means: could not be asked (hold), or a refusal (failure)."""
        code, said = int(error.status or 0), _message(error)
        text = f"{self.name}: {what}: {said}"
        if code == _UNAUTHORIZED:
            self._on_denied()
            return UnreachableError(f"{text}: the credentials are not taken: mend them")
        if code == _FORBIDDEN and _RBAC.search(said):
            return UnreachableError(f"{text}: give the rollout's user this right")
        typed = _TYPED.search(said) is not None
        busy = code in (_TOO_MANY, _GONE) or (code >= _SERVER and not typed)
        if not code or busy or _ENDING.search(said):
            return UnreachableError(text)
        return RefusedByClusterError(text, code=code, said=said)


def _message(error: ApiException) -> str:
    """Give the message of a Status; of anything else the bare reason: it may be a whole page."""
    try:
        found = json.loads(error.body or "")
        return str(found["message"]).strip() or str(error.reason)
    except (ValueError, KeyError, TypeError):
        return f"{error.status} {error.reason}"
