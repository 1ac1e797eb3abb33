"""Metrics that are judged, on real Airflow: harm that no alarm knows, a shock to all, silence."""

from __future__ import annotations

import pytest

from phased_rollout.judge.case import parse
from phased_rollout.judge.judging import judge
from phased_rollout.model.ledger import Kind
from sandbox.prometheus import MISSING, is_installed
from tests.integration.health import FIVE, SCENARIOS
from tests.integration.world import NEW, OLD, RESTORED, World

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2700)]
needs_prometheus = pytest.mark.skipif(not is_installed(), reason=MISSING)
BY_NAME = {s.name: s for s in SCENARIOS}


def everywhere(*states: str) -> dict[str, str]:
    """Say what the targets of each channel run."""
    return {f"{c}-{n}": s for c, s in zip(FIVE, states, strict=True) for n in (1, 2, 3)}


@pytest.mark.scenario("worsened")
def test_a_metric_that_worsens_after_the_apply_in_test_is_found_and_rolled_back(
    world: World,
) -> None:
    scenario, run = BY_NAME["worsened"], world.acted("worsened")
    assert run.state == "failed"
    assert world.running(scenario) == everywhere(RESTORED, RESTORED, OLD, OLD, OLD)
    records = world.records(scenario, run.run_id)
    judged = records.details(Kind.JUDGED, channel="test")[-1]
    assert (judged["verdict"], judged["metrics"][0]["name"]) == ("fail", "errors")
    assert set(judged["metrics"][0]["drivers"]) <= {"test-1", "test-2", "test-3"}
    again = judge(parse(records.store.get(judged["case"])))
    assert again.verdict == "fail"
    [failed] = [r for r in records.details(Kind.FAILED, channel="test") if "errors" in r["reason"]]
    assert failed["task"] in ("test.soak", "test.health"), "a look may have found it already"
    assert "errors: worse by" in failed["reason"]


@pytest.mark.scenario("shocked")
def test_a_shock_to_the_whole_fleet_is_not_held_against_the_change(world: World) -> None:
    scenario, run = BY_NAME["shocked"], world.acted("shocked")
    assert run.state == "success"
    assert world.running(scenario) == everywhere(NEW, NEW, NEW, NEW, NEW)
    found = world.records(scenario, run.run_id).details(Kind.JUDGED, channel="test")
    judged = [each for each in found if each["by"] == "test"]  # later channels judge it again
    assert "fail" not in [each["verdict"] for each in found]
    assert (judged[-1]["final"], judged[-1]["verdict"]) == (True, "pass")


@pytest.mark.scenario("silent")
def test_a_silent_metric_holds_and_then_a_person_is_asked(world: World) -> None:
    scenario, run = BY_NAME["silent"], world.acted("silent")
    records = world.records(scenario, run.run_id)
    held = [record["reason"] for record in records.details(Kind.HELD, channel="test")]
    assert held[0].startswith("no data up to the end of the soak yet: errors of test-1")
    assert "a person is asked" in held[0]
    assert records.details(Kind.INCONCLUSIVE, channel="test")
    assert "Nobody knows whether this channel is healthy" in run.asked
    assert [r["user"] for r in records.details(Kind.APPROVED, channel="test")] == ["approver"]
    assert run.state == "success"
    assert world.running(scenario) == everywhere(NEW, NEW, NEW, NEW, NEW)


@needs_prometheus
@pytest.mark.scenario("known_bad")
def test_harm_that_a_prometheus_knows_of_is_rolled_back(world: World) -> None:
    scenario, run = BY_NAME["known_bad"], world.acted("known_bad")
    assert run.state == "failed"
    assert world.running(scenario) == everywhere(RESTORED, RESTORED, OLD, OLD, OLD)
    judged = world.records(scenario, run.run_id).details(Kind.JUDGED, channel="test")[-1]
    assert (judged["verdict"], judged["metrics"][0]["name"]) == ("fail", "errors")


@needs_prometheus
@pytest.mark.scenario("known_good")
def test_what_a_prometheus_knows_to_be_well_graduates_without_a_person(world: World) -> None:
    scenario, run = BY_NAME["known_good"], world.acted("known_good")
    assert run.state == "success"
    assert world.running(scenario) == everywhere(NEW, NEW, NEW, NEW, NEW)
    found = world.records(scenario, run.run_id)
    judged = [j for j in found.details(Kind.JUDGED, channel="test") if j["by"] == "test"]
    assert (judged[-1]["final"], judged[-1]["verdict"]) == (True, "pass")
    assert not found.ledger().happened(Kind.ASKED, channel="test.gate")


@pytest.mark.scenario("alarmed")
def test_an_alarm_while_a_person_is_asked_does_not_wait_for_the_answer(world: World) -> None:
    scenario, run = BY_NAME["alarmed"], world.acted("alarmed")
    assert run.state == "failed"
    assert world.running(scenario, "playground") == dict.fromkeys(
        ("playground-1", "playground-2"), RESTORED
    )
    records = world.records(scenario, run.run_id)
    [failed] = records.details(Kind.FAILED, channel="playground")
    assert failed["task"] == "playground.gate"
    assert "harm while an approval of playground was awaited: playground-2" in failed["reason"]
    assert not records.ledger().happened(Kind.APPROVED, channel="playground")
