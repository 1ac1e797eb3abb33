"""The pods of workloads, how they fare, and the events that tell of it."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from sandbox.kubernetes.cluster import Cluster, moment
from sandbox.kubernetes.owners import Stored

Json = dict[str, Any]

_BEHAVIOURS = ("crash", "missing", "unready")
_HASH = "pod-template-hash"


def behaviour_of(template: Json) -> str:
    """How a pod of this template behaves: by the tags of its images; nothing when it runs."""
    images = [c.get("image", "") for c in (template.get("spec") or {}).get("containers") or ()]
    tags = [image.rpartition(":")[2] for image in images]
    return next((tag for tag in tags if tag in _BEHAVIOURS), "")


class Pods:
    """The pods of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def revision(self, owner: Stored) -> str:
        """Name the template of a workload."""
        text = json.dumps(owner.content["spec"]["template"], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def of(self, owner: Stored) -> list[Stored]:
        """The pods of a workload, of all its revisions."""
        uid = owner.content["metadata"]["uid"]
        return [
            pod
            for _, pod in self._cluster.all("Pod")
            if any(o["uid"] == uid for o in pod.content["metadata"].get("ownerReferences", ()))
        ]

    def have(self, owner: Stored, count: int, *, behaviour: str) -> None:
        """Let a workload have so many pods of its template, which behave so."""
        revision = self.revision(owner)
        mine = [p for p in self.of(owner) if p.content["metadata"]["labels"][_HASH] == revision]
        for extra in mine[count:]:
            self._cluster.drop(self._cluster.kind_of(extra), extra)
        for number in range(len(mine), count):
            metadata = owner.content["metadata"]
            self._create(owner, f"{metadata['name']}-{revision}-{metadata['uid'][:4]}{number}")
        for pod in self.of(owner):
            if pod.content["metadata"]["labels"][_HASH] == revision:
                self._behave(pod, behaviour)

    def retire(self, owner: Stored, *, all_of_them: bool) -> int:
        """Take pods of earlier templates away, or count those that still run."""
        revision = self.revision(owner)
        old = [p for p in self.of(owner) if p.content["metadata"]["labels"][_HASH] != revision]
        if all_of_them:
            for pod in old:
                self._cluster.drop(self._cluster.kind_of(pod), pod)
            return 0
        return sum(_is_ready(pod) for pod in old)

    def crash(self, namespace: str, owner: str) -> int:
        """Let all containers of a workload end once and be started again; how many did."""
        found = 0
        with self._cluster.lock:
            for _, pod in self._cluster.all("Pod"):
                metadata = pod.content["metadata"]
                owners = [o["name"] for o in metadata.get("ownerReferences", ())]
                if metadata.get("namespace") != namespace or owner not in owners:
                    continue
                for status in pod.content["status"].get("containerStatuses", ()):
                    status["restartCount"] += 1
                    status["lastState"] = {"terminated": _ended()}
                    found += 1
                self._warn(pod, "BackOff", "Back-off restarting failed container")
        return found

    def _create(self, owner: Stored, name: str) -> None:
        metadata, template = owner.content["metadata"], owner.content["spec"]["template"]
        labels = dict((template.get("metadata") or {}).get("labels") or {})
        reference = {
            "apiVersion": owner.content["apiVersion"],
            "kind": owner.content["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": labels | {_HASH: self.revision(owner)},
                "ownerReferences": [reference],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        kind = self._cluster.kind("v1", "Pod")
        namespace = metadata["namespace"]
        self._cluster.create(kind, namespace, pod, manager="kube-controller-manager")

    def _behave(self, pod: Stored, behaviour: str) -> None:
        statuses = [
            _container(container, behaviour, pod) for container in pod.content["spec"]["containers"]
        ]
        ready = not behaviour
        phase = {"": "Running", "completed": "Succeeded", "crash": "Running"}.get(behaviour)
        condition = {"type": "Ready", "status": "True" if ready else "False"}
        status = {
            "phase": phase or ("Running" if behaviour == "unready" else "Pending"),
            "conditions": [condition],
            "containerStatuses": statuses,
        }
        if pod.content.get("status", {}).get("phase") == "Running" and ready:
            return  # it runs, and may have been restarted since
        before = pod.content.get("status")
        self._cluster.touch(pod, status)
        if before == status:
            return
        image = pod.content["spec"]["containers"][0].get("image", "")
        if behaviour == "missing":
            self._warn(pod, "Failed", f'Failed to pull image "{image}": not found')
        elif behaviour == "crash":
            self._warn(pod, "BackOff", "Back-off restarting failed container")
        elif behaviour == "unready":
            self._warn(pod, "Unhealthy", "Readiness probe failed: HTTP probe failed")

    def _warn(self, pod: Stored, reason: str, message: str) -> None:
        metadata = pod.content["metadata"]
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{uuid.uuid4().hex[:12]}"},
            "type": "Warning",
            "reason": reason,
            "message": message,
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "count": 1,
            "firstTimestamp": moment(),
            "lastTimestamp": moment(),
        }
        kind = self._cluster.kind("v1", "Event")
        self._cluster.create(kind, metadata["namespace"], event, manager="kubelet")


def _is_ready(pod: Stored) -> bool:
    conditions = (pod.content.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _ended() -> Json:
    return {"exitCode": 1, "reason": "Error", "finishedAt": moment()}


def _container(container: Json, behaviour: str, pod: Stored) -> Json:
    status: Json = {
        "name": container["name"],
        "image": container.get("image", ""),
        "ready": not behaviour,
        "restartCount": 0,
        "state": {"running": {"startedAt": pod.content["metadata"]["creationTimestamp"]}},
        "lastState": {},
    }
    if behaviour == "crash":
        text = f"back-off 10s restarting failed container={container['name']}"
        status["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": text}}
        ended = {"exitCode": 1, "reason": "Error"}
        ended["finishedAt"] = pod.content["metadata"]["creationTimestamp"]
        status |= {"restartCount": 3, "lastState": {"terminated": ended}}
    elif behaviour == "missing":
        text = f'Back-off pulling image "{container.get("image", "")}"'
        status["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": text}}
    elif behaviour == "starting":
        status["state"] = {"waiting": {"reason": "ContainerCreating"}}
    elif behaviour == "completed":
        status["state"] = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    return status
