"""Reaches the stand-ins for clusters from tests and the demo."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode

from sandbox.kubernetes.server import TOKEN

Json = dict[str, Any]


class SandboxKubernetes:
    """Sets the clusters of a running sandbox up, and looks at what they were asked.

    :param endpoint: where the sandbox listens
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")

    def add(self, *names: str) -> None:
        """Make clusters, where they are not there yet."""
        self._ask("POST", "/_sandbox/clusters", {"names": list(names)})

    def fault(self, kind: str, **fault: Any) -> str:
        """Inject a fault, see ``sandbox.kubernetes.faults.Fault``; gives its id."""
        return str(self._ask("POST", "/_sandbox/faults", {"kind": kind, **fault})["id"])

    def clear_faults(self, fault_id: str | None = None) -> None:
        query = f"?{urlencode({'id': fault_id})}" if fault_id else ""
        self._ask("DELETE", f"/_sandbox/faults{query}")

    def calls(self, **equal: str) -> list[Json]:
        """The requests whose fields have these values."""
        found: list[Json] = self._ask("GET", f"/_sandbox/calls?{urlencode(equal)}")["calls"]
        return found

    def crash(self, *, cluster: str, namespace: str, workload: str) -> int:
        """Let the containers of a workload end and be started again."""
        body = {"cluster": cluster, "namespace": namespace, "workload": workload}
        return int(self._ask("POST", "/_sandbox/crashes", body)["containers"])

    def settings(self, *, pace: float) -> None:
        self._ask("POST", "/_sandbox/settings", {"pace": pace})

    def kubeconfig(self, *names: str, user: Json | None = None) -> Json:
        """A kubeconfig with a context for each cluster, named after it."""
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"server": f"{self.endpoint}/clusters/{name}"}}
                for name in names
            ],
            "users": [{"name": "sandbox", "user": user or {"token": TOKEN}}],
            "contexts": [
                {"name": name, "context": {"cluster": name, "user": "sandbox"}} for name in names
            ],
            "current-context": names[0],
        }

    def request(
        self,
        method: str,
        cluster: str,
        path: str,
        body: Json | None = None,
        *,
        content_type: str = "application/json",
        manager: str = "kubectl-edit",
    ) -> Json:
        """Ask a cluster as somebody with a tool of theirs would."""
        mark = "&" if "?" in path else "?"
        where = f"/clusters/{cluster}/{path.lstrip('/')}"
        if method != "GET":
            where += f"{mark}fieldManager={manager}"
        return self._ask(method, where, body, content_type=content_type)

    def _ask(
        self, method: str, path: str, body: Json | None = None, *, content_type: str = ""
    ) -> Json:
        headers = {"Content-Type": content_type or "application/json"}
        headers |= {"Authorization": f"Bearer {TOKEN}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  # our own http URL
            self.endpoint + path, data=data, method=method, headers=headers
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310  # as above
                found: Json = json.load(response)
        except urllib.error.HTTPError as error:
            raise SandboxRefusedError(error.code, error.read().decode()) from error
        return found


class SandboxRefusedError(Exception):
    """The sandbox answered with an error.

    :param code: of HTTP
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
