"""Each trigger: its exact serialisation, a rebuild from it, and every event."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.api.datamodels._generated import HITLDetailResponse, HITLUser
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.triggers.base import BaseTrigger, TaskSuccessEvent

from phased_rollout.claims import is_claimed
from phased_rollout.model.change import Change
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Artifact, Health
from phased_rollout.records import RolloutRecords
from phased_rollout.triggers import answer as answer_module
from phased_rollout.triggers.answer import AnswerTrigger
from phased_rollout.triggers.approval import ApprovalTrigger
from phased_rollout.triggers.hold import NEWS, HoldTrigger
from phased_rollout.triggers.operation import OperationTrigger
from phased_rollout.triggers.soak import SoakTrigger
from phased_rollout.triggers.stuck import tell_stuck
from tests.builders import START, a_channel, a_plan
from tests.fakes import FakeSignal, FakeSubstrate
from tests.unit.conftest import begin

OPERATION = {
    "definition": "accounts",
    "run_id": "manual__1",
    "channel": "playground",
    "tokens": {"playground-1": "t1", "playground-2": "t2"},
    "deadline": "2026-01-05T12:00:00+00:00",
    "interval": 0.01,
    "until_armed": False,
    "until_turn": False,
}
SOAK = {
    "definition": "accounts",
    "run_id": "manual__1",
    "channel": "playground",
    "until": "2026-01-05T12:00:00+00:00",
    "interval": 0.01,
    "judge_at": "",
}

HOLD = {
    "definition": "accounts",
    "run_id": "manual__1",
    "since": "2026-01-05T12:00:00+00:00",
    "until": "2026-01-05T13:00:00+00:00",
}


@pytest.fixture
def records(store: Path, substrate: FakeSubstrate) -> RolloutRecords:
    found = begin(a_channel("playground", gate="health"))
    for target in ("playground-1", "playground-2"):
        found.add(Kind.VERIFIED, at=START, channel="playground", target=target, digest="d")
        substrate.running[target] = Artifact("d", {})
    return found


def in_future(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def first_event(trigger: BaseTrigger, timeout: float = 20) -> Any:
    async def run() -> Any:
        async for event in trigger.run():
            return event
        return None

    return asyncio.run(asyncio.wait_for(run(), timeout))


@pytest.mark.parametrize(
    ("kind", "arguments", "path"),
    [
        (OperationTrigger, OPERATION, "phased_rollout.triggers.operation.OperationTrigger"),
        (
            SoakTrigger,
            {**SOAK, "judge_at": "2026-01-05T11:00:00+00:00"},
            "phased_rollout.triggers.soak.SoakTrigger",
        ),
        (HoldTrigger, HOLD, "phased_rollout.triggers.hold.HoldTrigger"),
        (
            ApprovalTrigger,
            {**SOAK, "ti_id": "0"},
            "phased_rollout.triggers.approval.ApprovalTrigger",
        ),
    ],
)
def test_a_trigger_is_rebuilt_from_what_it_serialises(
    kind: Any, arguments: dict[str, Any], path: str
) -> None:
    assert kind(**arguments).serialize() == (path, arguments)
    module, _, name = path.rpartition(".")
    rebuilt = getattr(import_module(module), name)(**arguments)
    assert rebuilt.serialize() == (path, arguments)


def test_an_operation_that_ended_everywhere_fires_at_once(records: RolloutRecords) -> None:
    event = first_event(OperationTrigger(**{**OPERATION, "deadline": in_future(10)}))
    assert event.payload == {"settled": ["playground-1", "playground-2"], "pending": []}


def test_an_operation_still_running_at_the_deadline_hands_back(
    records: RolloutRecords, substrate: FakeSubstrate
) -> None:
    substrate.busy.add("playground-2")
    event = first_event(OperationTrigger(**{**OPERATION, "deadline": in_future(0.3)}))
    assert event.payload == {"settled": ["playground-1"], "pending": ["playground-2"]}


def test_a_rollback_that_is_armed_meanwhile_hands_back_at_once(
    records: RolloutRecords, substrate: FakeSubstrate
) -> None:
    substrate.unreachable |= {"playground-1", "playground-2"}
    trigger = OperationTrigger(
        **{**OPERATION, "deadline": in_future(3600), "until_armed": True, "interval": 0.2}
    )
    threading.Timer(
        0.5, lambda: records.add(Kind.ARMED, at=datetime.now(UTC), reason="test")
    ).start()
    assert first_event(trigger).payload["pending"] == ["playground-1", "playground-2"]


@pytest.mark.parametrize("kind", [Kind.ARMED, Kind.ABORTED, Kind.ABANDONED])
def test_a_rollback_or_an_abort_from_before_the_wait_began_is_seen_too(
    records: RolloutRecords, substrate: FakeSubstrate, kind: Kind
) -> None:
    substrate.unreachable |= {"playground-1", "playground-2"}
    records.add(Kind.ENTERED, at=START, channel="playground")
    records.add(kind, at=START + timedelta(seconds=1), reason="test")
    trigger = OperationTrigger(
        **{**OPERATION, "deadline": in_future(3600), "until_armed": True, "interval": 0.01}
    )
    assert first_event(trigger).payload["pending"] == ["playground-1", "playground-2"]


def test_a_rollback_of_an_earlier_entry_does_not_end_the_wait(
    records: RolloutRecords, substrate: FakeSubstrate
) -> None:
    records.add(Kind.ARMED, at=START, reason="an earlier attempt")
    records.add(Kind.ENTERED, at=START + timedelta(seconds=1), channel="playground")
    trigger = OperationTrigger(**{**OPERATION, "deadline": in_future(10), "until_armed": True})
    assert first_event(trigger).payload["pending"] == []


OTHER_WAVE = {"channel": "playground", "target": "playground-1"}


@pytest.fixture
def queued(records: RolloutRecords) -> OperationTrigger:
    """Wait for a turn while a target of another wave is being changed."""
    records.add(Kind.ENTERED, at=START + timedelta(seconds=1), channel="playground")
    assert is_claimed(records, **OTHER_WAVE, tolerance=0, at=START + timedelta(seconds=2))
    waiting = {**OPERATION, "tokens": {}, "until_turn": True, "deadline": in_future(3600)}
    return OperationTrigger(**waiting)


def test_whoever_waits_for_a_turn_waits_while_another_target_is_changed(
    queued: OperationTrigger,
) -> None:
    with pytest.raises(TimeoutError):
        first_event(queued, timeout=0.5)


@pytest.mark.parametrize("kind", [Kind.VERIFIED, Kind.REFUSED])
def test_a_turn_comes_when_another_target_was_verified_or_failed(
    queued: OperationTrigger, records: RolloutRecords, kind: Kind
) -> None:
    records.add(kind, at=datetime.now(UTC), **OTHER_WAVE)
    assert first_event(queued).payload == {"settled": [], "pending": []}


def test_a_target_that_does_not_answer_is_asked_again_and_never_counts_as_ended(
    records: RolloutRecords, substrate: FakeSubstrate
) -> None:
    substrate.unreachable.add("playground-1")
    event = first_event(OperationTrigger(**{**OPERATION, "deadline": in_future(0.3)}))
    assert event.payload == {"settled": ["playground-2"], "pending": ["playground-1"]}


def test_a_quiet_soak_ends_the_task_at_its_moment(
    records: RolloutRecords, signal: FakeSignal
) -> None:
    until = in_future(0.3)
    event = first_event(SoakTrigger(**{**SOAK, "until": until}))
    assert isinstance(event, TaskSuccessEvent)
    assert datetime.now(UTC) >= datetime.fromisoformat(until)


def test_a_soak_is_handed_to_a_worker_when_its_metrics_are_to_be_judged(
    records: RolloutRecords, signal: FakeSignal
) -> None:
    judge_at = in_future(2.5)
    trigger = SoakTrigger(**{**SOAK, "until": in_future(3600), "judge_at": judge_at})
    assert first_event(trigger).payload == {"judge": True}
    assert datetime.now(UTC) >= datetime.fromisoformat(judge_at)


def test_harm_goes_before_a_judgement_that_is_due(
    records: RolloutRecords, signal: FakeSignal
) -> None:
    signal.health = Health.HARM
    trigger = SoakTrigger(**{**SOAK, "until": in_future(3600), "judge_at": in_future(0)})
    assert "harm" in first_event(trigger).payload


def test_harm_ends_the_soak_early_but_never_sooner_than_airflow_can_bear(
    records: RolloutRecords, signal: FakeSignal
) -> None:
    signal.health = Health.HARM
    begun = datetime.now(UTC)
    event = first_event(SoakTrigger(**{**SOAK, "until": in_future(3600)}))
    assert event.payload == {
        "harm": "playground-1: fake: as the test says; playground-2: fake: as the test says"
    }
    assert datetime.now(UTC) - begun >= timedelta(seconds=2)


def test_what_a_soak_sees_is_recorded_when_it_changes_and_not_at_every_look(
    records: RolloutRecords, signal: FakeSignal
) -> None:
    first_event(SoakTrigger(**{**SOAK, "until": in_future(0.5), "interval": 0.05}))
    [first] = records.details(Kind.OBSERVED, channel="playground")
    assert ["playground-1", "fake", "ok", "as the test says"] in first["evidence"]
    signal.health = Health.HARM
    first_event(SoakTrigger(**{**SOAK, "until": in_future(3600)}))
    assert len(records.details(Kind.OBSERVED, channel="playground")) == 2
    last = records.latest(Kind.OBSERVED, channel="playground")
    assert ["playground-1", "fake", "harm", "as the test says"] in last["evidence"]


def supersede(records: RolloutRecords) -> None:
    newer = replace(a_plan(), run_id="manual__2", made_at=START + timedelta(days=1))
    records.of("manual__2").freeze(newer, Change("change", {}))


def test_a_newer_rollout_ends_a_hold(records: RolloutRecords) -> None:
    supersede(records)
    trigger = HoldTrigger(**HOLD | {"since": in_future(0), "until": in_future(3600)})
    assert first_event(trigger).payload == {"news": True}


def test_a_newer_rollout_ends_the_soak(records: RolloutRecords, signal: FakeSignal) -> None:
    supersede(records)
    event = first_event(SoakTrigger(**{**SOAK, "until": in_future(3600)}))
    assert event.payload == {"newer": "manual__2"}


def test_a_target_changed_by_somebody_else_while_it_soaks_is_harm(
    records: RolloutRecords, signal: FakeSignal, substrate: FakeSubstrate
) -> None:
    substrate.running["playground-2"] = Artifact("other", {})
    event = first_event(SoakTrigger(**{**SOAK, "until": in_future(3600)}))
    assert event.payload == {
        "harm": "playground-2: status: no longer runs what was verified: somebody changed it since"
    }


def test_what_cannot_be_read_neither_ends_a_soak_nor_stops_it(
    records: RolloutRecords, signal: FakeSignal, substrate: FakeSubstrate
) -> None:
    signal.health = Health.UNKNOWN
    substrate.unreachable.add("playground-1")
    event = first_event(SoakTrigger(**{**SOAK, "until": in_future(0.3)}))
    assert isinstance(event, TaskSuccessEvent)


TI_ID = "01999999-0000-7000-8000-000000000001"


def an_answer(user: HITLUser | None, at: datetime | None) -> HITLDetailResponse:
    return HITLDetailResponse(
        response_received=at is not None,
        responded_by_user=user,
        responded_at=at,
        chosen_options=["Reject"] if at else None,
    )


@pytest.mark.parametrize(
    ("found", "event"),
    [
        (an_answer(None, None), {}),
        (
            an_answer(HITLUser(id="7", name="alice"), START),
            {
                "chosen_options": ["Reject"],
                "params_input": {},
                "responded_at": "2026-01-05T12:00:00+00:00",
                "responded_by_user": {"id": "7", "name": "alice"},
            },
        ),
    ],
)
def test_an_answer_is_read_once(
    monkeypatch: pytest.MonkeyPatch, found: HITLDetailResponse, event: dict[str, Any]
) -> None:
    asked = []
    monkeypatch.setattr(
        answer_module, "get_hitl_detail_content_detail", lambda ti: asked.append(str(ti)) or found
    )
    monkeypatch.setattr(answer_module, "SHORTEST_DEFERRAL", timedelta(0))
    trigger = AnswerTrigger(ti_id=TI_ID)
    path, arguments = trigger.serialize()
    assert (path, arguments) == ("phased_rollout.triggers.answer.AnswerTrigger", {"ti_id": TI_ID})
    assert first_event(AnswerTrigger(**arguments)).payload == event
    assert asked == [TI_ID]


def test_a_question_that_was_never_asked_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> HITLDetailResponse:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))

    monkeypatch.setattr(answer_module, "get_hitl_detail_content_detail", missing)
    monkeypatch.setattr(answer_module, "SHORTEST_DEFERRAL", timedelta(0))
    assert first_event(AnswerTrigger(ti_id=TI_ID)).payload == {}


def approval(monkeypatch: pytest.MonkeyPatch, *, until: float, answer: Any) -> ApprovalTrigger:
    monkeypatch.setattr(answer_module, "get_hitl_detail_content_detail", lambda _: answer)
    return ApprovalTrigger(**{**SOAK, "until": in_future(until), "ti_id": TI_ID})


def test_harm_that_shows_while_a_person_is_asked_comes_before_the_answer(
    records: RolloutRecords, monkeypatch: pytest.MonkeyPatch, substrate: FakeSubstrate
) -> None:
    substrate.running["playground-2"] = Artifact("by hand", {})
    event = first_event(approval(monkeypatch, until=60, answer=an_answer(None, START)))
    assert event.payload["harm"].startswith("playground-2: status")


def test_an_answer_that_came_before_the_gate_was_deferred_is_found(
    records: RolloutRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = first_event(approval(monkeypatch, until=60, answer=an_answer(None, START)))
    assert event.payload["chosen_options"] == ["Reject"]


def test_without_an_answer_a_gate_ends_at_its_deadline_as_airflows_own_question_does(
    records: RolloutRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = first_event(approval(monkeypatch, until=0.3, answer=an_answer(None, None)))
    assert event.payload["error_type"] == "timeout"


def test_a_hold_ends_at_its_moment(records: RolloutRecords) -> None:
    trigger = HoldTrigger(**HOLD | {"since": in_future(0), "until": in_future(2.2)})
    assert first_event(trigger).payload == {"news": False}
    assert datetime.now(UTC) >= datetime.fromisoformat(trigger.until)


@pytest.mark.parametrize("kind", NEWS)
def test_a_hold_ends_as_soon_as_there_is_news(records: RolloutRecords, kind: Kind) -> None:
    records.add(kind, at=datetime.now(UTC), channel="test")
    trigger = HoldTrigger(**HOLD | {"until": in_future(3600)})
    assert first_event(trigger).payload == {"news": True}


def test_an_aborted_rollout_ends_its_soak_at_once(records: RolloutRecords) -> None:
    records.add(Kind.ABORTED, at=datetime.now(UTC), user="ann", reason="enough")
    assert first_event(SoakTrigger(**SOAK | {"until": in_future(60)})).payload == {"aborted": True}


def missed(state: str, dag_id: str = "accounts") -> dict[str, Any]:
    """Give what Airflow tells of a missed deadline."""
    return {"dag_run": {"dag_id": dag_id, "dag_run_id": "manual__1", "state": state}}


def test_a_stuck_rollout_is_told_with_where_it_stands_and_why(records: RolloutRecords) -> None:
    assert asyncio.run(tell_stuck(missed("running"))) == "not done in time: before any channel"
    records.add(Kind.ENTERED, at=START, channel="playground")
    records.hold("frozen by weekend", at=START, channel="playground")
    told = asyncio.run(tell_stuck(missed("running", "accounts_emergency")))
    assert told == (
        "not done in time: in playground since 2026-01-05 12:00 UTC; the last hold: frozen by "
        "weekend"
    )
    assert [r["reason"] for r in records.details(Kind.STUCK)][1:] == [told]


def test_a_run_that_has_ended_is_not_stuck(records: RolloutRecords) -> None:
    assert asyncio.run(tell_stuck(missed("failed"))) == "manual__1 has ended: failed"
    assert not records.ledger().happened(Kind.STUCK)
