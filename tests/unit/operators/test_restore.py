"""Restoring a channel, and the verdict that sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    TaskAwaitingInput,
    TaskDeferred,
)

from phased_rollout.debts import owed
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.change import Change
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Plan
from phased_rollout.model.target_state import Artifact, TargetState
from phased_rollout.operators.callbacks import record_and_arm
from phased_rollout.operators.outcome import OutcomeOperator, VerdictOperator
from phased_rollout.operators.restore import GIVE_UP_AFTER, RestoreOperator
from phased_rollout.operators.steps import UNREACHABLE_POLL
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import NAMES, a_channel, a_plan
from tests.fakes import FakeSubstrate
from tests.unit.conftest import begin

SHAPE = (*NAMES, "on failure rollback")


class Task:
    task_id, id = "rollback.playground", "ti"


CONTEXT: dict[str, Any] = {"run_id": "manual__1", "ti": Task(), "task_instance": Task()}


def answer(option: str) -> dict[str, Any]:
    user = {"id": "alice", "name": "alice"}
    given = {"chosen_options": [option], "params_input": {}, "responded_at": datetime.now(UTC)}
    return {**given, "responded_by_user": user}


def rollback(channel: str) -> RestoreOperator:
    return RestoreOperator(task_id=channel, definition="accounts", channel=channel)


def verdict() -> VerdictOperator:
    return VerdictOperator(task_id="verdict", definition="accounts")


def outcome(shape: Sequence[str] = SHAPE) -> OutcomeOperator:
    return OutcomeOperator(task_id="outcome", definition="accounts", shape=list(shape))


def touched(*channels: str, **settings: Any) -> RolloutRecords:
    records = begin(*(a_channel(name) for name in NAMES), **settings)
    for channel in channels:
        records.add(Kind.ENTERED, at=datetime.now(UTC), channel=channel)
        for n in (1, 2):
            records.capture(
                TargetState(None), channel=channel, target=f"{channel}-{n}", at=datetime.now(UTC)
            )
    return records


def graduate(records: RolloutRecords, *channels: str) -> None:
    for channel in channels:
        for kind in (Kind.ENTERED, Kind.APPLIED, Kind.HEALTHY, Kind.GRADUATED):
            records.add(kind, at=datetime.now(UTC), channel=channel)


def test_what_was_touched_is_restored(store: Path, substrate: FakeSubstrate) -> None:
    records = touched("playground")
    assert rollback("playground").execute(CONTEXT) == (
        "2 targets of playground run what they ran before"
    )
    assert sorted(substrate.calls) == ["restore playground-1", "restore playground-2"]
    assert records.ledger().happened(Kind.ROLLED_BACK, channel="playground")


def test_the_fence_is_written_before_anything_is_restored(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = touched("playground")
    substrate.busy.add("playground-1")
    substrate.unreachable.add("playground-2")
    with pytest.raises(TaskDeferred):
        rollback("playground").execute(CONTEXT)
    assert records.ledger().happened(Kind.ROLLING_BACK, channel="playground")
    assert not records.ledger().happened(Kind.ROLLED_BACK, channel="playground")


def test_a_channel_that_was_never_entered_is_skipped(store: Path, substrate: FakeSubstrate) -> None:
    touched("playground")
    with pytest.raises(AirflowSkipException):
        rollback("production").execute(CONTEXT)
    assert substrate.calls == []


def test_a_run_without_a_plan_has_nothing_to_restore(store: Path, substrate: FakeSubstrate) -> None:
    with pytest.raises(AirflowSkipException, match="no channel was entered"):
        rollback("playground").execute(CONTEXT)
    with pytest.raises(AirflowFailException, match="no plan was frozen: no target was touched"):
        verdict().execute(CONTEXT)


def test_a_restore_that_fails_is_named_and_the_others_happen(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = touched("playground")
    substrate.keeps.add("playground-1")
    with pytest.raises(AirflowFailException) as failed:
        rollback("playground").execute(CONTEXT)
    assert str(failed.value) == (
        "not restored: playground-1 of playground: termination protection\n"
        "mend the cause, then clear rollback.playground with downstream"
    )
    assert substrate.calls == ["restore playground-2"]
    assert not records.ledger().happened(Kind.ROLLED_BACK, channel="playground")


def test_a_rollback_pauses_for_a_person_when_too_many_restores_fail(
    store: Path, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    records = touched("playground", "test", pause_after=2, rollback_wave=1)
    substrate.keeps |= {"test-1", "test-2"}
    with pytest.raises(AirflowFailException, match="not restored: test-1"):
        rollback("test").execute(CONTEXT)
    with pytest.raises(TaskAwaitingInput):
        rollback("playground").execute(CONTEXT)
    assert substrate.calls == []
    assert "2 restores failed: test-1 of test, test-2 of test" in questions[0]["body"]
    with pytest.raises(AirflowFailException, match="the rollback paused: 2 restores failed"):
        verdict().execute(CONTEXT)
    assert substrate.calls == []
    assert rollback("playground").execute_complete(CONTEXT, answer("Go on")) == (
        "2 targets of playground run what they ran before"
    )
    assert [r["user"] for r in records.details(Kind.RESUMED)] == ["alice"]


def test_a_rollback_pauses_within_a_channel_and_tries_what_failed_last(
    store: Path, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    touched("playground", pause_after=1, rollback_wave=1)
    substrate.keeps.add("playground-1")
    with pytest.raises(TaskAwaitingInput):
        rollback("playground").execute(CONTEXT)
    assert substrate.calls == []
    with pytest.raises(AirflowFailException, match="not restored: playground-1"):
        rollback("playground").execute_complete(CONTEXT, answer("Go on"))
    assert substrate.calls == ["restore playground-2"]


def test_a_rollback_that_a_person_stopped_stays_stopped_until_it_is_cleared(
    store: Path, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    touched("playground", "test", pause_after=1, rollback_wave=1)
    substrate.keeps.add("test-1")
    with pytest.raises(TaskAwaitingInput):
        rollback("test").execute(CONTEXT)
    with pytest.raises(AirflowFailException, match="alice stopped the rollback"):
        rollback("test").execute_complete(CONTEXT, answer("Stop"))
    with pytest.raises(AirflowFailException, match=r"clear rollback\.test with downstream"):
        rollback("playground").execute(CONTEXT)
    assert (substrate.calls, len(questions)) == ([], 1)
    with pytest.raises(TaskAwaitingInput):
        rollback("test").execute(CONTEXT)
    assert len(questions) == 2


def test_a_target_that_stays_unreachable_is_given_up_after_waiting(
    store: Path, substrate: FakeSubstrate
) -> None:
    touched("playground")
    substrate.unreachable.add("playground-1")
    with pytest.raises(TaskDeferred) as deferred:
        rollback("playground").execute(CONTEXT)
    assert substrate.calls == ["restore playground-2"]
    assert deferred.value.trigger.interval == UNREACHABLE_POLL
    later = datetime.now(UTC) - GIVE_UP_AFTER
    kwargs = {**deferred.value.kwargs, "begun": later.isoformat()}
    with pytest.raises(AirflowException, match="not restored: playground-1 of playground"):
        rollback("playground").resume(CONTEXT, {}, **kwargs)


def test_what_somebody_changed_between_a_rollback_and_the_next_apply_is_captured_anew(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = touched("playground")
    rollback("playground").execute(CONTEXT)
    records.add(Kind.ENTERED, at=datetime.now(UTC), channel="playground")
    theirs = TargetState(Artifact("theirs", {"by": "hand"}))
    assert records.before(channel="playground", target="playground-1") is None
    records.capture(theirs, channel="playground", target="playground-1", at=datetime.now(UTC))
    assert records.before(channel="playground", target="playground-1") == theirs
    assert records.captured("playground") == ["playground-1"]


def test_nothing_is_restored_over_a_newer_rollout(store: Path, substrate: FakeSubstrate) -> None:
    touched("playground")
    plan = a_plan()
    newer = Plan(plan.definition, "manual__2", "c", "change", made_at=datetime.now(UTC))
    Rollout.open("accounts", "manual__2").records.freeze(newer, Change("c", {"a": "b"}))
    with pytest.raises(AirflowException, match="a newer rollout of this definition has begun"):
        rollback("playground").execute(CONTEXT)
    assert substrate.calls == []


def test_the_verdict_restores_in_reverse_what_no_other_task_did(
    store: Path, substrate: FakeSubstrate
) -> None:
    touched("playground", "test")
    with pytest.raises(AirflowFailException) as failed:
        verdict().execute(CONTEXT)
    assert [call.rpartition("-")[0] for call in substrate.calls] == [
        "restore test",
        "restore test",
        "restore playground",
        "restore playground",
    ]
    assert "the rollout is not complete" in str(failed.value)
    assert "restored: test-1 of test: restored" in str(failed.value)


def test_the_verdict_restores_nothing_twice(store: Path, substrate: FakeSubstrate) -> None:
    touched("playground")
    rollback("playground").execute(CONTEXT)
    substrate.calls.clear()
    with pytest.raises(AirflowFailException):
        verdict().execute(CONTEXT)
    assert substrate.calls == []


def test_the_verdict_keeps_what_a_person_decided_to_keep(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = touched("playground")
    records.add(Kind.KEPT, at=datetime.now(UTC), user="alice")
    with pytest.raises(AirflowFailException):
        verdict().execute(CONTEXT)
    assert substrate.calls == []


def test_a_complete_run_passes_the_verdict(store: Path, substrate: FakeSubstrate) -> None:
    records = touched()
    graduate(records, *NAMES)
    assert outcome().execute(CONTEXT) == "change (cccccccccccc) graduated"
    assert verdict().execute(CONTEXT) == "complete"
    assert substrate.calls == []


def test_a_bypass_that_went_well_is_owed(store: Path, substrate: FakeSubstrate) -> None:
    records = touched(bypass=Bypass(BypassTier.SHORTEN_SOAK, (), "urgent"))
    graduate(records, *NAMES)
    outcome().execute(CONTEXT)
    assert [debt.left_out for debt in owed(records)] == ["soaks are shortened"]


def test_a_bypass_that_was_rolled_back_is_not_owed_and_one_that_was_kept_is(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = touched("playground", bypass=Bypass(BypassTier.SHORTEN_SOAK, (), "urgent"))
    with pytest.raises(AirflowFailException):
        verdict().execute(CONTEXT)
    assert owed(records) == []
    records.add(Kind.KEPT, at=datetime.now(UTC), user="alice")
    with pytest.raises(AirflowFailException):
        verdict().execute(CONTEXT)
    assert len(owed(records)) == 1


def test_an_outcome_holds_while_the_file_builds_another_dag(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = touched()
    graduate(records, "playground", "test")
    with pytest.raises(TaskDeferred) as held:
        outcome(["playground", "test", "on failure rollback"]).execute(CONTEXT)
    assert held.value.method_name == "execute"
    assert [r["reason"] for r in records.details(Kind.HELD)] == [
        "the file now says playground → test → on failure rollback; this rollout was planned as "
        "playground → test → production → on failure rollback: holding until the file is as it "
        "was. To give this rollout up instead, mark the run failed: what it changed is restored"
    ]


def test_an_outcome_that_a_user_marked_success_does_not_end_green(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = touched()
    graduate(records, *NAMES)
    with pytest.raises(AirflowFailException, match="the outcome was never recorded"):
        verdict().execute(CONTEXT)


class FakeTask:
    dag_id, run_id, task_id, map_index, try_number = "accounts", "manual__1", "test.soak", -1, 1


def test_a_failure_is_recorded_once_and_arms_the_rollback(store: Path) -> None:
    records = touched("playground")
    context = {"ti": FakeTask(), "exception": ValueError("harm")}
    record_and_arm(context)
    record_and_arm(context)
    assert [(r["channel"], r["task"], r["reason"]) for r in records.details(Kind.FAILED)] == [
        ("test", "test.soak", "harm")
    ]
    assert [r["reason"] for r in records.details(Kind.ARMED)] == ["test.soak: harm"]


def test_a_lost_process_is_recorded_without_an_exception(store: Path) -> None:
    records = touched("playground")
    record_and_arm({"ti": FakeTask(), "exception": None})
    assert [r["reason"] for r in records.details(Kind.FAILED)] == [
        "the process of the task was lost"
    ]


def test_a_failure_before_there_is_a_plan_is_recorded_but_arms_nothing(store: Path) -> None:
    records = Rollout.open("accounts", "manual__1").records
    record_and_arm({"ti": FakeTask(), "exception": ValueError("no change")})
    assert [e.kind for e in records.ledger().entries] == ["failed"]
