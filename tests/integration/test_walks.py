"""Changes walk through channels of real accounts, in real Airflow, and are disturbed on the way."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

import pytest

from phased_rollout.model.ledger import Kind
from tests.integration.scenarios import SCENARIOS, Ended
from tests.integration.world import (
    CHANNELS,
    NEW,
    OLD,
    REFUSED,
    RESTORED,
    ROLLED_BACK,
    Scenario,
    World,
)

pytestmark = pytest.mark.timeout(2700)
BY_NAME = {s.name: s for s in SCENARIOS}
SESSION_KEY = re.compile(r"\bASIA[A-Z0-9]{16}\b")


def ended(world: World, name: str) -> tuple[Scenario, Ended]:
    return BY_NAME[name], world.acted(name)


def reasons(world: World, scenario: Scenario, run: Ended) -> str:
    failures = world.records(scenario, run.run_id).details(Kind.FAILED)
    return "\n".join(f"{r['task']}: {r['reason']}" for r in failures)


def runs(world: World, scenario: Scenario, state: str, *channels: str) -> bool:
    found = world.running(scenario, *channels)
    assert found == dict.fromkeys(found, state)
    return True


@pytest.mark.scenario("all_good")
def test_a_good_change_walks_through_all_channels_in_order(world: World) -> None:
    scenario, run = ended(world, "all_good")
    assert run.state == "success"
    assert runs(world, scenario, NEW)
    executed = [account for account, _ in world.mutations(*scenario.accounts())]
    per_channel = [set(executed[n : n + 2]) for n in range(0, 8, 2)]
    assert per_channel == [set(scenario.accounts(channel)) for channel in CHANNELS]
    assert len(executed) == 8


@pytest.mark.scenario("all_good")
def test_each_soak_starts_when_the_last_account_of_its_channel_is_verified(world: World) -> None:
    scenario, run = ended(world, "all_good")
    records = world.records(scenario, run.run_id)
    ledger, soak = records.ledger(), timedelta(seconds=4)
    for channel in CHANNELS:
        verified = [e.at for e in records.of_targets(channel).entries if e.kind is Kind.VERIFIED]
        begun = max(datetime.fromisoformat(m) for m in soak_began(world, scenario, run, channel))
        assert abs(begun - max(verified)) <= timedelta(seconds=2)
        assert ledger.last(Kind.HEALTHY, channel=channel) >= max(verified) + soak
    apart = [e.at for e in records.of_targets("test").entries if e.kind is Kind.VERIFIED]
    assert max(apart) - min(apart) > timedelta(seconds=2), "one account was to be slower"


def soak_began(world: World, scenario: Scenario, run: Ended, channel: str) -> list[str]:
    indexes = range(scenario.targets)
    return [
        world.operator.xcom(scenario.name, run.run_id, f"{channel}.apply", map_index=n)
        for n in indexes
    ]


@pytest.mark.scenario("all_good")
def test_each_graduation_is_an_asset_event_with_the_digest(world: World) -> None:
    scenario, run = ended(world, "all_good")
    found = world.operator.request("GET", "/assets/events?source_dag_id=all_good&limit=100")
    events = sorted(found["asset_events"], key=lambda event: str(event["timestamp"]))
    assert [e["uri"] for e in events] == [f"rollout://all_good/{c}" for c in CHANNELS]
    digest = world.records(scenario, run.run_id).plan().change
    assert {e["extra"]["digest"] for e in events} == {digest}


@pytest.mark.scenario("all_good")
def test_no_rollback_task_runs_after_a_good_rollout(world: World) -> None:
    scenario, run = ended(world, "all_good")
    states = world.states(scenario, run.run_id)
    assert {states[f"rollback.{c}"] for c in CHANNELS} == {"skipped"}
    assert states["rollback.verdict"] == "success"


@pytest.mark.scenario("runtime_failure")
def test_an_alarm_while_playground_soaks_leaves_the_other_channels_untouched(world: World) -> None:
    scenario, run = ended(world, "runtime_failure")
    assert run.state == "failed"
    assert runs(world, scenario, RESTORED, "playground")
    others = scenario.accounts("test", "infra", "production")
    assert runs(world, scenario, OLD, "test", "infra", "production")
    assert world.mutations(*others) == []
    assert "playground.soak: harm while playground soaked" in reasons(world, scenario, run)
    assert "baseline-app-errors" in reasons(world, scenario, run)
    assert not world.records(scenario, run.run_id).ledger().happened(Kind.HEALTHY)


@pytest.mark.scenario("refused_in_test")
def test_a_failure_in_test_rolls_back_test_and_then_playground(world: World) -> None:
    scenario, run = ended(world, "refused_in_test")
    assert run.state == "failed"
    assert runs(world, scenario, RESTORED, "playground")
    accounts = scenario.accounts("test")
    assert world.running(scenario, "test") == {"test-1": RESTORED, "test-2": ROLLED_BACK}
    assert world.mutations(*scenario.accounts("infra", "production")) == []
    order = [account for account, _ in world.mutations(*scenario.accounts())]
    restores = order[4:]
    assert restores[0] == accounts[0]
    assert set(restores[1:]) == set(scenario.accounts("playground"))
    assert "service control policy" in reasons(world, scenario, run)


@pytest.mark.scenario("refused_in_test")
def test_the_verdict_of_a_failed_run_says_what_failed_and_what_was_restored(world: World) -> None:
    scenario, run = ended(world, "refused_in_test")
    text = world.operator.last_error(scenario.name, run.run_id, "rollback.verdict")
    assert "failed: test.apply: test-2:" in text
    for target in ("test-1 of test", "test-2 of test", "playground-1 of playground"):
        assert f"restored: {target}" in text


@pytest.mark.scenario("killed")
def test_a_killed_apply_resumes_and_applies_nothing_twice(world: World) -> None:
    scenario, run = ended(world, "killed")
    assert run.state == "success"
    assert runs(world, scenario, NEW)
    account = scenario.account("playground", 1)
    assert world.mutations(account) == [(account, "ExecuteChangeSet")]
    apply = world.operator.task_instance(scenario.name, run.run_id, "playground.apply", map_index=0)
    assert apply["try_number"] == 2


@pytest.mark.scenario("marked_failed")
def test_an_apply_that_a_user_marks_failed_is_rolled_back(world: World) -> None:
    scenario, run = ended(world, "marked_failed")
    assert run.state == "failed"
    assert runs(world, scenario, RESTORED, "playground", "test")
    assert world.mutations(*scenario.accounts("production")) == []


@pytest.mark.scenario("approved")
def test_an_approved_channel_graduates_with_the_name_of_who_approved(world: World) -> None:
    scenario, run = ended(world, "approved")
    assert run.state == "success"
    assert runs(world, scenario, NEW)
    approvals = world.records(scenario, run.run_id).details(Kind.APPROVED)
    assert [(a["channel"], a["user"]) for a in approvals] == [("playground", "approver")]


@pytest.mark.scenario("rejected")
def test_a_rejected_channel_is_rolled_back(world: World) -> None:
    scenario, run = ended(world, "rejected")
    assert run.state == "failed"
    assert runs(world, scenario, RESTORED, "playground")
    assert world.mutations(*scenario.accounts("production")) == []
    assert "playground.gate: rejected by approver" in reasons(world, scenario, run)


@pytest.mark.scenario("marked_approved")
def test_a_gate_marked_success_by_hand_does_not_let_the_change_on(world: World) -> None:
    scenario, run = ended(world, "marked_approved")
    assert run.state == "failed"
    assert runs(world, scenario, RESTORED, "playground")
    assert world.mutations(*scenario.accounts("production")) == []
    assert "has no recorded approval" in reasons(world, scenario, run)


@pytest.mark.scenario("unanswered")
def test_a_gate_that_nobody_answers_in_time_is_rolled_back(world: World) -> None:
    scenario, run = ended(world, "unanswered")
    assert run.state == "failed"
    assert runs(world, scenario, RESTORED, "playground")
    assert world.mutations(*scenario.accounts("production")) == []
    assert "nobody answered within" in reasons(world, scenario, run)


@pytest.mark.scenario("bypassed")
def test_a_bypassed_channel_is_left_out_and_recorded(world: World) -> None:
    scenario, run = ended(world, "bypassed")
    assert run.state == "success"
    assert runs(world, scenario, NEW, "playground", "production")
    assert runs(world, scenario, OLD, "test")
    assert world.mutations(*scenario.accounts("test")) == []
    records = world.records(scenario, run.run_id)
    assert [r["reason"] for r in records.details(Kind.BYPASSED)] == ["CVE-2026-1"]
    assert [r["user"] for r in records.details(Kind.AUTHORIZED)] == ["approver"]
    bypass = records.plan().bypass
    assert (bypass.channels, bypass.requested_by) == (("test",), "operator")


@pytest.mark.scenario("asked_for_too_much")
@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ("every channel", "every channel would be skipped, which is a rollout of nothing"),
        ("no reason", "bypass_reason: a bypass needs a reason"),
        ("unknown key", "unknown conf keys: bypas; known: "),
        ("missing change", "changes/none"),
    ],
)
def test_what_may_not_be_asked_for_fails_before_any_account_is_touched(
    world: World, asked: str, refusal: str
) -> None:
    scenario = BY_NAME["asked_for_too_much"]
    run = world.acted(scenario.name)[asked]
    assert run.state == "failed"
    assert refusal in world.operator.last_error(scenario.name, run.run_id, "plan")
    assert [c for c in world.aws.calls() if c["account"] in scenario.accounts()] == []


@pytest.mark.scenario("asked_for_too_much")
def test_an_unknown_bypass_is_refused_by_the_form_itself(world: World) -> None:
    assert "bypass" in world.acted("asked_for_too_much")["unknown tier"]


@pytest.mark.scenario("twice")
def test_a_change_that_every_account_runs_already_ends_green_without_touching_any(
    world: World,
) -> None:
    scenario = BY_NAME["twice"]
    first, second = world.acted(scenario.name)
    assert (first.state, second.state) == ("success", "success")
    assert len(world.mutations(*scenario.accounts())) == 2
    assert world.states(scenario, second.run_id)["playground.apply"] == "skipped"
    assert world.records(scenario, second.run_id).details(Kind.NOTHING_TO_CHANGE) != []


@pytest.mark.scenario("unreachable")
def test_an_account_that_does_not_answer_holds_the_rollout_and_rolls_nothing_back(
    world: World,
) -> None:
    scenario, run = ended(world, "unreachable")
    assert run.state == "success"
    assert runs(world, scenario, NEW)
    records = world.records(scenario, run.run_id)
    assert [r["channel"] for r in records.details(Kind.HELD)] == ["production"]
    assert (
        "cannot be reached, which is no failure of the change"
        in (records.details(Kind.HELD)[0]["reason"])
    )
    assert not records.ledger().happened(Kind.ARMED)
    account = scenario.account("production", 1)
    assert world.mutations(account) == [(account, "ExecuteChangeSet")]


@pytest.mark.scenario("marked_run_failed")
def test_a_run_that_a_user_marks_failed_is_still_rolled_back(world: World) -> None:
    scenario, run = ended(world, "marked_run_failed")
    assert run.state == "failed"
    assert runs(world, scenario, RESTORED, "playground")
    assert world.mutations(*scenario.accounts("production")) == []


@pytest.mark.scenario("held")
def test_under_hold_clearing_the_failed_apply_applies_that_account_again_and_goes_on(
    world: World,
) -> None:
    scenario, run = ended(world, "held")
    assert run.state == "success"
    assert runs(world, scenario, f"{REFUSED} UPDATE_COMPLETE")
    executed = [account for account, _ in world.mutations(*scenario.accounts())]
    refused = scenario.account("test", 2)
    assert sorted(executed) == sorted([*scenario.accounts(), refused])


@pytest.mark.scenario("held_unanswered")
def test_a_hold_that_nobody_decides_is_rolled_back_at_its_deadline(world: World) -> None:
    scenario, run = ended(world, "held_unanswered")
    assert run.state == "failed"
    assert world.running(scenario, "playground") == {
        "playground-1": RESTORED,
        "playground-2": ROLLED_BACK,
    }
    assert world.mutations(*scenario.accounts("production")) == []


@pytest.mark.scenario("tolerated")
def test_a_channel_graduates_with_an_exception_within_its_tolerance(world: World) -> None:
    scenario, run = ended(world, "tolerated")
    assert run.state == "success"
    assert world.running(scenario, "playground") == {
        "playground-1": f"{REFUSED} UPDATE_COMPLETE",
        "playground-2": ROLLED_BACK,
    }
    assert runs(world, scenario, f"{REFUSED} UPDATE_COMPLETE", "production")
    outcome = world.operator.xcom(scenario.name, run.run_id, "outcome")
    assert outcome.endswith("graduated with 1 exceptions: playground-2")
    apply = world.operator.task_instance(scenario.name, run.run_id, "playground.apply", map_index=0)
    assert apply["rendered_map_index"] == "playground-1, playground-2 (failed)"


@pytest.mark.scenario("all_good")
def test_no_secret_is_logged_or_recorded(world: World) -> None:
    world.acted("all_good")
    secrets = {
        *world.stack.passwords.values(),
        world.stack.settings.secrets.fernet_key,
        world.stack.settings.secrets.jwt_secret,
        world.stack.settings.secrets.secret_key,  # the password of the AWS connection as well
    }
    assert len(secrets) == 7
    connection = json.loads(world.stack.env()["AIRFLOW_CONN_AWS_ROLLOUT"])
    assert connection["password"] in secrets
    logs = world.stack.state / "logs"
    for folder in (logs, world.stack.records):
        for path in (p for p in folder.rglob("*") if p.is_file()):
            text = path.read_text(errors="replace")
            assert [path.name for secret in secrets if secret in text] == []
            assert SESSION_KEY.findall(text) == [], path.name
