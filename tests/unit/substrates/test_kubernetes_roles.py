"""The roles for clusters allow what the product was seen to ask for, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from phased_rollout.health.kubernetes_workloads import KubernetesWorkloads
from phased_rollout.model.target_state import Health
from tests.unit.substrates.clusters import World, config_map, workload

ROLES = Path(__file__).parents[3] / "docs" / "roles"
Right = tuple[str, str]
ONLY_FOR_NEWS = {("events", "list"), ("pods", "list")}
"""Asked for only when something does not come up."""


def allowed(name: str) -> set[Right]:
    role = yaml.safe_load((ROLES / name).read_text())
    assert (role["apiVersion"], role["kind"]) == ("rbac.authorization.k8s.io/v1", "Role")
    return {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked(calls: list[dict[str, Any]]) -> set[Right]:
    """Give the rights that requests need; server-side apply patches, and creates what is new."""
    means = {"apply": ("create", "patch")}
    return {
        (call["resource"], verb)
        for call in calls
        if call["resource"]
        for verb in means.get(call["verb"], (call["verb"],))
    }


def test_the_role_to_deploy_allows_what_a_rollout_and_its_rollback_ask_for(kube: World) -> None:
    before = kube.read()
    manifests = (workload(), config_map())
    kube.preview(*manifests)
    kube.apply(*manifests)
    kube.restore(before, *manifests)
    seen = asked(kube.api.calls(cluster=kube.name))
    assert seen <= allowed("kubernetes-deploy.yaml")
    assert allowed("kubernetes-deploy.yaml") - seen <= ONLY_FOR_NEWS


def test_the_role_to_read_allows_what_the_signal_asks_for_and_no_more(kube: World) -> None:
    kube.apply(workload(), config_map())
    signal = KubernetesWorkloads(kube.options)
    known = len(kube.api.calls(cluster=kube.name))
    assert [o.health for o in signal.observe(kube.target)] == [Health.OK]
    seen = asked(kube.api.calls(cluster=kube.name)[known:])
    assert seen == allowed("kubernetes-read.yaml")
