"""Applying a wave: verified, held, tolerated, refused; never behind an armed rollback."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRescheduleException,
    TaskDeferred,
)

from phased_rollout.model.definition import Concurrency, Waves
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import (
    Artifact,
    Difference,
    Outcome,
    Preview,
    Progress,
    TargetState,
)
from phased_rollout.operators.apply import ApplyOperator
from phased_rollout.records import RolloutRecords
from tests.builders import a_channel
from tests.fakes import FakeSubstrate
from tests.unit.conftest import begin

CONTEXT: dict[str, Any] = {"run_id": "manual__1"}
TARGETS = ["playground-1", "playground-2"]


def apply(*targets: str) -> ApplyOperator:
    wave = {"wave": 1, "targets": list(targets or TARGETS)}
    return ApplyOperator(task_id="apply", definition="accounts", channel="playground", wave=wave)


def entered(**channel: Any) -> RolloutRecords:
    records = begin(a_channel("playground", **channel))
    records.add(Kind.ENTERED, at=datetime.now(UTC), channel="playground")
    return records


def kinds(records: RolloutRecords, target: str) -> list[str]:
    return [e.kind for e in records.of_targets("playground").entries if e.target == target]


def test_a_wave_succeeds_with_the_moment_of_its_verification(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = entered()
    moment = datetime.fromisoformat(apply().execute(CONTEXT))
    assert records.ledger().last(Kind.APPLIED, channel="playground") == moment
    assert [kinds(records, name) for name in TARGETS] == [["verified"], ["verified"]]
    assert sorted(substrate.calls) == ["apply playground-1", "apply playground-2"]


def test_what_ran_before_is_recorded_before_the_first_mutation_and_kept(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = entered()
    old = Artifact("old", {"template": "old"})
    substrate.running["playground-1"] = old
    apply().execute(CONTEXT)
    apply().execute(CONTEXT)
    assert records.before(channel="playground", target="playground-1") == TargetState(old)


def test_a_refusal_fails_the_task_without_a_retry_and_names_the_target(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = entered()
    substrate.refuses.add("playground-2")
    with pytest.raises(AirflowFailException) as failed:
        apply().execute(CONTEXT)
    assert str(failed.value) == (
        "playground-2: playground-2 says no\n"
        "to try again: after the rollback, clear playground.enter with downstream to apply it "
        "again from there"
    )
    assert kinds(records, "playground-2") == ["refused"]
    assert kinds(records, "playground-1") == ["verified"]


def test_a_target_that_cannot_be_reached_holds_without_a_slot(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = entered()
    substrate.unreachable.add("playground-2")
    with pytest.raises(TaskDeferred) as deferred:
        apply().execute(CONTEXT)
    assert list(deferred.value.trigger.tokens) == ["playground-2"]
    assert [r["reason"] for r in records.details(Kind.HELD)] == [
        "playground-2 cannot be reached, which is no failure of the change: "
        "playground-2 does not answer"
    ]
    substrate.unreachable.clear()
    apply().resume(CONTEXT, {}, **deferred.value.kwargs)
    assert kinds(records, "playground-2") == ["verified"]
    assert substrate.calls == ["apply playground-1", "apply playground-2"]


def test_a_refusal_does_not_wait_for_a_target_that_cannot_be_reached(
    store: Path, substrate: FakeSubstrate
) -> None:
    entered()
    substrate.unreachable.add("playground-1")
    substrate.refuses.add("playground-2")
    with pytest.raises(AirflowFailException, match="playground-2 says no"):
        apply().execute(CONTEXT)


def test_a_target_that_would_change_otherwise_than_was_previewed_is_left_as_it_is(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = entered()
    seen = dict.fromkeys(TARGETS, Preview().digest)
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), targets=seen, differences=[], authorize=[])
    substrate.previews["playground-2"] = Preview((Difference("Remove", "Table", "T"),))
    with pytest.raises(TaskDeferred) as held:
        apply().execute(CONTEXT)
    assert substrate.calls == ["apply playground-1"]
    assert list(held.value.trigger.tokens) == ["playground-2"]
    [reason] = [r["reason"] for r in records.details(Kind.HELD)]
    assert reason == (
        "playground-2 is left as it is, which is no failure of the change: playground-2 would "
        "change otherwise now; to see what would change now, and to be asked, clear enter of its "
        "channel with downstream"
    )


def test_an_operation_of_somebody_else_is_waited_for(store: Path, substrate: FakeSubstrate) -> None:
    records = entered()
    substrate.busy.add("playground-1")
    with pytest.raises(TaskDeferred):
        apply("playground-1").execute(CONTEXT)
    assert records.captured("playground") == []


def test_nothing_is_applied_once_a_rollback_is_armed(store: Path, substrate: FakeSubstrate) -> None:
    records = entered()
    records.add(Kind.ARMED, at=datetime.now(UTC), reason="test")
    with pytest.raises(AirflowFailException, match="a rollback is armed"):
        apply().execute(CONTEXT)
    assert substrate.calls == []


def test_a_failure_within_the_tolerance_is_restored_at_once_and_the_channel_goes_on(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = entered(max_failed=1)
    substrate.refuses.add("playground-2")
    apply().execute(CONTEXT)
    assert kinds(records, "playground-2") == ["refused", "excepting", "excepted"]
    assert "restore playground-2" in substrate.calls


def test_a_failure_beyond_the_tolerance_fails(store: Path, substrate: FakeSubstrate) -> None:
    entered(targets=3, max_failed=1)
    substrate.refuses |= {"playground-1", "playground-2"}
    apply("playground-1").execute(CONTEXT)
    with pytest.raises(AirflowFailException, match="playground-2 says no"):
        apply("playground-2").execute(CONTEXT)


def test_no_further_target_is_started_once_more_have_failed_than_the_channel_bears(
    store: Path, substrate: FakeSubstrate
) -> None:
    entered()
    substrate.refuses.add("playground-1")
    with pytest.raises(AirflowFailException):
        apply("playground-1").execute(CONTEXT)
    with pytest.raises(AirflowException, match="no further target of playground is started"):
        apply("playground-2").execute(CONTEXT)
    assert substrate.calls == []


def test_no_more_targets_are_started_than_may_fail(store: Path, substrate: FakeSubstrate) -> None:
    records = entered(targets=4, max_failed=1)
    substrate.stays_busy = True
    with pytest.raises(TaskDeferred) as first:
        apply("playground-1", "playground-2", "playground-3").execute(CONTEXT)
    before = datetime.now(UTC)
    with pytest.raises(AirflowRescheduleException) as other:
        apply("playground-4").execute(CONTEXT)
    assert sorted(substrate.calls) == ["apply playground-1", "apply playground-2"]
    trigger = first.value.trigger
    assert (list(trigger.tokens), trigger.until_turn) == (["playground-1", "playground-2"], True)
    assert other.value.reschedule_date > before, "its place is free for a retry of the others"
    assert records.captured("playground") == ["playground-1", "playground-2"]
    substrate.stays_busy = False
    substrate.busy.clear()
    apply().resume(CONTEXT, {}, **first.value.kwargs)
    apply("playground-4").execute(CONTEXT)
    assert records.captured("playground") == [f"playground-{n}" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(("quiet", "away"), [(0, 5), (100, 20), (3600, 120)])
def test_whoever_has_no_turn_comes_back_more_rarely_the_longer_nothing_happens(
    store: Path, substrate: FakeSubstrate, quiet: int, away: int
) -> None:
    records = entered(targets=3, max_failed=1)
    then = datetime.now(UTC) - timedelta(seconds=quiet)
    records.add(Kind.REFUSED, at=then, channel="playground", target="playground-1", reason="no")
    substrate.stays_busy = True
    for name in ("playground-1", "playground-2"):
        with pytest.raises(TaskDeferred):
            apply(name).execute(CONTEXT)
    with pytest.raises(AirflowRescheduleException) as waits:
        apply("playground-3").execute(CONTEXT)
    found = waits.value.reschedule_date - datetime.now(UTC)
    assert abs(found - timedelta(seconds=away)) < timedelta(seconds=3)


def test_a_channel_that_is_soft_starts_all_targets_of_a_wave(
    store: Path, substrate: FakeSubstrate
) -> None:
    entered(waves=Waves(concurrency=Concurrency.SOFT))
    substrate.stays_busy = True
    with pytest.raises(TaskDeferred):
        apply().execute(CONTEXT)
    assert sorted(substrate.calls) == ["apply playground-1", "apply playground-2"]


def test_a_target_that_cannot_be_reached_keeps_no_other_from_its_turn(
    store: Path, substrate: FakeSubstrate
) -> None:
    entered()
    substrate.unreachable.add("playground-1")
    with pytest.raises(TaskDeferred):
        apply().execute(CONTEXT)
    assert substrate.calls == ["apply playground-2"]


def test_a_target_that_failed_may_be_tried_again_and_then_lets_the_others_in(
    store: Path, substrate: FakeSubstrate
) -> None:
    entered()
    substrate.refuses.add("playground-1")
    with pytest.raises(AirflowFailException):
        apply("playground-1").execute(CONTEXT)
    substrate.refuses.clear()
    apply("playground-1").execute(CONTEXT)
    apply("playground-2").execute(CONTEXT)
    assert substrate.calls == ["apply playground-1", "apply playground-2"]


def test_an_apply_that_waits_gives_up_when_a_rollback_is_armed(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = entered()
    substrate.unreachable.add("playground-2")
    with pytest.raises(TaskDeferred) as deferred:
        apply().execute(CONTEXT)
    assert deferred.value.trigger.until_armed
    records.add(Kind.ARMED, at=datetime.now(UTC), reason="test")
    with pytest.raises(AirflowFailException, match="a rollback is armed"):
        apply().resume(CONTEXT, {}, **deferred.value.kwargs)


def test_a_tolerated_target_is_given_back_once_and_never_applied_again(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered(max_failed=1)
    substrate.refuses.add("playground-2")
    restore, answers = FakeSubstrate.restore, [Progress(Outcome.WAITING, "in progress")]
    monkeypatch.setattr(
        FakeSubstrate,
        "restore",
        lambda self, target, **kwargs: (
            answers.pop() if answers else restore(self, target, **kwargs)
        ),
    )
    with pytest.raises(TaskDeferred) as deferred:
        apply().execute(CONTEXT)
    substrate.refuses.clear()
    apply().resume(CONTEXT, {}, **deferred.value.kwargs)
    assert substrate.calls == ["apply playground-1", "restore playground-2"]


def test_a_failed_verification_is_a_failed_target(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = entered(targets=1)
    monkeypatch.setattr(
        FakeSubstrate, "apply", lambda *_, **__: Progress(Outcome.DONE, "it says so")
    )
    with pytest.raises(AirflowFailException, match="playground-1 runs something else"):
        apply("playground-1").execute(CONTEXT)
    assert kinds(records, "playground-1") == ["refused"]


def test_a_retry_leaves_a_tolerated_target_alone(store: Path, substrate: FakeSubstrate) -> None:
    entered(max_failed=1)
    substrate.refuses.add("playground-2")
    apply().execute(CONTEXT)
    calls = sorted(substrate.calls)
    apply().execute(CONTEXT)
    assert sorted(substrate.calls) == calls == ["apply playground-1", "restore playground-2"]


def test_a_target_outside_the_channel_is_never_touched(
    store: Path, substrate: FakeSubstrate
) -> None:
    entered()
    with pytest.raises(Exception, match="not in channel playground of the plan: other"):
        apply("other").execute(CONTEXT)
    assert substrate.calls == []
