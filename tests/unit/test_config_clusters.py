"""Kubernetes clusters in channels.yaml."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phased_rollout.config import load
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import AdapterSpec

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "include/examples/kubernetes/channels.yaml"
FILE = """\
version: 1
defaults: {soak: 5s}
rollouts:
  clusters:
    substrate: {kind: kubernetes, record: web, kubeconfig: /etc/kubeconfig}
    signals: [{kind: kubernetes_workloads, max_restarts: 1}]
    channels:
      - name: test
        targets:
          - {name: one, context: one}
          - {name: two, context: two, namespace: shop}
      - name: production
        targets:
          - {name: three, connection: three}
"""


def problems(tmp_path: Path, old: str, new: str) -> str:
    assert old in FILE
    (tmp_path / "channels.yaml").write_text(FILE.replace(old, new))
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "channels.yaml")
    return str(raised.value)


def test_targets_and_signals_know_how_their_cluster_is_reached(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text(FILE)
    found = load(tmp_path / "channels.yaml").definitions["clusters"]
    assert found.substrate == AdapterSpec(
        "kubernetes", {"record": "web", "kubeconfig": "/etc/kubeconfig"}
    )
    assert [dict(t.address) for c in found.channels for t in c.targets] == [
        {"context": "one"},
        {"context": "two", "namespace": "shop"},
        {"connection": "three"},
    ]
    assert found.channels[0].signals == (
        AdapterSpec(
            "kubernetes_workloads",
            {"kubeconfig": "/etc/kubeconfig", "record": "web", "max_restarts": 1},
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("record: web, ", "", "substrate.record: missing"),
        ("record: web", "record: Web", "cannot name a record"),
        ("/etc/kubeconfig", "kubeconfig", "is no place on every worker"),
        ("kubeconfig: /etc/kubeconfig", "namespace: x", "connection: missing: set it, or kubeconf"),
        (", context: one}", "}", "targets[0].context: missing: say which of the kubeconfig"),
        ("context: two, namespace: shop", "context: one", "this cluster is there already"),
        ("connection: three", "context: x, connection: y, kubeconfig: /z", "remove one of the two"),
        ("shop", "Shop!", "is no namespace"),
        ("max_restarts: 1", "max_restarts: -1", "max_restarts"),
        ("kind: kubernetes,", "kind: kubernets,", "did you mean 'kubernetes'"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert words in problems(tmp_path, old, new)


def test_two_definitions_cannot_have_the_same_record_of_a_cluster(tmp_path: Path) -> None:
    second = FILE.split("rollouts:\n")[1].replace("clusters:", "second:")
    (tmp_path / "channels.yaml").write_text(FILE + second)
    with pytest.raises(ConfigError, match="record web of this cluster is there already"):
        load(tmp_path / "channels.yaml")


def test_a_dag_over_clusters_is_parsed_without_a_client_for_them(tmp_path: Path) -> None:
    code = (
        "import sys; from phased_rollout.dag_factory import build_dags; "
        "print(sorted(build_dags())); "
        "print({'kubernetes', 'kubernetes_asyncio'} & {m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={
            "AIRFLOW_HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "plugins"),
            "PHASED_ROLLOUT_CONFIG": str(EXAMPLE),
        },
    )
    dags, client = done.stdout.splitlines()[-2:]
    assert "kubernetes_clusters" in dags
    assert client == "set()"
