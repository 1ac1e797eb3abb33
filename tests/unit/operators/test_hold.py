"""What must not start waits, shown with its reason; what is in flight and a rollback go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Concurrency, Waves
from phased_rollout.model.ledger import Kind
from phased_rollout.model.windows import FreezeWindow
from phased_rollout.operators import hold
from phased_rollout.operators.apply import ApplyOperator
from phased_rollout.operators.enter import EnterOperator
from phased_rollout.operators.restore import RestoreOperator
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import a_channel, a_plan
from tests.fakes import FakeSubstrate
from tests.unit.conftest import begin

CONTEXT: dict[str, Any] = {"run_id": "manual__1"}
SHAPE = ["playground", "test", "on failure rollback"]
NOON = datetime(2027, 1, 2, 12, tzinfo=UTC)
WINDOW = FreezeWindow(
    "year end",
    "the books",
    "UTC",
    datetime(2026, 12, 20),  # noqa: DTZ001 - wall clock
    timedelta(days=18),
)
FROZEN = "frozen by year end (the books) until Thu 2027-01-07 00:00 UTC (UTC)"

SetClock = Callable[[datetime], None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Let holds look at another clock."""

    def set_to(moment: datetime) -> None:
        monkeypatch.setattr(hold, "now", lambda: moment)

    set_to(NOON)
    return set_to


def planned(*, bypass: Bypass | None = None, **channel: Any) -> RolloutRecords:
    frozen = a_channel("playground", freeze=(WINDOW,), **channel)
    records = begin(frozen, a_channel("test"), bypass=bypass or Bypass())
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), differences=[], authorize=[])
    return records


def entered(**channel: Any) -> RolloutRecords:
    records = planned(**channel)
    records.add(Kind.ENTERED, at=datetime.now(UTC), channel="playground")
    return records


def held_by_ann(records: RolloutRecords) -> None:
    records.add(Kind.OPERATOR_HOLD, at=datetime.now(UTC), user="ann", reason="a look first")


def enter() -> EnterOperator:
    return EnterOperator(task_id="enter", definition="accounts", channel="playground", shape=SHAPE)


def apply(*targets: str) -> ApplyOperator:
    wave = {"wave": 1, "targets": list(targets or ("playground-1", "playground-2"))}
    return ApplyOperator(task_id="apply", definition="accounts", channel="playground", wave=wave)


def reasons(records: RolloutRecords) -> list[str]:
    return [r["reason"] for r in records.details(Kind.HELD, channel="playground")]


def test_a_frozen_channel_is_not_entered_before_the_next_opening(
    store: Path, clock: SetClock
) -> None:
    records = planned()
    for _ in range(2):
        with pytest.raises(TaskDeferred) as deferred:
            enter().execute(CONTEXT)
    assert deferred.value.method_name == "execute"
    assert reasons(records) == [FROZEN]
    assert not records.ledger().happened(Kind.ENTERED, channel="playground")
    clock(datetime(2027, 1, 7, tzinfo=UTC))
    assert enter().execute(CONTEXT, event={"news": False})


def test_a_hold_is_looked_at_again_after_a_while_and_right_at_the_opening(
    store: Path, clock: SetClock
) -> None:
    planned()
    for left, wait in ((timedelta(days=1), hold.LOOK_AGAIN), (timedelta(minutes=1),) * 2):
        moment = datetime(2027, 1, 7, tzinfo=UTC) - left
        clock(moment)
        with pytest.raises(TaskDeferred) as deferred:
            enter().execute(CONTEXT)
        assert deferred.value.trigger.until == (moment + wait).isoformat()


def test_the_windows_are_those_of_the_plan(store: Path, clock: SetClock) -> None:
    begin(a_channel("playground"), a_channel("test"))
    assert hold.bar_of(enter().rollout(CONTEXT), "playground") is None


def test_an_emergency_passes_a_freeze(
    store: Path, substrate: FakeSubstrate, clock: SetClock
) -> None:
    records = Rollout.open("accounts", "manual__1").records
    plan = replace(a_plan(a_channel("playground", freeze=(WINDOW,))), emergency=True)
    records.freeze(plan, Change("change", {}))
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), differences=[], authorize=[])
    shape = ["playground", "on failure rollback"]
    EnterOperator(
        task_id="enter", definition="accounts", channel="playground", shape=shape
    ).execute(CONTEXT)
    apply().execute(CONTEXT)
    assert len(substrate.calls) == 2


