"""The example over fleets, on the hosts that the stack makes up for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from phased_rollout import aws as sessions
from phased_rollout import changes, substrates
from phased_rollout.config import load
from phased_rollout.errors import RefusedError
from phased_rollout.model.definition import Definition, Target
from phased_rollout.model.target_state import Artifact, Outcome
from sandbox.aws.client import SandboxAws
from sandbox.stack.configs import EXAMPLES, config_with
from sandbox.stack.environment import aws_connection
from sandbox.stack.seeding import seed_from
from tests.contract.drive import Guard
from tests.contract.harness import await_so

FLEETS = EXAMPLES / "fleets"
TOKEN = "0123456789abcdef-1"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Definition]:
    with SandboxAws.start() as aws:
        aws.settings(phase=0.01)
        connection = json.loads(aws_connection(aws.endpoint, password="sandbox"))
        monkeypatch.setenv("AIRFLOW_CONN_AWS_ROLLOUT", json.dumps(connection))
        sessions.forget()
        seed_from(FLEETS / "channels.yaml", endpoint=aws.endpoint)
        yield load(FLEETS / "channels.yaml").definitions["host_fleets"]
        sessions.forget()


def roll(definition: Definition, change: str, target: Target) -> Target:
    """Apply a change of the example; gives the target with its hosts."""
    substrate = substrates.build(definition.substrate)
    frozen = replace(target, members=substrate.members(target))  # type: ignore[attr-defined]
    artifact = rendered(definition, change, frozen)
    substrate.preview(frozen, artifact, token=TOKEN)
    while True:
        done = substrate.apply(frozen, artifact, token=f"{TOKEN}{change}", mutation=Guard())
        if done.outcome is not Outcome.WAITING:
            substrate.verify(frozen, artifact)
            return frozen
        await_so(lambda: substrate.settled(frozen, token=TOKEN), what="settled")


def rendered(definition: Definition, change: str, target: Target) -> Artifact:
    templates = changes.templates_of(definition)
    loaded = changes.load(f"changes/{change}", base=FLEETS, given={}, templates=templates)
    assert substrates.problems_of(definition.substrate, loaded, definition.channels) == []
    return substrates.build(definition.substrate).render(loaded, channel="main", target=target)


def test_the_definition_is_found_in_the_example() -> None:
    assert config_with("host_fleets") == FLEETS / "channels.yaml"


def test_the_example_reaches_all_hosts_of_all_slices(example: Definition) -> None:
    targets = [target for channel in example.channels for target in channel.targets]
    hosts = [host for target in targets for host in roll(example, "web", target).members]
    assert len(hosts) == len(set(hosts)) == 128


def test_the_failing_example_is_refused_by_its_first_slice_and_taken_back(
    example: Definition,
) -> None:
    substrate = substrates.build(example.substrate)
    canary = example.channels[0].targets[0]
    canary = replace(canary, members=substrate.members(canary))  # type: ignore[attr-defined]
    before = substrate.read(canary)
    with pytest.raises(RefusedError, match=r"failed on 2.*releases/1.6.0/manifest: No such file"):
        roll(example, "missing-release", canary)
    while True:
        done = substrate.restore(
            canary,
            before=before,
            applied=rendered(example, "missing-release", canary),
            token="0123456789abcdef-9",
            mutation=Guard(),
        )
        if done.outcome is not Outcome.WAITING:
            break
        await_so(lambda: substrate.settled(canary, token=TOKEN), what="settled")
    assert done.outcome is Outcome.DONE
    assert substrate.read(canary).running is None
