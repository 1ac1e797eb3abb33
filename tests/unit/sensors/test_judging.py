"""Metrics that are judged: harm fails, a shock to all does not, silence is left to a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from phased_rollout import health
from phased_rollout.errors import UnreachableError
from phased_rollout.judge.case import parse
from phased_rollout.judge.judging import judge
from phased_rollout.model.definition import Approval, RollbackScope
from phased_rollout.model.guards import channels_to_restore
from phased_rollout.model.inconclusive import OnInconclusive, Then
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Artifact
from phased_rollout.operators.gate import ApprovalGate
from phased_rollout.records import RolloutRecords
from phased_rollout.sensors.health import HealthSensor
from phased_rollout.sensors.soak import SoakSensor
from tests.fakes import FakeMetrics, FakeSubstrate
from tests.unit.conftest import begin
from tests.unit.sensors.metrics import SOAK, a_judged_channel, fill, soaked

CONTEXT: dict[str, Any] = {"run_id": "manual__1"}
HERE = [f"test-{n}" for n in (1, 2, 3)]
LATER = [f"production-{n}" for n in range(1, 10)]
LONG = timedelta(hours=2)


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> FakeMetrics:
    """Let every channel that declares something have these metrics, and nothing that is polled."""
    fake = FakeMetrics()
    monkeypatch.setattr(health, "build", lambda _: [])
    monkeypatch.setattr(health, "sources", lambda specs: [fake] if specs else [])
    return fake


@pytest.fixture
def world(
    store: Path, substrate: FakeSubstrate, metrics: FakeMetrics
) -> Callable[..., tuple[RolloutRecords, datetime]]:
    """Let ``test`` have soaked, with ``production`` not reached yet."""

    def build(ended: timedelta = timedelta(seconds=1), **kwargs: Any) -> Any:
        channels = a_judged_channel("test", **kwargs), a_judged_channel("production", targets=9)
        records = begin(*channels)
        return records, soaked(records, substrate, "test", ended=ended)

    return build


def health_of(channel: str = "test") -> HealthSensor:
    return HealthSensor(task_id="health", definition="accounts", channel=channel)


def moved(changed: float, controls: float = 0.0) -> dict[str, float]:
    return dict.fromkeys(HERE, changed) | dict.fromkeys(LATER, controls)


def judged(records: RolloutRecords, channel: str = "test") -> Any:
    return records.details(Kind.JUDGED, channel=channel)[-1]


def test_a_metric_that_worsens_after_the_change_fails_the_channel(
    world: Any, metrics: FakeMetrics
) -> None:
    records, start = world()
    fill(metrics, start, moved(4.0))
    with pytest.raises(AirflowFailException, match="harm in test or before it: errors: worse by"):
        health_of().poke(CONTEXT)
    assert judged(records)["verdict"] == "fail"
    assert not records.ledger().happened(Kind.HEALTHY, channel="test")


def test_a_metric_that_stays_as_it_was_is_evidence_and_graduates_the_channel(
    world: Any, metrics: FakeMetrics
) -> None:
    records, start = world()
    fill(metrics, start, moved(0.0))
    assert health_of().poke(CONTEXT)
    assert records.ledger().happened(Kind.GRADUATED, channel="test")
    [line] = records.details(Kind.HEALTHY, channel="test")[0]["lines"]
    assert line.startswith("errors: pass: no harm found")
    assert "rule days and targets; p " in line


def test_a_shock_to_the_whole_fleet_is_not_held_against_the_change(
    world: Any, metrics: FakeMetrics
) -> None:
    records, start = world()
    fill(metrics, start, moved(4.0, 4.0))
    health_of().poke(CONTEXT)
    assert judged(records)["verdict"] != "fail"


def test_whoever_has_the_record_comes_to_the_same_verdict(world: Any, metrics: FakeMetrics) -> None:
    records, start = world()
    fill(metrics, start, moved(4.0))
    with pytest.raises(AirflowFailException):
        health_of().poke(CONTEXT)
    record = judged(records)
    again = judge(parse(records.store.get(record["case"])))
    assert records.store.get(record["judgement"]) == json.loads(json.dumps(again.to_json()))


def test_what_was_done_while_targets_were_changed_is_neither_before_nor_after(
    world: Any, metrics: FakeMetrics
) -> None:
    records, start = world()
    fill(metrics, start, moved(0.0))
    entered = records.ledger().last(Kind.ENTERED, channel="test")
    assert health_of().poke(CONTEXT)
    times = [
        t
        for one in records.store.get(judged(records)["case"])["metrics"][0]["series"]
        for t, _ in one["points"]
    ]
    assert not [t for t in times if entered.timestamp() - 300 < t < start.timestamp()]


def test_a_silent_metric_holds_then_leaves_it_to_a_person_whatever_the_gate(
    world: Any, metrics: FakeMetrics, questions: list[dict[str, Any]]
) -> None:
    records, start = world(approval=Approval(("alice",)))
    fill(metrics, start, moved(0.0))
    metrics.points["test-1"] = []
    assert not health_of().poke(CONTEXT)
    [held] = records.details(Kind.HELD, channel="test")
    assert "no data up to the end of the soak yet: errors of test-1" in held["reason"]
    assert "UTC a person is asked" in held["reason"]
    assert not records.ledger().happened(Kind.JUDGED, channel="test")


def test_after_the_deadline_the_gate_asks_and_the_answer_is_bound_to_the_evidence(
    world: Any, metrics: FakeMetrics, questions: list[dict[str, Any]]
) -> None:
    records, start = world(ended=LONG, approval=Approval(("alice",)))
    fill(metrics, start, moved(0.0))
    metrics.points["test-1"] = metrics.points["test-2"] = metrics.points["test-3"] = []
    assert health_of().poke(CONTEXT)
    assert not records.ledger().happened(Kind.GRADUATED, channel="test")
    [unknown] = records.details(Kind.INCONCLUSIVE, channel="test")
    with pytest.raises(TaskDeferred):
        gate().execute(ASKING)
    assert "Nobody knows whether this channel is healthy" in questions[0]["body"]
    assert unknown["lines"][0].split(";")[0] in questions[0]["body"]
    with pytest.raises(TaskDeferred):
        gate().execute_complete(ASKING, answer("mallory"))
    assert not records.ledger().happened(Kind.GRADUATED, channel="test")
    assert gate().execute_complete(ASKING, answer("alice")) == "test graduated"


def test_the_yes_to_other_evidence_does_not_count(
    world: Any, metrics: FakeMetrics, questions: list[dict[str, Any]]
) -> None:
    records, start = world(ended=LONG)
    fill(metrics, start, moved(0.0))
    metrics.points["test-1"] = metrics.points["test-2"] = metrics.points["test-3"] = []
    assert health_of().poke(CONTEXT)
    with pytest.raises(TaskDeferred):
        gate().execute(ASKING)
    records.add(
        Kind.INCONCLUSIVE, at=datetime.now(UTC), channel="test", reason="something else", lines=[]
    )
    with pytest.raises(TaskDeferred):
        gate().execute_complete(ASKING, answer("alice"))
    assert "what alice approved has changed since it was shown" in questions[1]["body"]
    assert not records.ledger().happened(Kind.GRADUATED, channel="test")


def test_harm_that_shows_while_an_approval_is_awaited_is_not_let_through(
    world: Any, metrics: FakeMetrics, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    records, _ = world(gate="health+approval")
    records.add(Kind.HEALTHY, at=datetime.now(UTC), channel="test", reason="fine", lines=[])
    with pytest.raises(TaskDeferred):
        gate().execute(ASKING)
    substrate.running["test-2"] = Artifact("by hand", {})
    with pytest.raises(AirflowFailException, match="approval of test was awaited: test-2: statu"):
        gate().execute_complete(ASKING, answer("alice"))
    assert not records.ledger().happened(Kind.APPROVED, channel="test")


def test_without_a_judgement_that_asks_a_gate_lets_the_channel_pass(
    world: Any, metrics: FakeMetrics, questions: list[dict[str, Any]]
) -> None:
    _, start = world()
    fill(metrics, start, moved(0.0))
    assert health_of().poke(CONTEXT)
    assert gate().execute(ASKING) == "no approval is asked"
    assert questions == []


class _Task:
    task_id, id = "test.gate", "ti"


ASKING: dict[str, Any] = {**CONTEXT, "ti": _Task(), "task_instance": _Task()}


def gate() -> ApprovalGate:
    channel = a_judged_channel("test")
    return ApprovalGate(task_id="gate", definition="accounts", channel=channel)


def answer(user: str) -> dict[str, Any]:
    return {
        "chosen_options": ["Approve"],
        "params_input": {},
        "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": user, "name": user},
    }


@pytest.mark.parametrize(
    ("then", "done"), [(Then.FAIL, "test could not be judged within 1:00:00"), (Then.HOLD, "")]
)
def test_what_stays_unknown_fails_or_holds_on_where_the_file_says_so(
    world: Any, metrics: FakeMetrics, then: Then, done: str
) -> None:
    records, _ = world(ended=LONG, on_inconclusive=OnInconclusive(then=then))
    if done:
        with pytest.raises(AirflowFailException, match=done):
            health_of().poke(CONTEXT)
    else:
        assert not health_of().poke(CONTEXT)
        assert "UTC" not in records.details(Kind.HELD, channel="test")[0]["reason"]
    assert not records.ledger().happened(Kind.INCONCLUSIVE, channel="test")


def test_a_timer_gate_asks_for_harm_only(world: Any, metrics: FakeMetrics) -> None:
    records, _ = world(gate="timer", ended=timedelta(minutes=10))
    assert health_of().poke(CONTEXT)
    assert "the gate does not ask for what is not known" in str(records.details(Kind.HEALTHY))


def test_a_timer_gate_fails_on_judged_harm(world: Any, metrics: FakeMetrics) -> None:
    _, start = world(gate="timer")
    fill(metrics, start, moved(4.0))
    with pytest.raises(AirflowFailException, match="errors: worse by"):
        health_of().poke(CONTEXT)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UnreachableError("throttled"), "inconclusive: throttled"),
        (ValueError("token=secret"), "a source of metrics has a fault (ValueError): see the log"),
    ],
)
def test_a_source_that_cannot_be_asked_holds_and_is_no_word_about_the_change(
    world: Any, metrics: FakeMetrics, error: Exception, said: str
) -> None:
    records, _ = world()
    metrics.error = error
    assert not health_of().poke(CONTEXT)
    held = records.details(Kind.HELD, channel="test")[0]["reason"]
    assert said in held
    assert "secret" not in held


def test_what_was_judged_is_not_judged_again_at_every_poke(
    world: Any, metrics: FakeMetrics
) -> None:
    records, start = world(ended=timedelta(minutes=20))
    fill(metrics, start, moved(0.0))
    metrics.points["test-1"] = metrics.points["test-2"] = metrics.points["test-3"] = []
    assert not health_of().poke(CONTEXT)
    asked = len(metrics.asked)
    assert not health_of().poke(CONTEXT)
    assert (len(metrics.asked), len(records.details(Kind.JUDGED))) == (asked, 1)


IN_THE_SOAK = -SOAK * 0.4
"""Looks are taken 13, 23, 33, 43 and 53 minutes after the start: this is 36 minutes after it."""


def soak(start: datetime) -> SoakSensor:
    since = [start.isoformat()]
    return SoakSensor(
        task_id="soak", definition="accounts", channel="test", since=since, delta=SOAK
    )


def test_a_soak_goes_to_a_worker_for_each_look_and_on_while_there_is_no_harm(
    world: Any, metrics: FakeMetrics
) -> None:
    records, start = world(ended=IN_THE_SOAK)
    fill(metrics, start, moved(0.0))
    with pytest.raises(TaskDeferred) as deferred:
        soak(start).execute_complete(CONTEXT, {"judge": True})
    assert deferred.value.trigger.judge_at == (start + timedelta(minutes=43)).isoformat()
    record = judged(records)
    assert (record["look"], record["final"], record["case"]) == (3, False, None)


def test_harm_at_a_look_ends_the_soak_early(world: Any, metrics: FakeMetrics) -> None:
    records, start = world(ended=IN_THE_SOAK)
    fill(metrics, start, moved(6.0))
    with pytest.raises(AirflowFailException, match="harm while test soaked: errors: worse by"):
        soak(start).execute_complete(CONTEXT, {"judge": True})
    assert judged(records)["case"] is not None


def test_a_look_that_cannot_be_taken_ends_nothing(world: Any, metrics: FakeMetrics) -> None:
    records, start = world(ended=IN_THE_SOAK)
    metrics.error = UnreachableError("throttled")
    with pytest.raises(TaskDeferred):
        soak(start).execute_complete(CONTEXT, {"judge": True})
    assert not records.ledger().happened(Kind.JUDGED, channel="test")


def test_harm_that_shows_later_withdraws_a_graduation_and_widens_the_rollback(
    store: Path, substrate: FakeSubstrate, metrics: FakeMetrics
) -> None:
    three = [a_judged_channel(n, targets=t) for n, t in (("one", 3), ("two", 3), ("three", 9))]
    records = begin(*three, rollback_scope=RollbackScope.FAILED_CHANNEL)
    first = soaked(records, substrate, "one", ended=2 * SOAK)
    for kind in (Kind.HEALTHY, Kind.GRADUATED):
        records.add(kind, at=first + SOAK, channel="one", reason="", evidence=[])
    soaked(records, substrate, "two")
    names = [t.name for channel in three for t in channel.targets]
    shifts = {name: 5.0 if name.startswith("one") else 0.0 for name in names}
    fill(metrics, first, shifts, until=3 * SOAK)
    with pytest.raises(AirflowFailException, match="one: errors: worse by"):
        health_of("two").poke(CONTEXT)
    assert records.details(Kind.WITHDRAWN, channel="one")[0]["by"] == "two"
    restored = channels_to_restore(records.plan(), records.ledger())
    assert [channel.name for channel in restored] == ["two", "one"]
