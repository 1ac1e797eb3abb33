import json
from pathlib import Path

import pytest

from phased_rollout import changes, substrates
from phased_rollout.config import load
from phased_rollout.errors import RefusedError
from phased_rollout.model.definition import Definition, Target
from phased_rollout.model.target_state import Outcome
from phased_rollout.substrates.kubernetes.access import forget
from sandbox.kubernetes.client import SandboxKubernetes
from sandbox.kubernetes.server import SandboxClusters
from sandbox.stack.configs import EXAMPLES, clusters_of, config_with
from sandbox.stack.environment import Folders, build_env
from tests.contract.drive import Guard
from tests.contract.harness import await_so
from tests.unit.stack.test_environment import make_settings

KUBERNETES = EXAMPLES / "kubernetes"
TOKEN = "0123456789abcdef-1"


def test_a_definition_is_found_in_the_project_s_file_or_in_an_example() -> None:
    assert config_with("aws_accounts") == Folders().config
    assert config_with("kubernetes_clusters") == KUBERNETES / "channels.yaml"
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


def roll(definition: Definition, change: str, target: Target) -> Outcome:
    templates = changes.templates_of(definition)
    loaded = changes.load(f"changes/{change}", base=KUBERNETES, given={}, templates=templates)
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
