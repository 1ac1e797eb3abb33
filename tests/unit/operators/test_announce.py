"""The tasks tell what happens: once for each occurrence, and never to the harm of the rollout."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput
from airflow.sdk.execution_time.context import OutletEventAccessors

from phased_rollout import notify
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.certificate import Certificate
from phased_rollout.model.definition import OnFailure
from phased_rollout.model.ledger import Kind
from phased_rollout.model.notifier import Notifier
from phased_rollout.model.target_state import Artifact, Health, TargetState
from phased_rollout.operators import announce
from phased_rollout.operators.announce import outlet
from phased_rollout.operators.approval import DecideOperator
from phased_rollout.operators.callbacks import record_and_arm
from phased_rollout.operators.gate import ApprovalGate
from phased_rollout.operators.outcome import OutcomeOperator, VerdictOperator
from phased_rollout.operators.plan import PlanOperator
from phased_rollout.operators.restore import RestoreOperator
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from phased_rollout.sensors.health import HealthSensor
from tests.builders import NAMES, a_channel, a_definition
from tests.fakes import FakeSignal, FakeSubstrate
from tests.notifiers import Hangs, Keeps
from tests.unit.conftest import begin

ALL = Notifier("tests.notifiers.Keeps", options={"text": "{{ event }}: {{ message }}"})
WRONG = (Notifier("tests.notifiers.Fails"), Notifier("tests.notifiers.Missing"), ALL)
PARAMS = {
    "change": None,
    "parameters": {},
    "bypass": "none",
    "bypass_channels": [],
    "bypass_reason": "",
}


@pytest.fixture(autouse=True)
def told(store: Path) -> Iterator[list[str]]:
    Keeps.told.clear()
    yield Keeps.told
    Keeps.told.clear()


def events(told: list[str]) -> list[str]:
    return [text.partition(":")[0] for text in told]


def of_task(task_id: str, *, try_number: int = 1, map_index: int = -1) -> dict[str, Any]:
    ti = SimpleNamespace(
        task_id=task_id,
        id="ti",
        run_id="manual__1",
        dag_id="accounts",
        map_index=map_index,
        try_number=try_number,
    )
    return {
        "run_id": "manual__1",
        "ti": ti,
        "task_instance": ti,
        "outlet_events": OutletEventAccessors(),
    }


def plan_task(base: Path, *notifiers: Notifier) -> PlanOperator:
    folder = base / "changes/one"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "template.yaml").write_text("Resources: {A: {Type: AWS::SQS::Queue}}\n")
    planned = a_definition(change="changes/one", notify=notifiers)
    with DAG("accounts", params=PARAMS):
        return PlanOperator(task_id="plan", planned=planned, base=str(base))


def of_run(**params: Any) -> dict[str, Any]:
    run = SimpleNamespace(conf={}, run_id="manual__1", triggering_user_name="alice")
    return {**of_task("plan"), "dag_run": run, "params": {**PARAMS, **params}}


def soaked(substrate: FakeSubstrate, *notifiers: Notifier, gate: str = "health") -> RolloutRecords:
    records = begin(a_channel("playground", gate=gate), a_channel("test"), notify=notifiers)
    enter(records, substrate)
    return records


def enter(records: RolloutRecords, substrate: FakeSubstrate, *, minutes_ago: int = 5) -> None:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    records.add(Kind.ENTERED, at=at, channel="playground")
    for n in (1, 2):
        name, later = f"playground-{n}", at + timedelta(seconds=1)
        substrate.running[name] = Artifact("d", {})
        records.add(Kind.VERIFIED, at=later, channel="playground", target=name, digest="d")
    records.add(Kind.APPLIED, at=at + timedelta(seconds=2), channel="playground", wave=1)


def health(context: dict[str, Any]) -> bool:
    return HealthSensor(task_id="health", definition="accounts", channel="playground").poke(context)


def graduate(records: RolloutRecords, *channels: str) -> None:
    for channel in channels:
        for kind in (Kind.ENTERED, Kind.APPLIED, Kind.HEALTHY, Kind.GRADUATED):
            records.add(kind, at=datetime.now(UTC), channel=channel)


def touched(*notifiers: Notifier, **settings: Any) -> RolloutRecords:
    records = begin(a_channel("playground"), notify=notifiers, **settings)
    records.add(Kind.ENTERED, at=datetime.now(UTC), channel="playground")
    for n in (1, 2):
        name = f"playground-{n}"
        records.capture(TargetState(None), channel="playground", target=name, at=datetime.now(UTC))
    return records


def fail(task_id: str, reason: str, **kwargs: Any) -> None:
    error = AirflowFailException(reason)
    record_and_arm({**of_task(task_id, **kwargs), "exception": error})


def restore() -> str:
    task = RestoreOperator(task_id="playground", definition="accounts", channel="playground")
    return str(task.execute(of_task("rollback.playground")))


def verdict() -> None:
    task = VerdictOperator(task_id="verdict", definition="accounts")
    with pytest.raises(AirflowFailException):
        task.execute(of_task("rollback.verdict"))


def outcome() -> str:
    shape = [*NAMES, "on failure rollback"]
    task = OutcomeOperator(task_id="outcome", definition="accounts", shape=shape)
    return task.execute(of_task("outcome"))


def decide() -> DecideOperator:
    return DecideOperator(
        task_id="decide", definition="accounts", response_timeout=timedelta(hours=1)
    )


def test_a_frozen_plan_is_told_once_however_often_the_task_runs(
    store: Path, told: list[str]
) -> None:
    for _ in range(2):
        plan_task(store, ALL).execute(of_run())
    assert len(told) == 1
    assert told[0].startswith("started: accounts: the rollout of one (")
    assert "started by alice" in told[0]
    assert "playground (2 targets) → test (2 targets) → production (2 targets)" in told[0]


def test_a_bypass_is_told_with_who_asks_and_why(store: Path, told: list[str]) -> None:
    skip = {"bypass": "skip_channels", "bypass_channels": ["test"], "bypass_reason": "CVE-2026-1"}
    plan_task(store, ALL).execute(of_run(**skip))
    assert events(told) == ["started", "bypassed"]
    assert "leaves something out: bypasses test" in told[1]
    assert "asked for by alice: CVE-2026-1" in told[1]


def test_a_notifier_that_cannot_be_used_is_named_by_the_plan_and_stops_nothing(
    store: Path, told: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    plan_task(store, Notifier("tests.notifiers.Missing"), ALL).execute(of_run())
    assert events(told) == ["started"]
    why = "nobody will be told by notifier tests.notifiers.Missing: it cannot be imported"
    assert why in capsys.readouterr().out


def test_a_plan_that_is_refused_is_told_by_whom_the_file_names(
    store: Path, told: list[str]
) -> None:
    task = plan_task(store, ALL)
    error = AirflowFailException("nothing was touched:\nno change")
    record_and_arm({**of_task("plan"), "task": task, "exception": error})
    assert told == [
        "failed: accounts: the rollout failed in plan\nnothing was touched:\nno change\n"
        "no target was touched; once it is mended, clear plan with downstream"
    ]


def test_a_graduation_is_told_once_and_again_after_the_channel_was_entered_again(
    substrate: FakeSubstrate, signal: FakeSignal, told: list[str]
) -> None:
    records = soaked(substrate, ALL)
    for _ in range(2):  # cleared, or killed after it was recorded
        assert health(of_task("playground.health"))
    assert len(told) == 1
    assert told[0].splitlines()[:2] == [
        "graduated: accounts: change (cccccccccccc) has graduated from playground",
        "2 targets run it: playground-1, playground-2",
    ]
    assert told[0].endswith("next: test")
    records.add(Kind.ROLLED_BACK, at=datetime.now(UTC) - timedelta(minutes=4), channel="playground")
    enter(records, substrate, minutes_ago=3)
    assert health(of_task("playground.health"))
    assert events(told) == ["graduated", "graduated"]


def test_a_graduation_makes_an_event_of_the_channels_asset(
    substrate: FakeSubstrate, signal: FakeSignal
) -> None:
    records = soaked(substrate)
    context = of_task("playground.health")
    assert health(context)
    certificate = Certificate.of(records.latest(Kind.GRADUATED, channel="playground"))
    assert certificate
    (event,) = context["outlet_events"][outlet("accounts", "playground")].asset_alias_events
    assert event.source_alias_name == "rollout://accounts/playground"
    assert event.dest_asset_key.uri == Asset("rollout://accounts/playground").uri
    assert event.extra == {
        "digest": "c" * 64,
        "change": "change",
        "run_id": "manual__1",
        "rollout": "accounts",
        "channel": "playground",
        "targets": ["playground-1", "playground-2"],
        "certificate": certificate.digest,
    }


def test_no_event_without_a_graduation(substrate: FakeSubstrate, signal: FakeSignal) -> None:
    soaked(substrate)
    signal.health = Health.UNKNOWN
    context = of_task("playground.health")
    assert not health(context)
    assert len(context["outlet_events"]) == 0


def test_where_a_person_approves_the_gate_makes_the_event(
    substrate: FakeSubstrate, signal: FakeSignal, told: list[str]
) -> None:
    records = soaked(substrate, ALL, gate="health+approval")
    judged = of_task("playground.health")
    assert health(judged)
    assert len(judged["outlet_events"]) == 0
    channel = records.plan().definition.channel("playground")
    gate = ApprovalGate(task_id="gate", definition="accounts", channel=channel)
    context = of_task("playground.gate")
    user = {"id": "bob", "name": "bob"}
    answer = {
        "chosen_options": ["Approve"],
        "params_input": {},
        "responded_at": datetime.now(UTC),
        "responded_by_user": user,
    }
    gate.execute_complete(context, answer)
    found = context["outlet_events"][outlet("accounts", "playground")].asset_alias_events
    assert len(found) == 1
    assert "approved by bob" in told[-1]


def test_a_question_is_told_once_even_when_airflow_loses_it(
    told: list[str], questions: list[dict[str, Any]]
) -> None:
    touched(ALL, on_failure=OnFailure.HOLD)
    fail("playground.apply", "playground-1: says no")
    told.clear()
    context = of_task("rollback.decide")
    with pytest.raises(TaskAwaitingInput):
        decide().execute(context)
    with pytest.raises(TaskAwaitingInput):
        decide().look(context, {})  # no answer was found: it is asked again
    assert len(questions) == 2
    assert len(told) == 1
    assert told[0].splitlines()[:2] == [
        "waiting: accounts: waits for a person: The rollout failed. Roll back?",
        "answer under Required Actions of the run (task rollback.decide), within 1:00:00",
    ]
    assert "playground-1: says no" in told[0]


def test_another_question_of_the_same_task_is_told(
    told: list[str], questions: list[dict[str, Any]]
) -> None:
    touched(ALL, on_failure=OnFailure.HOLD)
    with pytest.raises(TaskAwaitingInput):
        decide().execute(of_task("rollback.decide"))
    answer = {
        "chosen_options": ["Keep as it is"],
        "params_input": {},
        "responded_at": datetime.now(UTC),
        "responded_by_user": None,
    }
    with pytest.raises(AirflowSkipException):
        decide().execute_complete(of_task("rollback.decide"), answer)
    fail("playground.apply", "once more")
    with pytest.raises(TaskAwaitingInput):
        decide().execute(of_task("rollback.decide"))
    assert events(told) == ["waiting", "failed", "waiting"]


def test_a_failure_is_told_once_though_airflow_calls_back_twice(told: list[str]) -> None:
    touched(ALL)
    for _ in range(2):
        fail("playground.apply", "playground-1: the bucket exists\nto try again: clear it")
    fail("playground.apply", "playground-2: too", map_index=1)
    assert told == [
        "failed: accounts: the rollout of change (cccccccccccc) failed in playground.apply\n"
        "playground-1: the bucket exists\n"
        "to try again: clear it\n"
        "the rollback has begun; what was restored is told when it has ended"
    ]
    fail("playground.apply", "playground-1: again", try_number=2)
    assert events(told) == ["failed", "failed"]


def test_a_failure_that_airflow_did_not_call_back_for_is_told_once_all_is_restored(
    substrate: FakeSubstrate, told: list[str]
) -> None:
    touched(ALL)
    restore()
    assert told == [], "no message keeps a restore waiting"
    verdict()
    verdict()
    assert events(told) == ["failed", "rolled_back"]
    assert "no failure was recorded: a task was marked failed, or its process was lost" in told[0]


def test_a_failure_whose_callback_died_before_it_told_is_told_by_the_rollback(
    substrate: FakeSubstrate, told: list[str]
) -> None:
    records = touched(ALL)
    for wave in (0, 1):
        records.add(
            Kind.FAILED,
            at=datetime.now(UTC),
            channel="playground",
            task="playground.apply",
            reason=f"wave {wave} says no",
            attempt=f"playground.apply[{wave}] try 1",
        )
    verdict()
    assert events(told) == ["failed", "rolled_back"]
    assert "wave 0 says no" in told[0]


def test_the_same_failure_after_another_entry_is_told_again(told: list[str]) -> None:
    records = touched(ALL)
    fail("playground.apply", "playground-1: says no")
    records.add(Kind.ENTERED, at=datetime.now(UTC), channel="playground")
    fail("playground.apply", "playground-2: says no", map_index=1)  # its first try, too
    assert events(told) == ["failed", "failed"]


def test_a_verdict_is_no_failure_of_its_own(substrate: FakeSubstrate, told: list[str]) -> None:
    touched(ALL)
    verdict()
    fail("rollback.verdict", "the rollout failed")
    assert events(told) == ["failed", "rolled_back"]


def test_where_nothing_was_touched_no_rollback_is_told(
    substrate: FakeSubstrate, told: list[str]
) -> None:
    begin(a_channel("playground"), notify=(ALL,))
    fail("preview", "no such account")
    verdict()
    assert events(told) == ["failed"]


def test_the_end_of_a_rollback_is_told_with_what_became_of_each_target(
    substrate: FakeSubstrate, told: list[str]
) -> None:
    touched(ALL)
    fail("playground.apply", "playground-1: says no")
    restore()
    verdict()
    lines = told[-1].splitlines()
    assert lines[:3] == [
        "rolled_back: accounts: the rollout of change (cccccccccccc) was rolled back, fully",
        "2 targets restored to what ran before",
        "clear playground.enter with downstream to apply it again from there",
    ]
    assert "failed: playground.apply: playground-1: says no" in lines
    assert "restored: playground-2 of playground: restored" in lines


def test_what_could_not_be_restored_is_told(substrate: FakeSubstrate, told: list[str]) -> None:
    substrate.keeps.add("playground-2")
    touched(ALL)
    verdict()
    assert told[-1].splitlines()[:3] == [
        "rolled_back: accounts: the rollout of change (cccccccccccc) was rolled back, in part "
        "only: 1 target not restored",
        "1 target restored to what ran before",
        "not restored: playground-2 of playground",
    ]


def test_a_finished_rollout_is_told_once_with_what_it_owes(told: list[str]) -> None:
    bypass = Bypass(BypassTier.SHORTEN_SOAK, reason="CVE-2026-1", requested_by="alice")
    records = begin(*(a_channel(name) for name in NAMES), bypass=bypass, notify=(ALL,))
    graduate(records, *NAMES)
    for _ in range(2):
        outcome()
    assert events(told) == ["finished", "debt"]
    assert told[0] == (
        "finished: accounts: the rollout of change (cccccccccccc) has finished\n"
        "change (cccccccccccc) graduated"
    )
    assert "a bypass is owed: manual__1 of change" in told[1]


def test_a_process_that_goes_on_after_a_rollback_graduates_nothing_and_tells_nobody(
    substrate: FakeSubstrate, told: list[str]
) -> None:
    records = soaked(substrate, ALL)
    rollout = Rollout.open(records.definition, records.run_id)
    records.add(Kind.ROLLING_BACK, at=datetime.now(UTC), channel="playground")
    told.clear()
    with pytest.raises(AirflowFailException, match="playground was rolled back"):
        announce.graduate(
            rollout, "playground", reason="well", context=of_task("playground.health")
        )
    assert not records.ledger().happened(Kind.GRADUATED, channel="playground")
    assert told == []


def test_bad_notifiers_change_nothing_about_a_rollout(
    substrate: FakeSubstrate, signal: FakeSignal, told: list[str]
) -> None:
    records = soaked(substrate, *WRONG)
    assert health(of_task("playground.health"))
    assert records.ledger().happened(Kind.GRADUATED, channel="playground")
    fail("test.apply", "no")
    assert [r["task"] for r in records.details(Kind.FAILED)] == ["test.apply"]
    assert events(told) == ["graduated", "failed"]


def test_a_notifier_that_hangs_delays_a_restore_no_longer_than_the_limit(
    substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "PATIENCE", 0.3)
    Hangs.released.clear()
    touched(Notifier("tests.notifiers.Hangs"))
    begun = datetime.now(UTC)
    restore()
    took = datetime.now(UTC) - begun
    Hangs.released.set()
    assert took < timedelta(seconds=5)
    assert sorted(substrate.calls) == ["restore playground-1", "restore playground-2"]


def test_a_message_that_cannot_be_composed_fails_no_task(
    substrate: FakeSubstrate,
    signal: FakeSignal,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr("phased_rollout.operators.announce.notices.graduated", broken)
    records = soaked(substrate, ALL)
    assert health(of_task("playground.health"))
    assert records.ledger().happened(Kind.GRADUATED, channel="playground")
    assert "the graduation could not be told: ValueError" in caplog.text


def test_without_notifiers_nothing_is_claimed(substrate: FakeSubstrate, signal: FakeSignal) -> None:
    records = soaked(substrate)
    assert health(of_task("playground.health"))
    assert not (records.folder / "told").exists()
