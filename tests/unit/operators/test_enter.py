"""Entering a channel: waves are handed out, a bypass skips, an edited file holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    TaskAwaitingInput,
    TaskDeferred,
)

from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import Waves
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Difference, Preview
from phased_rollout.operators.confirm import doubt, expected
from phased_rollout.operators.enter import EnterOperator
from phased_rollout.operators.outcome import OutcomeOperator
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import a_channel
from tests.fakes import FakeSubstrate
from tests.unit.conftest import begin


class Task:
    task_id, id = "playground.enter", "ti"


CONTEXT: dict[str, Any] = {"run_id": "manual__1", "ti": Task(), "task_instance": Task()}
SHAPE = ["playground", "test (approval)", "on failure rollback"]
CHANNELS = (
    a_channel("playground", targets=3, waves=Waves(size=2)),
    a_channel("test", gate="approval"),
)


def enter(channel: str = "playground", shape: list[str] = SHAPE) -> EnterOperator:
    return EnterOperator(task_id="enter", definition="accounts", channel=channel, shape=shape)


def planned(**kwargs: Any) -> RolloutRecords:
    records = begin(*CHANNELS, **kwargs)
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), differences=[], authorize=[])
    return records


def test_a_channel_is_handed_out_in_waves(store: Path) -> None:
    records = planned()
    assert enter().execute(CONTEXT) == [
        {"wave": 1, "targets": ["playground-1", "playground-2"]},
        {"wave": 2, "targets": ["playground-3"]},
    ]
    assert records.ledger().happened(Kind.ENTERED, channel="playground")


def test_a_channel_is_refused_before_the_one_in_front_has_graduated(store: Path) -> None:
    planned()
    with pytest.raises(AirflowFailException, match="test is not entered: playground was never"):
        enter("test").execute(CONTEXT)


def test_a_bypassed_channel_is_skipped_and_recorded(store: Path) -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent", "alice")
    records = planned(bypass=bypass)
    with pytest.raises(AirflowSkipException, match="playground is bypassed: urgent"):
        enter().execute(CONTEXT)
    assert [r["reason"] for r in records.details(Kind.BYPASSED)] == ["urgent"]


def test_a_channel_is_refused_after_a_preview_that_refused_the_change(store: Path) -> None:
    records = begin(*CHANNELS)
    records.add(
        Kind.PREVIEWED, at=datetime.now(UTC), differences=[], authorize=[], refused="3 are too many"
    )
    with pytest.raises(AirflowFailException, match="preview refused the change: 3 are too many"):
        enter().execute(CONTEXT)


@pytest.mark.parametrize(
    "edited",
    [
        ["test (approval)", "playground", "on failure rollback"],
        ["playground", "renamed (approval)", "on failure rollback"],
        ["playground", "on failure rollback"],
        ["first", *SHAPE],
        ["playground", "test", "on failure rollback"],
        ["playground", "test (approval)", "on failure hold"],
    ],
)
def test_an_edited_file_holds_the_channel_and_enters_nothing(
    store: Path, edited: list[str]
) -> None:
    records = planned()
    with pytest.raises(TaskDeferred) as held:
        enter(shape=edited).execute(CONTEXT)
    assert held.value.method_name == "execute"
    [reason] = [r["reason"] for r in records.details(Kind.HELD, channel="playground")]
    assert reason.startswith(f"the file now says {' → '.join(edited)}; this rollout was planned")
    assert not records.ledger().happened(Kind.ENTERED, channel="playground")
    assert enter().execute(CONTEXT, event="the file is as it was")


NEW = Preview((Difference("Modify", "Queue", "AWS::SQS::Queue"),))
OTHER = Preview((Difference("Replace", "Queue", "AWS::SQS::Queue", destructive=True),))
LONG_AGO = timedelta(hours=3)


def answer(option: str, user: str = "alice") -> dict[str, Any]:
    given = {"chosen_options": [option], "params_input": {}, "responded_at": datetime.now(UTC)}
    return {**given, "responded_by_user": {"id": user, "name": user}}


@pytest.fixture
def previewed(store: Path, substrate: FakeSubstrate) -> RolloutRecords:
    """Give a rollout that was previewed hours ago: one difference on each target."""
    substrate.previews = {f"playground-{n}": NEW for n in (1, 2, 3)}
    records = begin(*CHANNELS)
    records.add(
        Kind.PREVIEWED,
        at=datetime.now(UTC) - LONG_AGO,
        differences=["3 targets: modify AWS::SQS::Queue Queue"],
        authorize=[],
        targets=dict.fromkeys(substrate.previews, NEW.digest),
    )
    return records


def test_a_channel_where_the_change_does_what_was_previewed_is_entered_at_once(
    previewed: RolloutRecords, questions: list[dict[str, Any]]
) -> None:
    assert enter().execute(CONTEXT)
    assert questions == []


def test_a_channel_where_it_would_do_something_else_holds_and_asks_with_both_differences(
    previewed: RolloutRecords, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    substrate.previews["playground-2"] = OTHER
    with pytest.raises(TaskAwaitingInput) as asked:
        enter().execute(CONTEXT)
    assert asked.value.timeout is None
    body = questions[0]["body"]
    assert "on 1 target of playground the change would do something else" in body
    assert "1 target: REPLACE AWS::SQS::Queue Queue (playground-2)" in body
    assert "3 targets: modify AWS::SQS::Queue Queue" in body
    assert not previewed.ledger().happened(Kind.ENTERED, channel="playground")
    assert enter().execute_complete(CONTEXT, answer("Go on"))
    [confirmed] = previewed.details(Kind.CONFIRMED)
    assert (confirmed["user"], confirmed["targets"]["playground-2"]) == ("alice", OTHER.digest)


def test_what_changes_after_the_answer_is_asked_about_again(
    previewed: RolloutRecords, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    substrate.previews["playground-2"] = OTHER
    with pytest.raises(TaskAwaitingInput):
        enter().execute(CONTEXT)
    enter().execute_complete(CONTEXT, answer("Go on"))
    records = Rollout.open("accounts", "manual__1").records
    assert expected(records, CHANNELS[0]) == {
        "playground-1": NEW.digest,
        "playground-2": OTHER.digest,
        "playground-3": NEW.digest,
    }
    substrate.previews["playground-3"] = OTHER
    found = doubt(
        Rollout.open("accounts", "manual__1"), CHANNELS[0], now=datetime.now(UTC) + LONG_AGO
    )
    assert found.reasons == [
        "on 1 target of playground the change would do something else than what was previewed: "
        "playground-3"
    ]


def test_a_target_that_cannot_be_previewed_holds_and_rolls_nothing_back(
    previewed: RolloutRecords, substrate: FakeSubstrate
) -> None:
    substrate.unreachable.add("playground-1")
    with pytest.raises(TaskDeferred) as held:
        enter().execute(CONTEXT)
    assert held.value.method_name == "execute"
    [reason] = [r["reason"] for r in previewed.details(Kind.HELD, channel="playground")]
    assert "cannot be previewed: playground-1: playground-1 does not answer" in reason


def test_a_no_stops_the_rollout_before_the_channel(
    previewed: RolloutRecords, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    substrate.previews["playground-2"] = OTHER
    with pytest.raises(TaskAwaitingInput):
        enter().execute(CONTEXT)
    with pytest.raises(AirflowFailException, match="alice stopped the rollout before playground"):
        enter().execute_complete(CONTEXT, answer("Stop"))


def test_a_target_that_somebody_brought_to_the_change_meanwhile_is_no_doubt(
    previewed: RolloutRecords, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    rollout = Rollout.open("accounts", "manual__1")
    [target] = rollout.targets("playground", ["playground-2"])
    substrate.running["playground-2"] = rollout.artifact("playground", target)
    assert enter().execute(CONTEXT)


def test_an_authorization_that_is_too_old_is_asked_for_again_of_somebody_else_than_who_asked(
    store: Path, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    bypass = Bypass(BypassTier.FLEET_WIDE, (), "urgent", "alice")
    records = begin(*CHANNELS, bypass=bypass, authorized_for=timedelta(hours=1))
    records.add(Kind.PREVIEWED, at=datetime.now(UTC) - LONG_AGO, differences=[], authorize=["x"])
    records.add(Kind.AUTHORIZED, at=datetime.now(UTC) - LONG_AGO / 2, user="bob")
    with pytest.raises(TaskAwaitingInput):
        enter().execute(CONTEXT)
    assert "the authorization is older than 1:00:00" in questions[0]["body"]
    with pytest.raises(TaskAwaitingInput):
        enter().execute_complete(CONTEXT, answer("Go on", "alice"))
    assert enter().execute_complete(CONTEXT, answer("Go on", "bob"))


def test_a_channel_that_an_edited_file_began_too_early_waits_for_its_turn(store: Path) -> None:
    records = planned()
    with pytest.raises(TaskDeferred) as held:
        enter("test").execute(CONTEXT, event="the file is as it was")
    assert held.value.method_name == "execute"
    [reason] = [r["reason"] for r in records.details(Kind.HELD, channel="test")]
    assert reason == "holding until it is its turn: playground was never entered"
    assert not records.ledger().happened(Kind.ENTERED, channel="test")


def test_a_channel_that_was_begun_too_early_does_not_wait_for_a_rollout_that_has_failed(
    store: Path,
) -> None:
    records = planned()
    records.add(Kind.ENTERED, at=datetime.now(UTC), channel="playground")
    records.add(Kind.FAILED, at=datetime.now(UTC), channel="playground")
    with pytest.raises(AirflowFailException, match="test is not entered"):
        enter("test").execute(CONTEXT, event="the file is as it was")


def test_an_outcome_that_an_edited_file_began_too_early_waits_for_its_turn(store: Path) -> None:
    records = planned()
    outcome = OutcomeOperator(task_id="outcome", definition="accounts", shape=SHAPE)
    with pytest.raises(TaskDeferred):
        outcome.execute(CONTEXT, event="the file is as it was")
    with pytest.raises(AirflowFailException, match="the rollout is not complete"):
        outcome.execute(CONTEXT)
    assert not records.ledger().happened(Kind.FINISHED)
