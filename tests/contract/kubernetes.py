"""Kubernetes before the suite: namespaces of a cluster, the sandbox's or a real one.

With a kubeconfig in ``CONTRACT_KUBECONFIG`` (and a context in ``CONTRACT_CONTEXT``) it is that
cluster: every target is a namespace made for it and deleted afterwards, and replies are lost in the
client. Otherwise it is the sandbox, where they are lost on the way.
"""

from __future__ import annotations

import itertools
import json
import os
import tempfile
import uuid
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from kubernetes.client.rest import RESTClientObject
from urllib3.exceptions import ProtocolError

from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.substrates import Substrate
from phased_rollout.substrates.kubernetes import KubernetesSubstrate
from phased_rollout.substrates.kubernetes.access import Access, cluster, forget
from phased_rollout.substrates.kubernetes.client import Cluster
from sandbox.kubernetes.client import SandboxKubernetes
from sandbox.kubernetes.server import SandboxClusters

RECORD = "contract"
REAL, CONTEXT = "CONTRACT_KUBECONFIG", "CONTRACT_CONTEXT"
_SHOWN = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}}}
data: {{value: {value}}}
"""
_REFUSED = """\
apiVersion: v1
kind: Service
metadata: {name: refused}
spec: {ports: [{port: 70000}]}
"""
_KUBECTL = "kubectl-edit"


class KubernetesHarness:
    """ConfigMaps ``shown`` and ``extra`` in a namespace for each target."""

    many = 200

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._sandbox: SandboxClusters | None = None
        self._numbers = itertools.count(1)
        self._run = uuid.uuid4().hex[:6]
        self._made: list[str] = []
        if real := os.environ.get(REAL):
            self._kubeconfig = str(Path(real).expanduser().resolve())
            given = yaml.safe_load(Path(self._kubeconfig).read_text())
            self._context = os.environ.get(CONTEXT) or given["current-context"]
            self.many = 30  # each is a namespace
        else:
            self._sandbox = SandboxClusters(pace=0.02).start()
            self._sandbox.add("contract")
            self._context = "contract"
            config = SandboxKubernetes(self._sandbox.endpoint).kubeconfig("contract")
            self._kubeconfig = str(Path(self._folder.name) / "config")
            Path(self._kubeconfig).write_text(json.dumps(config))
        forget()

    def close(self) -> None:
        namespaces = self._cluster.resource("v1", "Namespace")
        for name in self._made if self._sandbox is None else ():
            found = self._cluster.get(namespaces, name, "")
            if found:
                self._cluster.delete(namespaces, name, "", uid=found["metadata"]["uid"])
        forget()
        if self._sandbox:
            self._sandbox.stop()
        self._folder.cleanup()

    @property
    def _cluster(self) -> Cluster:
        return cluster(Access(kubeconfig=self._kubeconfig, context=self._context))

    def substrate(self) -> Substrate:
        return KubernetesSubstrate(
            {"record": RECORD, "kubeconfig": self._kubeconfig, "context": self._context}
        )

    def target(self) -> Target:
        name = f"phased-rollout-{self._run}-{next(self._numbers)}"
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        namespaces = self._cluster.resource("v1", "Namespace")
        self._cluster.apply(namespaces, manifest, "", manager="contract-suite")
        self._made.append(name)
        return Target(name, {"namespace": name})

    def change(self, value: str, *, extra: bool = False) -> Change:
        files = {"shown.yaml": _SHOWN.format(name="shown", value=value)}
        if extra:
            files["extra.yaml"] = _SHOWN.format(name="extra", value="there")
        return Change(value, files)

    def _configmap(self, target: Target, name: str) -> Any:
        resource = self._cluster.resource("v1", "ConfigMap")
        return self._cluster.get(resource, name, target.address["namespace"])

    def shown(self, target: Target) -> tuple[str | None, bool]:
        found = self._configmap(target, "shown")
        value = found["data"]["value"] if found else None
        return value, self._configmap(target, "extra") is not None

    def trace(self, target: Target) -> Hashable:
        found = []
        for kind in ("ConfigMap", "Service"):
            resource = self._cluster.resource("v1", kind)
            for each in self._cluster.list(resource, target.address["namespace"]):
                metadata = each["metadata"]
                if metadata["name"] == "kube-root-ca.crt":
                    continue  # a controller puts it there when it comes round to it
                found.append((kind, metadata["name"], metadata["uid"], metadata["resourceVersion"]))
        return tuple(sorted(found))

    def by_hand(self, target: Target, value: str) -> None:
        resource = self._cluster.resource("v1", "ConfigMap")
        body = {"metadata": {"name": "shown"}, "data": {"value": value}}
        self._cluster._dynamic.patch(
            resource,
            body=body,
            namespace=target.address["namespace"],
            content_type="application/merge-patch+json",
            field_manager=_KUBECTL,
        )

    @contextmanager
    def refusal(self, target: Target) -> Iterator[tuple[Change, str]]:
        files = {**self.change("second").files, "refused.yaml": _REFUSED}
        yield Change("refused", files), "must be between 1 and 65535"

    @contextmanager
    def silence(self, target: Target) -> Iterator[None]:
        if self._sandbox:
            injector = SandboxKubernetes(self._sandbox.endpoint)
            fault = injector.fault("reset", count=None)
            try:
                yield
            finally:
                injector.clear_faults(fault)
            return
        lost = mock.Mock(side_effect=ProtocolError("silence"))
        with mock.patch.object(RESTClientObject, "request", lost):
            yield

    @contextmanager
    def lost_replies(self, target: Target, *, skip: int) -> Iterator[None]:
        namespace = target.address["namespace"]
        if self._sandbox:
            injector = SandboxKubernetes(self._sandbox.endpoint)
            fault = injector.fault("lost_reply", verb="mutation", namespace=namespace, skip=skip)
            try:
                yield
            finally:
                injector.clear_faults(fault)
            return
        real, left = RESTClientObject.request, [skip]

        def request(self: Any, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
            found = real(self, method, url, *args, **kwargs)
            query = str(kwargs.get("query_params") or "")
            if method != "GET" and "dryRun" not in url + query and f"/{namespace}/" in url:
                left[0] -= 1
                if left[0] == -1:
                    raise ProtocolError("the reply is lost")
            return found

        with mock.patch.object(RESTClientObject, "request", request):
            yield
