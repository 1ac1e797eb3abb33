"""What controllers do in a cluster, tick by tick: rollouts, namespaces, CustomResourceDefinitions.

How an image behaves is said by its tag: ``crash`` ends at once, ``missing`` cannot be pulled,
``unready`` never becomes ready; any other runs.
"""

from __future__ import annotations

import time
from typing import Any

from sandbox.kubernetes import kinds
from sandbox.kubernetes.cluster import Cluster, moment
from sandbox.kubernetes.kinds import Kind
from sandbox.kubernetes.owners import Stored
from sandbox.kubernetes.pods import Pods, behaviour_of

Json = dict[str, Any]

NODES = 2
"""Nodes of a cluster: as many pods a DaemonSet has."""

_STEADY = ("Deployment", "StatefulSet", "DaemonSet")


class Controllers:
    """The controllers of one cluster.

    :param pace: seconds until a controller sees a change, and again until its pods run
    """

    def __init__(self, cluster: Cluster, *, pace: float) -> None:
        self.cluster = cluster
        self.pace = pace
        self._pods = Pods(cluster)
        self._since: dict[str, tuple[int, float]] = {}

    def tick(self) -> None:
        """Let every controller do what is due."""
        with self.cluster.lock:
            for kind, stored in self.cluster.all("CustomResourceDefinition"):
                self._definition(kind, stored)
            for kind, stored in self.cluster.all("Namespace"):
                if "deletionTimestamp" in stored.content["metadata"]:
                    self._end_namespace(kind, stored)
            for _, stored in self.cluster.all(*_STEADY):
                self._workload(stored)
            for _, stored in self.cluster.all("Job"):
                self._job(stored)

    def _age(self, stored: Stored) -> float:
        """Seconds since this generation was first seen."""
        metadata, now = stored.content["metadata"], time.monotonic()
        generation, since = self._since.get(metadata["uid"], (0, now))
        if generation != metadata["generation"]:
            generation, since = metadata["generation"], now
            self._since[metadata["uid"]] = generation, since
        return now - since

    def _definition(self, kind: Kind, stored: Stored) -> None:
        content, cluster = stored.content, self.cluster
        added = kinds.of_definition(content)
        if "deletionTimestamp" in content["metadata"]:
            left = [o for o in cluster.objects.values() if self._is_one(o, added)]
            for other in left:
                cluster.removed(cluster.kind_of(other), other)
            if not left:
                cluster.kinds = [k for k in cluster.kinds if k not in added]
                cluster.drop(kind, stored)
            return
        if self._age(stored) < self.pace:
            return
        cluster.kinds += [each for each in added if each not in cluster.kinds]
        conditions = [
            {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts"},
            {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"},
        ]
        names = content["spec"]["names"]
        cluster.touch(stored, {"conditions": conditions, "acceptedNames": names})

    def _is_one(self, stored: Stored, added: list[Kind]) -> bool:
        api_version, kind = stored.content["apiVersion"], stored.content["kind"]
        return any((each.api_version, each.kind) == (api_version, kind) for each in added)

    def _end_namespace(self, kind: Kind, stored: Stored) -> None:
        name = stored.content["metadata"]["name"]
        inside = [o for key, o in self.cluster.objects.items() if key[1] == name]
        for other in inside:
            self.cluster.removed(self.cluster.kind_of(other), other)
        if not inside:
            self.cluster.drop(kind, stored)

    def _workload(self, stored: Stored) -> None:
        content, age = stored.content, self._age(stored)
        spec, metadata, kind = content["spec"], content["metadata"], content["kind"]
        if age < self.pace or spec.get("paused"):
            return
        wanted = NODES if kind == "DaemonSet" else spec["replicas"]
        runs = age >= 2 * self.pace
        behaviour = behaviour_of(spec["template"])
        ready = wanted if runs and not behaviour else 0
        self._pods.have(stored, wanted, behaviour=behaviour if runs else "starting")
        old = self._pods.retire(stored, all_of_them=runs and not behaviour)
        revision = self._pods.revision(stored)
        base = {"observedGeneration": metadata["generation"]}
        if kind == "DaemonSet":
            status = base | {
                "desiredNumberScheduled": wanted,
                "currentNumberScheduled": wanted,
                "updatedNumberScheduled": wanted,
                "numberAvailable": ready,
                "numberReady": ready,
                "numberUnavailable": wanted - ready,
                "numberMisscheduled": 0,
            }
        elif kind == "StatefulSet":
            done = ready == wanted
            earlier = (content.get("status") or {}).get("currentRevision", revision)
            status = base | {
                "replicas": wanted,
                "readyReplicas": ready,
                "availableReplicas": ready,
                "updatedReplicas": wanted,
                "currentRevision": revision if done else earlier,
                "updateRevision": revision,
            }
        else:
            status = base | self._of_deployment(stored, wanted, ready=ready, old=old, age=age)
        self.cluster.touch(stored, status)

    def _of_deployment(
        self, stored: Stored, wanted: int, *, ready: int, old: int, age: float
    ) -> Json:
        spec, name = stored.content["spec"], stored.content["metadata"]["name"]
        set_name = f"{name}-{self._pods.revision(stored)}"
        progressing = ("True", "ReplicaSetUpdated", f'ReplicaSet "{set_name}" is progressing.')
        if ready == wanted:
            text = f'ReplicaSet "{set_name}" has successfully progressed.'
            progressing = ("True", "NewReplicaSetAvailable", text)
        elif age >= spec["progressDeadlineSeconds"]:
            text = f'ReplicaSet "{set_name}" has timed out progressing.'
            progressing = ("False", "ProgressDeadlineExceeded", text)
        available = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if ready + old < wanted:
            text = "Deployment does not have minimum availability."
            available = ("False", "MinimumReplicasUnavailable", text)
        conditions = [
            {"type": kind, "status": word, "reason": reason, "message": message}
            for kind, (word, reason, message) in (
                ("Available", available),
                ("Progressing", progressing),
            )
        ]
        counts = {
            "replicas": wanted + old,
            "updatedReplicas": wanted,
            "readyReplicas": ready + old,
            "availableReplicas": ready + old,
            "unavailableReplicas": wanted - ready,
        }
        return {key: value for key, value in counts.items() if value} | {"conditions": conditions}

    def _job(self, stored: Stored) -> None:
        content, age = stored.content, self._age(stored)
        if age < 2 * self.pace or content["spec"].get("suspend"):
            return
        behaviour = behaviour_of(content["spec"]["template"])
        self._pods.have(stored, 1, behaviour=behaviour or "completed")
        if behaviour == "crash":
            condition = {
                "type": "Failed",
                "status": "True",
                "reason": "BackoffLimitExceeded",
                "message": "Job has reached the specified backoff limit",
            }
            self.cluster.touch(stored, {"failed": 1, "conditions": [condition]})
        elif not behaviour:
            conditions = [{"type": "Complete", "status": "True"}]
            started = (content.get("status") or {}).get("startTime", moment())
            succeeded = {"succeeded": content["spec"]["completions"], "startTime": started}
            self.cluster.touch(stored, {**succeeded, "conditions": conditions})
        else:
            self.cluster.touch(stored, {"active": 1})
