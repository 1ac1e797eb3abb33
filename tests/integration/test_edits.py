"""An edit of channels.yaml changes no rollout that is under way: see docs/outcomes.md."""

from __future__ import annotations

import pytest

from phased_rollout.model.ledger import Kind
from tests.integration.edits import EDITED, GOES_ON, HOLDS, STRANGERS
from tests.integration.world import (
    NEW,
    OLD,
    RESTORED,
    World,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2700)]
SCENARIOS = EDITED
ENV = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2"}
BY_NAME = {s.name: s for s in SCENARIOS}


def cases(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "name", [pytest.param(n, marks=pytest.mark.scenario(n)) for n in names]
    )


@cases(*GOES_ON)
def test_an_edit_of_targets_changes_no_rollout_under_way(world: World, name: str) -> None:
    scenario, run = BY_NAME[name], world.acted(name)
    assert run.state == "success"
    assert set(world.running(scenario).values()) == {NEW}
    executed = [account for account, _ in world.executed(*scenario.accounts())]
    assert executed == scenario.accounts()
    assert [c for c in world.aws.calls() if c["account"] in STRANGERS] == []
    ledger = world.records(scenario, run.run_id).ledger()
    assert not ledger.happened(Kind.ARMED)


@cases(*HOLDS)
def test_an_edit_of_channels_holds_a_rollout_until_the_file_is_as_it_was(
    world: World, name: str
) -> None:
    scenario, run = BY_NAME[name], world.acted(name)
    assert run.state == "success"
    assert set(world.running(scenario).values()) == {NEW}
    executed = [account for account, _ in world.executed(*scenario.accounts())]
    assert executed == scenario.accounts()
    assert [c for c in world.aws.calls() if c["account"] in STRANGERS] == []
    records = world.records(scenario, run.run_id)
    assert not records.ledger().happened(Kind.ARMED)
    assert not records.ledger().happened(Kind.FAILED)
    reasons = {r["reason"] for r in records.details(Kind.HELD)}
    edited = {reason for reason in reasons if reason.startswith("the file now says ")}
    assert edited
    for reason in edited:
        assert "this rollout was planned as playground → test → production" in reason
        assert reason.rpartition(": ")[0].endswith("instead, mark the run failed")
    # What began too early by the edited file waits for its turn once that is mended.
    assert all(r.startswith("holding until it is its turn: ") for r in reasons - edited)


@pytest.mark.scenario("file_spoilt")
def test_a_rollout_goes_on_with_its_plan_while_the_file_cannot_be_used(world: World) -> None:
    scenario, story = BY_NAME["file_spoilt"], world.acted("file_spoilt")
    assert story.states["spoilt"] == "success"
    assert set(story.seen["running"].values()) == {NEW}
    executed = [account for account, _ in world.executed(*scenario.accounts())]
    assert executed == scenario.accounts()
    assert world.records(scenario, story.run_id).details(Kind.FAILED) == []
    [error] = story.seen["errors"]
    assert f"{world.config}:" in error


@pytest.mark.scenario("file_spoilt")
def test_a_rollout_that_begins_while_the_file_cannot_be_used_touches_nothing(world: World) -> None:
    scenario, story = BY_NAME["file_spoilt"], world.acted("file_spoilt")
    assert story.states["begun while spoilt"] == "failed"
    assert f"nothing was touched:\n{world.config}:" in story.errors["begun while spoilt"]
    assert len(world.executed(*scenario.accounts())) == len(scenario.accounts())


@pytest.mark.scenario("file_spoilt_and_harm")
def test_a_rollback_happens_while_the_file_cannot_be_used(world: World) -> None:
    scenario, story = BY_NAME["file_spoilt_and_harm"], world.acted("file_spoilt_and_harm")
    assert story.states["spoilt"] == "failed"
    assert story.seen["running"] == {
        "playground-1": RESTORED,
        "test-1": OLD,
        "production-1": OLD,
    }
    playground = scenario.account("playground", 1)
    assert [a for a, _ in world.executed(*scenario.accounts())] == [playground] * 2
