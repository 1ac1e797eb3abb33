"""A cluster of the sandbox, and the substrate that changes it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Artifact, Preview, Progress, TargetState
from phased_rollout.substrates.kubernetes import KubernetesSubstrate
from sandbox.kubernetes.client import SandboxKubernetes, SandboxRefusedError
from sandbox.kubernetes.server import SandboxClusters
from tests.contract.drive import APPLY, PREVIEW, Driver, Guard
from tests.contract.harness import Harness

Json = dict[str, Any]

_names = (f"c{number}" for number in itertools.count(1))
_PATHS = {
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "Namespace": "/api/v1/namespaces",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Widget": "/apis/example.org/v1/namespaces/{}/widgets",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}


class World:
    """One cluster of its own; its only target is all of it."""

    def __init__(self, sandbox: SandboxClusters, folder: Path) -> None:
        self.name = next(_names)
        sandbox.add(self.name)
        self.api = SandboxKubernetes(sandbox.endpoint)
        self.kubeconfig = folder / "config"
        self.kubeconfig.write_text(json.dumps(self.api.kubeconfig(self.name)))
        self.options: Json = {
            "record": "app",
            "kubeconfig": str(self.kubeconfig),
            "context": self.name,
        }
        self.target = Target("cluster", {})

    def substrate(self) -> KubernetesSubstrate:
        return KubernetesSubstrate(self.options)

    @property
    def driver(self) -> Driver:
        harness: Harness = self  # type: ignore[assignment]  # as much of one as a driver needs
        return Driver(harness, self.target)

    def artifact(self, *manifests: Json) -> Artifact:
        return self.driver.artifact(change(*manifests))

    def apply(self, *manifests: Json, token: str = APPLY, **kwargs: Any) -> Progress:
        return self.driver.apply(change(*manifests), token=token, **kwargs)

    def step(self, *manifests: Json, token: str = APPLY) -> Progress:
        """Take one step only."""
        return self.substrate().apply(
            self.target, self.artifact(*manifests), token=token, mutation=Guard()
        )

    def restore(self, before: TargetState, *applied: Json) -> Progress:
        return self.driver.restore(before, change(*applied))

    def read(self) -> TargetState:
        return self.driver.read()

    def preview(self, *manifests: Json) -> Preview:
        artifact = self.artifact(*manifests)
        return self.substrate().preview(self.target, artifact, token=PREVIEW)

    def live(self, kind: str, name: str, namespace: str = "default") -> Json | None:
        try:
            return self.api.request("GET", self.name, f"{_PATHS[kind].format(namespace)}/{name}")
        except SandboxRefusedError as error:
            if error.code == 404:
                return None
            raise

    def there(self, *named: str) -> list[bool]:
        """Say of each ``Kind/name`` in the namespace ``default`` whether it is there."""
        return [self.live(*each.split("/")) is not None for each in named]

    def by_hand(
        self, manifest: Json, *, manager: str = "kubectl-edit", namespace: str = "default"
    ) -> None:
        """Make an object, or change it, as a colleague would."""
        path, name = _PATHS[manifest["kind"]].format(namespace), manifest["metadata"]["name"]
        if self.live(manifest["kind"], name, namespace) is None:
            self.api.request("POST", self.name, path, manifest, manager=manager)
        else:
            self.api.request(
                "PATCH",
                self.name,
                f"{path}/{name}",
                manifest,
                content_type="application/merge-patch+json",
                manager=manager,
            )

    def delete(self, kind: str, name: str, namespace: str = "default") -> None:
        self.api.request("DELETE", self.name, f"{_PATHS[kind].format(namespace)}/{name}")


def change(*manifests: Json) -> Change:
    """A change of these manifests."""
    return Change("change", {"all.yaml": "\n---\n".join(map(json.dumps, manifests))})


def config_map(name: str = "settings", /, *, namespace: str = "", **data: str) -> Json:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def workload(kind: str = "Deployment", *, image: str = "web:1", **spec: Any) -> Json:
    labels = {"app": "web"}
    pod = {"containers": [{"name": "web", "image": image}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    of_job = kind == "Job"
    if of_job:
        pod["restartPolicy"] = "Never"  # type: ignore[assignment]  # a pod has both
    else:
        spec["selector"] = {"matchLabels": labels}
    return {
        "apiVersion": "batch/v1" if of_job else "apps/v1",
        "kind": kind,
        "metadata": {"name": "web"},
        "spec": {**spec, "template": template},
    }


def definition() -> Json:
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget"}
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.org"},
        "spec": {
            "group": "example.org",
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }


def widget(name: str) -> Json:
    body = {"apiVersion": "example.org/v1", "kind": "Widget", "metadata": {"name": name}}
    return {**body, "spec": {"size": 1}}