def test_a_bypassed_channel_does_not_wait_for_its_windows(store: Path, clock: SetClock) -> None:
    planned(bypass=Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent", "ann"))
    with pytest.raises(AirflowSkipException):
        enter().execute(CONTEXT)


def test_a_wave_waits_for_the_next_opening(
    store: Path, substrate: FakeSubstrate, clock: SetClock
) -> None:
    records = entered()
    with pytest.raises(TaskDeferred) as deferred:
        apply().execute(CONTEXT)
    assert (substrate.calls, reasons(records)) == ([], [FROZEN])
    clock(datetime(2027, 1, 7, tzinfo=UTC))
    getattr(apply(), deferred.value.method_name)(CONTEXT, {}, **deferred.value.kwargs)
    assert substrate.calls == ["apply playground-1", "apply playground-2"]


def test_a_wave_whose_channel_opens_while_it_is_looked_at_is_applied(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered()
    looks = iter([NOON])
    opened = datetime(2027, 1, 7, tzinfo=UTC)
    monkeypatch.setattr(hold, "now", lambda: next(looks, opened))
    apply().execute(CONTEXT)
    assert substrate.calls == ["apply playground-1", "apply playground-2"]


@pytest.mark.parametrize("concurrency", list(Concurrency))
def test_a_target_in_flight_goes_on_in_a_freeze_and_the_next_is_not_started(
    store: Path, substrate: FakeSubstrate, clock: SetClock, concurrency: Concurrency
) -> None:
    records = entered(waves=Waves(size=2, concurrency=concurrency))
    clock(datetime(2026, 12, 19, tzinfo=UTC))
    substrate.stays_busy = True
    with pytest.raises(TaskDeferred):
        apply("playground-1").execute(CONTEXT)
    clock(NOON)
    with pytest.raises(TaskDeferred) as busy:
        apply().execute(CONTEXT)
    assert busy.value.trigger.tokens.keys() == {"playground-1"}
    assert not busy.value.trigger.until_turn
    substrate.busy.clear()
    with pytest.raises(TaskDeferred) as frozen:
        apply().resume(CONTEXT, {}, **busy.value.kwargs)
    assert frozen.value.kwargs["tokens"].keys() == {"playground-2"}
    assert substrate.calls == ["apply playground-1"]
    assert reasons(records) == [FROZEN]
    history = records.of_targets("playground")
    assert [e.target for e in history.entries if e.kind is Kind.VERIFIED] == ["playground-1"]


def test_a_failure_is_told_before_what_must_wait(
    store: Path, substrate: FakeSubstrate, clock: SetClock
) -> None:
    entered(waves=Waves(size=2, concurrency=Concurrency.SOFT))
    clock(datetime(2026, 12, 19, tzinfo=UTC))
    substrate.stays_busy = True
    with pytest.raises(TaskDeferred):
        apply("playground-1").execute(CONTEXT)
    clock(NOON)
    substrate.busy.clear()
    substrate.running.clear()
    substrate.refuses.add("playground-1")
    with pytest.raises(AirflowFailException, match="playground-1 says no"):
        apply().execute(CONTEXT)


def test_a_rollback_passes_a_freeze_and_a_hold(
    store: Path, substrate: FakeSubstrate, clock: SetClock
) -> None:
    records = entered()
    clock(datetime(2026, 12, 19, tzinfo=UTC))
    apply().execute(CONTEXT)
    clock(NOON)
    held_by_ann(records)
    restore = RestoreOperator(task_id="playground", definition="accounts", channel="playground")
    restore.execute(CONTEXT)
    assert sorted(substrate.calls[2:]) == ["restore playground-1", "restore playground-2"]


def test_an_operator_holds_the_rollout_until_an_operator_resumes_it(
    store: Path, substrate: FakeSubstrate, clock: SetClock
) -> None:
    clock(datetime(2026, 12, 19, tzinfo=UTC))
    records = entered()
    held_by_ann(records)
    for task in (enter(), apply()):
        with pytest.raises(TaskDeferred):
            task.execute(CONTEXT)
    assert reasons(records) == [
        "held by ann: a look first; to go on, trigger accounts_control with resume"
    ]
    records.add(Kind.OPERATOR_RESUME, at=datetime.now(UTC), user="ann", reason="fine")
    assert enter().execute(CONTEXT)
    assert apply().execute(CONTEXT)
