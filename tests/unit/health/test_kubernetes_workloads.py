"""How workloads fare since the apply."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phased_rollout.errors import ConfigError, UnreachableError
from phased_rollout.health.kubernetes_workloads import KubernetesWorkloads
from phased_rollout.model.target_state import Health, Observation
from phased_rollout.substrates.kubernetes.access import forget
from sandbox.kubernetes.server import SandboxClusters
from tests.contract.drive import AGAIN
from tests.unit.substrates.clusters import World, config_map, workload


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[World]:
    sandbox = SandboxClusters(pace=0.02).start()
    forget()
    yield World(sandbox, tmp_path)
    forget()
    sandbox.stop()


def observed(kube: World, **options: Any) -> list[Observation]:
    return list(KubernetesWorkloads({**kube.options, **options}).observe(kube.target))


def crash(kube: World) -> None:
    kube.api.crash(cluster=kube.name, namespace="default", workload="web")


def test_a_workload_that_is_ready_is_well(kube: World) -> None:
    kube.apply(workload(), config_map())
    assert observed(kube) == [
        Observation("cluster", "Deployment default/web", Health.OK, "1 replicas are available")
    ]


@pytest.mark.parametrize("manifests", [(), (config_map(),)])
def test_no_workload_is_unknown(kube: World, manifests: Any) -> None:
    if manifests:
        kube.apply(*manifests)
    (found,) = observed(kube)
    assert (found.health, found.signal) == (Health.UNKNOWN, "kubernetes_workloads")
    assert "holds no workload" in found.detail


def test_a_restart_since_the_apply_is_harm(kube: World) -> None:
    kube.apply(workload())
    crash(kube)
    (found,) = observed(kube)
    assert found.health is Health.HARM
    assert "1 restarts since the apply: web-" in found.detail
    assert "BackOff: Back-off restarting failed container" in found.detail
    assert observed(kube, max_restarts=1)[0].health is Health.OK
    crash(kube)
    assert observed(kube, max_restarts=1)[0].health is Health.HARM


def test_a_restart_before_the_apply_is_none_of_ours(kube: World) -> None:
    kube.apply(workload())
    crash(kube)
    time.sleep(1.1)  # the API tells times to the second
    kube.apply(workload(), config_map(level="info"), token=AGAIN)
    assert observed(kube)[0].health is Health.OK
    crash(kube)
    assert observed(kube)[0].health is Health.HARM


def test_too_many_warnings_are_harm_where_a_number_is_set(kube: World) -> None:
    kube.apply(workload())
    crash(kube)
    assert observed(kube, max_restarts=9)[0].health is Health.OK
    assert observed(kube, max_restarts=9, max_warnings=0)[0].health is Health.HARM


def test_a_workload_that_is_gone_or_not_ready_is_harm(kube: World) -> None:
    kube.apply(workload(), workload("DaemonSet"))
    kube.delete("DaemonSet", "web")
    kube.by_hand({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}})
    kube.api.settings(pace=0.0)
    found = {each.signal: each for each in observed(kube)}
    assert found["DaemonSet default/web"].health is Health.HARM
    assert found["DaemonSet default/web"].detail == "it is gone"


def test_a_status_of_an_earlier_generation_is_unknown(kube: World) -> None:
    kube.apply(workload())
    kube.api.settings(pace=30.0)
    kube.by_hand({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}})
    assert observed(kube)[0].health is Health.UNKNOWN


def test_a_cluster_that_does_not_answer_is_no_word_about_it(kube: World) -> None:
    kube.apply(workload())
    kube.api.fault("error", cluster=kube.name, count=None)
    with pytest.raises(UnreachableError):
        observed(kube)


def test_a_record_has_to_be_named() -> None:
    with pytest.raises(ConfigError, match=r"options\.record is missing"):
        KubernetesWorkloads({})
