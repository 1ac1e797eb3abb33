"""The kinds that a cluster serves: those of a 1.33 API server that rollouts meet, and of CRDs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VERSION = {"major": "1", "minor": "33", "gitVersion": "v1.33.0", "platform": "linux/amd64"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One served kind."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    has_status: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> tuple[str, str]:
        """What objects are stored under: all versions of a resource are the same objects."""
        return self.group, self.plural

    def discovered(self) -> list[Json]:
        """What discovery says of it, the status subresource included."""
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        own: Json = {
            "name": self.plural,
            "singularName": self.kind.lower(),
            "namespaced": self.namespaced,
            "kind": self.kind,
            "verbs": verbs,
        }
        status = {**own, "name": f"{self.plural}/status", "singularName": ""}
        status["verbs"] = ["get", "patch", "update"]
        return [own, status] if self.has_status else [own]


def _kinds(group_version: str, *rows: str) -> list[Kind]:
    group, _, version = group_version.rpartition("/")
    found = []
    for row in rows:
        kind, plural, *words = row.split()
        found.append(Kind(group, version, kind, plural, "cluster" not in words, "status" in words))
    return found


BUILT_IN = [
    *_kinds(
        "v1",
        "ConfigMap configmaps",
        "Endpoints endpoints",
        "Event events",
        "LimitRange limitranges",
        "Namespace namespaces cluster status",
        "PersistentVolume persistentvolumes cluster status",
        "PersistentVolumeClaim persistentvolumeclaims status",
        "Pod pods status",
        "ResourceQuota resourcequotas status",
        "Secret secrets",
        "Service services status",
        "ServiceAccount serviceaccounts",
    ),
    *_kinds(
        "apps/v1",
        "DaemonSet daemonsets status",
        "Deployment deployments status",
        "ReplicaSet replicasets status",
        "StatefulSet statefulsets status",
    ),
    *_kinds("batch/v1", "CronJob cronjobs status", "Job jobs status"),
    *_kinds("autoscaling/v2", "HorizontalPodAutoscaler horizontalpodautoscalers status"),
    *_kinds("policy/v1", "PodDisruptionBudget poddisruptionbudgets status"),
    *_kinds(
        "networking.k8s.io/v1",
        "Ingress ingresses status",
        "IngressClass ingressclasses cluster",
        "NetworkPolicy networkpolicies",
    ),
    *_kinds(
        "rbac.authorization.k8s.io/v1",
        "ClusterRole clusterroles cluster",
        "ClusterRoleBinding clusterrolebindings cluster",
        "Role roles",
        "RoleBinding rolebindings",
    ),
    *_kinds("storage.k8s.io/v1", "StorageClass storageclasses cluster"),
    *_kinds("scheduling.k8s.io/v1", "PriorityClass priorityclasses cluster"),
    *_kinds("coordination.k8s.io/v1", "Lease leases"),
    *_kinds(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition customresourcedefinitions cluster status",
    ),
]


def of_definition(crd: Json) -> list[Kind]:
    """The kinds that a CustomResourceDefinition adds."""
    spec = crd["spec"]
    return [
        Kind(
            spec["group"],
            version["name"],
            spec["names"]["kind"],
            spec["names"]["plural"],
            spec["scope"] == "Namespaced",
            "status" in (version.get("subresources") or {}),
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]
