"""The plan task: what it freezes, what it refuses, and how an emergency begins."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from phased_rollout.debts import owe
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import Conduct, GateKind, Target, Waves
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import describe
from phased_rollout.model.selection import Hold
from phased_rollout.model.target_state import TargetState
from phased_rollout.operators.plan import PATIENCE, PlanOperator
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import a_channel, a_definition
from tests.unit.conftest import begin

PARAMS = {
    "change": None,
    "parameters": {},
    "bypass": "none",
    "bypass_channels": [],
    "bypass_reason": "",
}


@pytest.fixture
def base(store: Path) -> Path:
    (store / "changes/one").mkdir(parents=True)
    (store / "changes/one/template.yaml").write_text("Resources: {A: {Type: AWS::SQS::Queue}}\n")
    return store


def plan(base: Path, *, emergency: bool = False, **kwargs: Any) -> PlanOperator:
    planned = a_definition(change="changes/one", **kwargs)
    with DAG("accounts", params=PARAMS):
        return PlanOperator(task_id="plan", planned=planned, base=str(base), emergency=emergency)


def context(run_id: str = "manual__2", **params: Any) -> dict[str, Any]:
    run = SimpleNamespace(conf={}, run_id=run_id, triggering_user_name="alice")
    return {"dag_run": run, "run_id": run_id, "params": {**PARAMS, **params}}


def records_of(run_id: str = "manual__2") -> RolloutRecords:
    return Rollout.open("accounts", run_id).records


def test_a_plan_keeps_the_shape_of_the_file_whatever_a_bypass_leaves_out(base: Path) -> None:
    plan(base).execute(context(bypass="fleet_wide", bypass_reason="CVE"))
    frozen = records_of().plan()
    assert frozen.shape_of_dag == a_definition().shape
    assert frozen.shortest_duration == timedelta()
    assert frozen.bypass == Bypass(BypassTier.FLEET_WIDE, (), "CVE", "alice")


def test_the_log_of_a_plan_names_the_traits_that_only_later_channels_have(
    base: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Airflow's own logger of a task does not reach pytest.
    monkeypatch.setattr(PlanOperator, "log", logging.getLogger("plan"))
    regions = {"playground": "eu-central-1", "test": "eu-west-1", "production": "eu-west-1"}
    channels = [
        replace(a_channel(name), targets=(Target(name, {"account": name, "region": region}),))
        for name, region in regions.items()
    ]
    definition = replace(a_definition(*channels), change="changes/one")
    with DAG("accounts", params=PARAMS):
        task = PlanOperator(task_id="plan", planned=definition, base=str(base))
    line = "test: no channel before it changes a target with region=eu-west-1 (1 target)"
    task.execute(context())
    assert line in caplog.messages
    caplog.clear()
    skipping = {"bypass_channels": ["test"], "bypass_reason": "CVE"}
    task.execute(context("manual__3", bypass="skip_channels", **skipping))
    assert line not in caplog.messages
    assert line.replace("test", "production") in caplog.messages


def policies(gate: GateKind = GateKind.TIMER) -> dict[str, Any]:
    """Allow two policies for three channels."""
    slow, fast = (
        Conduct(timedelta(seconds=seconds), frozenset({kind}), Waves(size=3))
        for seconds, kind in ((99, GateKind.TIMER), (1, gate))
    )
    return {"policy": "slow", "policies": {"slow": (slow,) * 3, "fast": (fast,) * 3}}


@pytest.mark.parametrize(("chosen", "seconds"), [(None, 99), ("slow", 99), ("fast", 1)])
def test_a_plan_freezes_the_policy_of_the_run(base: Path, chosen: str | None, seconds: int) -> None:
    plan(base, **policies()).execute(context(policy=chosen))
    frozen = records_of().plan()
    assert frozen.definition.policy == (chosen or "slow")
    assert {c.soak for c in frozen.channels} == {timedelta(seconds=seconds)}
    assert {c.waves for c in frozen.channels} == {Waves(size=3)}
    assert f"policy {frozen.definition.policy}" in describe(frozen).splitlines()


@pytest.mark.parametrize(
    ("gate", "chosen", "problem"),
    [
        (GateKind.TIMER, "none", "policy: 'none' is not allowed here; choose from: slow, fast"),
        (GateKind.APPROVAL, "fast", "policy: 'fast' would bring or take an approval"),
    ],
)
def test_a_policy_that_is_not_allowed_or_changes_an_approval_stops_the_plan(
    base: Path, gate: GateKind, chosen: str, problem: str
) -> None:
    with pytest.raises(AirflowFailException, match=problem):
        plan(base, **policies(gate)).execute(context(policy=chosen))


@pytest.mark.parametrize("tier", ["shorten_soak", "skip_channels", "fleet_wide"])
def test_no_bypass_without_a_reason(base: Path, tier: str) -> None:
    channels = ["test"] if tier == "skip_channels" else []
    with pytest.raises(AirflowFailException, match="bypass_reason: a bypass needs a reason"):
        plan(base).execute(context(bypass=tier, bypass_channels=channels))


def test_a_debt_stops_the_plan_of_another_change(base: Path) -> None:
    urgent = begin(bypass=Bypass(BypassTier.FLEET_WIDE, (), "urgent"))
    owe(urgent, urgent.plan(), at=datetime.now(UTC))
    with pytest.raises(AirflowFailException, match="nothing was touched:\na bypass is owed"):
        plan(base).execute(context())


def test_a_full_rollout_says_what_it_makes_good(base: Path) -> None:
    plan(base).execute(context("manual__1", bypass="shorten_soak", bypass_reason="urgent"))
    urgent = records_of("manual__1")
    owe(urgent, urgent.plan(), at=datetime.now(UTC))
    plan(base).execute(context("manual__2"))
    assert records_of().plan().pays == ("manual__1",)


def test_what_is_owed_is_not_made_good_under_a_faster_policy(base: Path) -> None:
    plan(base, **policies()).execute(
        context("manual__1", bypass="shorten_soak", bypass_reason="urgent")
    )
    urgent = records_of("manual__1")
    owe(urgent, urgent.plan(), at=datetime.now(UTC))
    with pytest.raises(AirflowFailException, match="is made good under 'slow' only"):
        plan(base, **policies()).execute(context("manual__2", policy="fast"))
    plan(base, **policies()).execute(context("manual__2", policy="slow"))
    assert records_of().plan().pays == ("manual__1",)


@pytest.fixture
def regular(base: Path) -> RolloutRecords:
    """A regular rollout that is applying to one target."""
    records = begin()
    at = datetime.now(UTC)
    records.add(Kind.ENTERED, at=at, channel="playground")
    records.capture(TargetState(None), channel="playground", target="playground-1", at=at)
    return records


def test_an_emergency_waits_while_a_target_is_being_changed_and_then_supersedes(
    base: Path, regular: RolloutRecords
) -> None:
    with pytest.raises(TaskDeferred):
        plan(base, emergency=True).execute(context())
    assert regular.newer() is None
    held = records_of().details(Kind.HELD)
    assert [r["reason"] for r in held] == [
        "manual__1 is changing playground-1: waiting, 0:10:00 at most"
    ]
    at = datetime.now(UTC)
    regular.add(Kind.VERIFIED, at=at, channel="playground", target="playground-1")
    plan(base, emergency=True).execute(context(), event="looked again")
    assert regular.newer() == "manual__2"
    assert [r["run"] for r in records_of().details(Kind.SUPERSEDES)] == ["manual__1"]
    assert records_of().plan().emergency


def test_an_emergency_does_not_wait_for_ever(base: Path, regular: RolloutRecords) -> None:
    records_of().hold("waiting", at=datetime.now(UTC) - PATIENCE, channel="")
    plan(base, emergency=True).execute(context())
    assert regular.newer() == "manual__2"


def test_an_emergency_without_a_rollout_before_it_begins_at_once(base: Path) -> None:
    plan(base, emergency=True).execute(context())
    assert records_of().details(Kind.SUPERSEDES) == []


def test_two_dags_never_share_a_run_id(base: Path) -> None:
    plan(base).execute(context())
    with pytest.raises(AirflowFailException, match="the run id is taken by another rollout"):
        plan(base, emergency=True).execute(context())


def test_an_expired_hold_stops_the_plan(base: Path) -> None:
    operator = plan(base)
    [first, *rest] = operator.planned.channels
    held = replace(first.targets[0], hold=Hold("migration", date(2020, 1, 1)))
    first = replace(first, targets=first.targets[1:], on_hold=(held,))
    operator.planned = replace(operator.planned, channels=(first, *rest))
    with pytest.raises(AirflowFailException, match="the hold has expired"):
        operator.execute(context())
