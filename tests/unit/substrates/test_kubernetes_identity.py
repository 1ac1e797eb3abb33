"""Which cluster and namespace a target is, whatever way it is reached."""

from __future__ import annotations

import json

import pytest

from phased_rollout.errors import UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.substrates import Identifies
from sandbox.kubernetes.server import SandboxClusters
from tests.unit.substrates.clusters import World


def test_a_cluster_is_the_same_by_any_context_and_another_in_another_namespace(
    kube: World,
) -> None:
    config = json.loads(kube.kubeconfig.read_text())
    again = {**config["contexts"][0], "name": "again"}
    kube.kubeconfig.write_text(json.dumps({**config, "contexts": [*config["contexts"], again]}))
    substrate = kube.substrate()
    assert isinstance(substrate, Identifies)
    found = substrate.identity(kube.target)
    assert found != ""
    assert substrate.identity(Target("again", {"context": "again"})) == found
    elsewhere = substrate.identity(Target("system", {"namespace": "kube-system"}))
    assert elsewhere not in ("", found)
    assert substrate.identity(Target("nowhere", {"namespace": "nowhere"})) == ""


def test_two_clusters_are_told_apart(
    kube: World, sandbox: SandboxClusters, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = World(sandbox, tmp_path_factory.mktemp("other"))
    assert other.substrate().identity(other.target) != kube.substrate().identity(kube.target)


def test_a_cluster_that_cannot_be_reached_is_no_stranger(kube: World) -> None:
    config = json.loads(kube.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    kube.kubeconfig.write_text(json.dumps(config))
    with pytest.raises(UnreachableError):
        kube.substrate().identity(kube.target)
