"""Which cluster a target is, and that there is never another in its place."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from phased_rollout.errors import ConfigError, UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.substrates.kubernetes import KubernetesSubstrate
from phased_rollout.substrates.kubernetes.access import Access, cluster, forget
from sandbox.kubernetes.server import TOKEN, SandboxClusters
from tests.unit.substrates.clusters import World, config_map


@pytest.fixture
def connect(kube: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Reach the cluster by the connection ``kube`` with this extra."""

    def be(conn_type: str = "kubernetes", **extra: Any) -> None:
        content = {"conn_type": conn_type, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_KUBE", json.dumps(content))
        kube.options = {"record": "app", "connection": "kube"}
        forget()

    return be


def test_a_connection_holds_the_kubeconfig(kube: World, connect: Any) -> None:
    connect(kube_config=json.dumps(kube.api.kubeconfig(kube.name)))
    kube.apply(config_map(level="info"))
    assert kube.there("ConfigMap/settings") == [True]


def test_a_connection_names_a_kubeconfig_and_its_context(kube: World, connect: Any) -> None:
    connect(kube_config_path=str(kube.kubeconfig), cluster_context=kube.name)
    assert kube.read().running is None


@pytest.mark.parametrize(
    ("conn_type", "extra", "words"),
    [
        ("aws", {"kube_config": "{}"}, "is of type 'aws', not 'kubernetes'"),
        ("kubernetes", {}, "names no cluster, and nobody's default is taken instead"),
        ("kubernetes", {"namespace": "x", "in_cluster": False}, "names no cluster"),
        ("kubernetes", {"kube_config": "{secret"}, r"cannot be used \(\w+\)"),
    ],
)
def test_a_connection_that_is_no_good_fails_closed(
    kube: World, connect: Any, conn_type: str, extra: Any, words: str
) -> None:
    connect(conn_type, **extra)
    with pytest.raises(UnreachableError, match=words) as raised:
        kube.read()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere", "kubernetes_default"])
def test_a_connection_that_is_missing_is_not_made_up_for(
    kube: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kube.kubeconfig))
    kube.options = {"record": "app", "connection": name}
    with pytest.raises(UnreachableError, match=f"connection '{name}' does not exist"):
        kube.read()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kubeconfig": "/nowhere/config", "context": "x"}, "no such kubeconfig on this machine"),
        ({"context": "other"}, r"cannot be used \(ConfigException\)"),
        ({"context": None}, "no cluster is named"),
        ({"kubeconfig": None}, "no cluster is named"),
    ],
)
def test_a_kubeconfig_or_context_that_is_missing_fails_closed(
    kube: World, monkeypatch: pytest.MonkeyPatch, options: Any, words: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kube.kubeconfig))
    kube.options |= options
    with pytest.raises(UnreachableError, match=words):
        kube.read()


def test_a_target_s_own_way_wins() -> None:
    options = {"connection": "all", "context": "one"}
    assert Access.of(options, {}) == Access(connection="all", context="one")
    assert Access.of(options, {"kubeconfig": "/x", "context": "two"}) == Access(None, "/x", "two")
    assert Access.of(options, {"context": "two"}) == Access("all", None, "two")


def test_exec_credentials_are_asked_for(kube: World, tmp_path: Path) -> None:
    script = tmp_path / "get-token"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": TOKEN},
    }
    script.write_text(f"#!{sys.executable}\nprint({json.dumps(json.dumps(credential))})\n")
    script.chmod(0o700)
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(script),
            "args": ["eks", "get-token"],
            "interactiveMode": "Never",
        }
    }
    kube.kubeconfig.write_text(json.dumps(kube.api.kubeconfig(kube.name, user=user)))
    assert kube.apply(config_map(level="info")).reason
    script.write_text(f"#!{sys.executable}\nraise SystemExit(1)\n")
    forget()
    with pytest.raises(UnreachableError, match="the credentials are not taken"):
        kube.read()


def test_an_edited_kubeconfig_is_used_within_a_minute(
    kube: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.read()
    kube.kubeconfig.write_text(
        json.dumps(kube.api.kubeconfig(kube.name, user={"token": "revoked"}))
    )
    os.utime(kube.kubeconfig, ns=(1, 1))
    kube.read()
    monkeypatch.setattr("phased_rollout.substrates.kubernetes.access._TRUSTED", 0.0)
    with pytest.raises(UnreachableError, match="the credentials are not taken"):
        kube.read()


def test_many_clusters_at_once_are_never_mixed_up(
    sandbox: SandboxClusters, kube: World, tmp_path: Path
) -> None:
    names = [f"mixed-{number}" for number in range(12)]
    kube.api.add(*names)
    (tmp_path / "all").write_text(json.dumps(kube.api.kubeconfig(*names)))
    barrier, found = threading.Barrier(len(names)), dict[str, str]()

    def look(name: str) -> None:
        barrier.wait()
        reached = cluster(Access(None, str(tmp_path / "all"), name))
        found[name] = reached._dynamic.configuration.host.rpartition("/")[2]

    threads = [threading.Thread(target=look, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: name for name in names}


def test_a_record_has_to_be_named() -> None:
    with pytest.raises(ConfigError, match=r"options\.record is missing"):
        KubernetesSubstrate({"connection": "x"})


def test_a_namespace_of_the_target_wins(kube: World) -> None:
    kube.api.request(
        "POST", kube.name, "/api/v1/namespaces",
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
    )  # fmt: skip
    kube.target = Target("cluster", {"namespace": "shop"})
    kube.apply(config_map(level="info"))
    assert kube.live("ConfigMap", "settings", "shop") is not None
    assert kube.live("ConfigMap", "phased-rollout-app", "shop") is not None
