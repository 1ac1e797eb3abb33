import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from phased_rollout import changes, substrates
from phased_rollout.config import load
from phased_rollout.errors import RefusedError
from phased_rollout.model.definition import Definition, Target
from phased_rollout.model.target_state import Outcome
from phased_rollout.substrates.http.api import api
from phased_rollout.substrates.kubernetes.access import forget
from sandbox.kubernetes.client import SandboxKubernetes
from sandbox.kubernetes.server import SandboxClusters
from sandbox.stack.configs import EXAMPLES, clusters_of, config_with, tenants_of
from sandbox.stack.environment import Folders, build_env
from sandbox.tenants.access import connection_to
from sandbox.tenants.server import SandboxTenants
from tests.contract.drive import Guard
from tests.contract.harness import await_so
from tests.unit.stack.test_environment import make_settings

KUBERNETES, TENANTS = EXAMPLES / "kubernetes", EXAMPLES / "tenants"
TOKEN = "0123456789abcdef-1"


def test_a_definition_is_found_in_the_project_s_file_or_in_an_example() -> None:
    assert config_with("aws_accounts") == Folders().config
    assert config_with("kubernetes_clusters") == KUBERNETES / "channels.yaml"
    assert config_with("saas_tenants") == TENANTS / "channels.yaml"
    assert config_with("nowhere") == Folders().config


def test_the_clusters_of_a_file_are_those_of_its_targets(tmp_path: Path) -> None:
    names = ["playground-1", "test-1", "test-2", "production-eu", "production-us"]
    assert clusters_of(KUBERNETES / "channels.yaml") == names
    assert clusters_of(Folders().config) == []
    (tmp_path / "broken.yaml").write_text("rollouts: [")
    assert clusters_of(tmp_path / "broken.yaml") == []


def test_airflow_gets_a_connection_to_the_clusters() -> None:
    env = build_env(make_settings(kubernetes=True), inherited={})
    assert json.loads(env["AIRFLOW_CONN_KUBERNETES_ROLLOUT"]) == {
        "conn_type": "kubernetes",
        "extra": {"kube_config_path": "/state/kubeconfig"},
    }
    assert "AIRFLOW_CONN_KUBERNETES_ROLLOUT" not in build_env(make_settings(), inherited={})


def test_the_tenants_of_a_file_are_those_of_its_targets() -> None:
    found = tenants_of(TENANTS / "channels.yaml")
    assert (found[0], found[-1], len(found)) == ("acme-internal", "müller & söhne", 8)
    assert tenants_of(KUBERNETES / "channels.yaml") == []


def test_airflow_gets_a_connection_to_the_tenants() -> None:
    env = build_env(make_settings(tenants_endpoint="http://127.0.0.1:7"), inherited={})
    assert env["AIRFLOW_CONN_TENANTS_ROLLOUT"] == connection_to("http://127.0.0.1:7")
    assert "AIRFLOW_CONN_TENANTS_ROLLOUT" not in build_env(make_settings(), inherited={})


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Definition:
    """The example definition, with its clusters at hand as the stack would have them."""
    sandbox = SandboxClusters(pace=0.02).start()
    names = clusters_of(KUBERNETES / "channels.yaml")
    for name in names:
        sandbox.add(name)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(SandboxKubernetes(sandbox.endpoint).kubeconfig(*names)))
    connection = {"conn_type": "kubernetes", "extra": {"kube_config_path": str(kubeconfig)}}
    monkeypatch.setenv("AIRFLOW_CONN_KUBERNETES_ROLLOUT", json.dumps(connection))
    forget()
    yield load(KUBERNETES / "channels.yaml").definitions["kubernetes_clusters"]
    forget()
    sandbox.stop()


def roll(
    definition: Definition, change: str, target: Target, *, base: Path = KUBERNETES
) -> Outcome:
    templates = changes.templates_of(definition)
    loaded = changes.load(f"changes/{change}", base=base, given={}, templates=templates)
    assert substrates.problems_of(definition.substrate, loaded, definition.channels) == []
    substrate = substrates.build(definition.substrate)
    artifact = substrate.render(loaded, channel="playground", target=target)
    substrate.preview(target, artifact, token=TOKEN)
    token = f"{TOKEN}{change}"
    while True:
        done = substrate.apply(target, artifact, token=token, mutation=Guard())
        if done.outcome is not Outcome.WAITING:
            substrate.verify(target, artifact)
            return done.outcome
        await_so(lambda: substrate.settled(target, token=token), what="settled")


def test_the_example_reaches_all_its_clusters(example: Definition) -> None:
    targets = [target for channel in example.channels for target in channel.targets]
    for change in ("web", "more-replicas"):
        assert {roll(example, change, target) for target in targets} == {Outcome.DONE}


def test_the_failing_example_is_refused_by_its_first_cluster(
    example: Definition, tmp_path: Path
) -> None:
    target = example.channels[0].targets[0]
    roll(example, "web", target)
    with pytest.raises(RefusedError, match=r"ImagePullBackOff: .*web:missing"):
        roll(example, "missing-image", target)


@pytest.fixture
def tenants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Definition]:
    """The example definition, with its tenants as the stack would have them."""
    sandbox = SandboxTenants(pace=0.02).start()
    for name in tenants_of(TENANTS / "channels.yaml"):
        sandbox.plane.put(name, {"version": "2.3.0", "settings": {"theme": "light"}}, None)
    sandbox.plane.settle()
    monkeypatch.setenv("AIRFLOW_CONN_TENANTS_ROLLOUT", sandbox.connection())
    monkeypatch.setenv("PHASED_ROLLOUT_RECORDS", f"file://{tmp_path}/records")
    api.cache_clear()
    yield load(TENANTS / "channels.yaml").definitions["saas_tenants"]
    api.cache_clear()
    sandbox.stop()


def test_the_example_reaches_all_its_tenants(tenants: Definition) -> None:
    targets = [target for channel in tenants.channels for target in channel.targets]
    done = {roll(tenants, "upgrade", target, base=TENANTS) for target in targets}
    assert done == {Outcome.DONE}


def test_the_failing_example_is_refused_by_its_first_tenant(tenants: Definition) -> None:
    with pytest.raises(RefusedError, match=r'version "2\.5\.0", status "failed"'):
        roll(tenants, "failing-upgrade", tenants.channels[0].targets[0], base=TENANTS)
