"""Airflow's own processes die and come back: see docs/outcomes.md."""

from __future__ import annotations

import pytest

from phased_rollout.model.ledger import Kind
from tests.integration.restarts import RESTARTS
from tests.integration.world import (
    NEW,
    OLD,
    RESTORED,
    World,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2700)]
SCENARIOS = RESTARTS
BY_NAME = {s.name: s for s in SCENARIOS}


@pytest.mark.scenario("killed_in_soak")
@pytest.mark.scenario("killed_in_apply")
@pytest.mark.parametrize("name", ["killed_in_soak", "killed_in_apply"])
def test_a_rollout_goes_on_after_scheduler_and_triggerer_were_killed(
    world: World, name: str
) -> None:
    scenario, run = BY_NAME[name], world.acted(name)
    assert run.state == "success"
    assert world.running(scenario) == {"playground-1": NEW, "production-1": NEW}
    assert [account for account, _ in world.executed(*scenario.accounts())] == scenario.accounts()
    assert not world.records(scenario, run.run_id).ledger().happened(Kind.ARMED)


@pytest.mark.scenario("killed_in_rollback")
def test_a_rollback_goes_on_after_scheduler_and_triggerer_were_killed(world: World) -> None:
    scenario, run = BY_NAME["killed_in_rollback"], world.acted("killed_in_rollback")
    assert run.state == "failed"
    assert world.running(scenario) == {
        "playground-1": RESTORED,
        "playground-2": RESTORED,
        "production-1": OLD,
        "production-2": OLD,
    }
    one, two = scenario.accounts("playground")
    attempts = world.executed(*scenario.accounts())
    assert [account for account, _ in attempts] == [one, two, one, two]
    assert len(set(attempts)) == 4


@pytest.mark.scenario("answer_lost")
def test_an_answer_that_airflow_lost_counts_and_nobody_is_asked_twice(world: World) -> None:
    scenario, run = BY_NAME["answer_lost"], world.acted("answer_lost")
    assert run.state == "success"
    assert world.running(scenario) == {"playground-1": NEW, "production-1": NEW}
    records = world.records(scenario, run.run_id)
    assert len(records.details(Kind.ASKED, channel="playground.gate")) == 1
    assert len(records.details(Kind.CLOSED, channel="playground.gate")) == 1
    approvals = records.details(Kind.APPROVED)
    assert [(a["channel"], a["user"]) for a in approvals] == [("playground", "approver")]
