"""An operator holds, resumes and aborts a rollout: recorded with a name, obeyed by every task."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from phased_rollout.dag_control import build_control
from phased_rollout.model.definition import OnFailure
from phased_rollout.model.ledger import Kind
from phased_rollout.operators.apply import ApplyOperator
from phased_rollout.operators.approval import DecideOperator
from phased_rollout.operators.callbacks import record_and_arm
from phased_rollout.operators.control import ControlOperator
from phased_rollout.operators.enter import EnterOperator
from phased_rollout.operators.outcome import OutcomeOperator, VerdictOperator
from phased_rollout.operators.restore import RestoreOperator
from phased_rollout.records import RolloutRecords
from phased_rollout.sensors.health import HealthSensor
from phased_rollout.sensors.soak import SoakSensor
from tests.builders import a_channel, a_definition
from tests.fakes import FakeSubstrate
from tests.unit.conftest import begin

CONTEXT: dict[str, Any] = {"run_id": "manual__1"}
SHAPE = ["playground", "on failure rollback"]


@dataclass
class FakeRun:
    triggering_user_name: str | None = "ann"
    conf: dict[str, Any] = field(default_factory=dict)


@dataclass
class FakeTaskInstance:
    """Knows the state of one run; fails a task as Airflow does."""

    state: str = "running"
    dag_id: str = "accounts"
    run_id: str = "manual__1"
    task_id: str = "playground.apply"
    map_index: int = 0
    try_number: int = 1

    def get_dagrun_state(self, dag_id: str, run_id: str) -> str:
        assert (dag_id, run_id) == ("accounts", "manual__1")
        return self.state


def say(action: str, *, reason: str = "enough", state: str = "running", **kwargs: Any) -> str:
    task = build_control(a_definition()).task_dict["record"]
    assert isinstance(task, ControlOperator)
    run_id = kwargs.pop("run_id", None)
    return task.execute(
        {
            "params": {"action": action, "reason": reason, "run_id": run_id},
            "dag_run": FakeRun(**kwargs),
            "ti": FakeTaskInstance(state=state),
        }
    )


@pytest.fixture
def records(store: Path) -> RolloutRecords:
    """Begin a rollout whose only channel was entered."""
    found = begin(a_channel("playground"))
    found.add(Kind.PREVIEWED, at=datetime.now(UTC), differences=[], authorize=[])
    found.add(Kind.ENTERED, at=datetime.now(UTC), channel="playground")
    return found


def a_task(kind: Any, **kwargs: Any) -> Any:
    return kind(task_id="task", definition="accounts", **kwargs)


def apply() -> ApplyOperator:
    wave = {"wave": 1, "targets": ["playground-1", "playground-2"]}
    return a_task(ApplyOperator, channel="playground", wave=wave)  # type: ignore[no-any-return]


def fail(error: str) -> None:
    """Fail a task of the rollout as Airflow reports it."""
    record_and_arm({"ti": FakeTaskInstance(), "exception": AirflowFailException(error)})


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        ("hold", Kind.OPERATOR_HOLD),
        ("abort_and_roll_back", Kind.ABORTED),
        ("abort_and_leave", Kind.ABANDONED),
    ],
)
def test_a_word_is_recorded_with_the_name_of_who_said_it_and_why(
    records: RolloutRecords, action: str, kind: Kind
) -> None:
    assert say(action, reason=" a look first ").startswith(f"manual__1: {action} by ann: a look")
    [record] = records.details(kind)
    assert (record["user"], record["reason"]) == ("ann", "a look first")


def test_a_rollout_is_held_until_it_is_resumed(records: RolloutRecords) -> None:
    say("hold")
    assert records.ledger().is_held
    say("resume")
    assert not records.ledger().is_held
    say("hold", run_id="manual__1")
    assert records.ledger().is_held


@pytest.mark.parametrize(
    ("kwargs", "problem"),
    [
        ({"action": "hold", "reason": "  "}, "reason: say why"),
        ({"action": "hold", "triggering_user_name": None}, "a person has to trigger this"),
        ({"action": "hold", "conf": {"acton": "resume"}}, "unknown conf keys: acton"),
        ({"action": "hold", "run_id": "nightly"}, "run_id: no such rollout"),
        ({"action": "hold", "state": "failed"}, r"has ended \(failed\): there is nothing to hold"),
        ({"action": "abort_and_leave", "state": "success"}, "has ended"),
        ({"action": "resume"}, "is not held"),
    ],
)
def test_a_word_without_effect_is_refused_and_not_recorded(
    records: RolloutRecords, kwargs: dict[str, Any], problem: str
) -> None:
    before = records.ledger()
    with pytest.raises(AirflowFailException, match=problem):
        say(**kwargs)
    assert records.ledger() == before


def test_a_rollout_is_neither_held_twice_nor_aborted_twice(records: RolloutRecords) -> None:
    say("hold")
    with pytest.raises(AirflowFailException, match="is held already"):
        say("hold")
    say("abort_and_roll_back")
    for action in ("resume", "hold", "abort_and_roll_back", "abort_and_leave"):
        with pytest.raises(AirflowFailException, match="was aborted already"):
            say(action)


def test_who_left_everything_as_it_is_may_still_have_it_rolled_back(
    records: RolloutRecords, substrate: FakeSubstrate
) -> None:
    apply().execute(CONTEXT)
    say("abort_and_leave")
    with pytest.raises(AirflowSkipException):
        a_task(RestoreOperator, channel="playground").execute(CONTEXT)
    say("abort_and_roll_back", state="failed")
    a_task(RestoreOperator, channel="playground").execute(CONTEXT)
    assert substrate.running == {}


@pytest.mark.parametrize("action", ["abort_and_roll_back", "abort_and_leave"])
def test_no_step_of_an_aborted_rollout_is_taken(
    records: RolloutRecords, substrate: FakeSubstrate, action: str
) -> None:
    say(action)
    steps = [
        lambda: a_task(EnterOperator, channel="playground", shape=SHAPE).execute(CONTEXT),
        lambda: apply().execute(CONTEXT),
        lambda: apply().resume(CONTEXT, {}, tokens={"playground-1": "t"}, failed={}),
        lambda: a_task(HealthSensor, channel="playground").poke(CONTEXT),
        lambda: a_task(OutcomeOperator, shape=SHAPE).execute(CONTEXT),
        lambda: a_task(
            SoakSensor, channel="playground", since=[], delta=a_channel("x").soak
        ).execute_complete(CONTEXT, {"aborted": True}),
    ]
    for step in steps:
        with pytest.raises(AirflowFailException, match="aborted"):
            step()
    assert substrate.calls == []


def test_an_aborted_rollout_is_rolled_back_and_the_verdict_names_who_aborted_it(
    records: RolloutRecords, substrate: FakeSubstrate
) -> None:
    apply().execute(CONTEXT)
    say("abort_and_roll_back")
    fail("aborted")
    with pytest.raises(AirflowFailException, match="aborted by ann: enough") as failed:
        a_task(VerdictOperator).execute(CONTEXT)
    assert substrate.running == {}
    assert "restored: playground-1 of playground" in str(failed.value)


def test_a_rollout_that_is_left_as_it_is_restores_nothing_and_ends_failed(
    records: RolloutRecords, substrate: FakeSubstrate
) -> None:
    apply().execute(CONTEXT)
    say("abort_and_leave")
    fail("aborted")
    with pytest.raises(AirflowSkipException):
        a_task(RestoreOperator, channel="playground").execute(CONTEXT)
    with pytest.raises(AirflowFailException, match="abandoned by ann: enough"):
        a_task(VerdictOperator).execute(CONTEXT)
    assert sorted(substrate.running) == ["playground-1", "playground-2"]


@pytest.mark.parametrize(
    ("action", "skips"), [("abort_and_roll_back", False), ("abort_and_leave", True)]
)
def test_an_abort_answers_the_question_whether_to_roll_back(
    store: Path,
    questions: list[Any],
    action: str,
    skips: bool,  # noqa: FBT001
) -> None:
    found = begin(a_channel("playground"), on_failure=OnFailure.HOLD)
    found.add(Kind.ENTERED, at=datetime.now(UTC), channel="playground")
    say(action)
    fail("aborted")
    decide = a_task(DecideOperator)
    if skips:
        with pytest.raises(AirflowSkipException):
            decide.execute(CONTEXT)
    else:
        assert decide.execute(CONTEXT) == "it was decided to roll back"
    assert questions == []
