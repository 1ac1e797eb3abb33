"""What no earlier channel exercises: warned of, asked about, or refused before anything begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    DownstreamTasksSkipped,
    TaskAwaitingInput,
    TaskDeferred,
)

from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Channel, Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Difference, Preview
from phased_rollout.model.untested import Untested
from phased_rollout.operators.announce import graduate
from phased_rollout.operators.approval import AuthorizeOperator
from phased_rollout.operators.enter import EnterOperator
from phased_rollout.operators.gate import ApprovalGate
from phased_rollout.operators.preview import PreviewOperator
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import START, a_channel, a_plan
from tests.fakes import FakeSubstrate
from tests.unit.conftest import begin


class Task:
    task_id, id = "authorize", "ti"


CONTEXT: dict[str, Any] = {"run_id": "manual__1", "ti": Task(), "task_instance": Task()}
MODIFY = Difference("Modify", "Topic", "AWS::SNS::Topic")
ADD = Difference("Add", "Queue", "AWS::SQS::Queue")
REPLACE = Difference("Replace", "Bucket", "AWS::S3::Bucket", destructive=True)
PLAYGROUND, TEST = a_channel("playground"), a_channel("test")
PRODUCTION = a_channel("production")
ALL = (PLAYGROUND, TEST, PRODUCTION)
LEFT = (
    "production: 1 of 2 kinds of change (50%) are exercised before it; untested: add "
    "AWS::SQS::Queue (1 target)"
)


def preview() -> PreviewOperator:
    return PreviewOperator(task_id="preview", definition="accounts")


def would(substrate: FakeSubstrate, **previews: Preview) -> None:
    """Say what changes in the targets, ``playground_1=…``; in all others a topic."""
    names = [t.name for c in ALL for t in c.targets]
    substrate.previews |= dict.fromkeys(names, Preview((MODIFY,)))
    substrate.previews |= {name.replace("_", "-"): each for name, each in previews.items()}


def runs(substrate: FakeSubstrate, channel: Channel) -> None:
    """Let the targets of a channel run the change already."""
    rollout = Rollout.open("accounts", "manual__1")
    for target in channel.targets:
        substrate.running[target.name] = rollout.artifact(channel.name, target)


def recorded(records: RolloutRecords) -> dict[str, Any]:
    found: dict[str, Any] = records.details(Kind.PREVIEWED)[-1]
    return found


def at(records: RolloutRecords, kind: Kind, channel: str, **more: Any) -> None:
    records.add(kind, at=datetime.now(UTC), channel=channel, **more)


def test_what_is_untested_is_recorded_and_nobody_is_asked(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = begin(*ALL)
    would(substrate, production_2=Preview((MODIFY, ADD)))
    preview().execute(CONTEXT)
    assert recorded(records)["authorize"] == []
    assert recorded(records)["untested"] == {
        "policy": "warn",
        "lines": [LEFT],
        "channels": {
            "test": {"covered": 1, "of": 1, "changes": {}, "traits": {}},
            "production": {
                "covered": 1,
                "of": 2,
                "changes": {"add AWS::SQS::Queue": 1},
                "traits": {},
            },
        },
    }


def test_nothing_is_said_when_earlier_channels_exercise_it_all(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = begin(*ALL, untested=Untested.BLOCK)
    would(substrate)
    preview().execute(CONTEXT)
    assert recorded(records)["untested"]["lines"] == []


def test_an_unchanged_playground_is_said_to_be_no_evidence(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = begin(*ALL)
    would(substrate)
    runs(substrate, PLAYGROUND)
    preview().execute(CONTEXT)
    assert recorded(records)["untested"]["lines"] == [
        "playground is no evidence: nothing would change in it",
        "test: 0 of 1 kinds of change (0%) are exercised before it; untested: modify "
        "AWS::SNS::Topic (2 targets)",
        "test: no channel before it changes a target with partition=aws (2 targets), "
        "region=eu-central-1 (2 targets)",
    ]


def test_nothing_at_all_to_change_leaves_nothing_untested(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = begin(*ALL, untested=Untested.BLOCK)
    for channel in ALL:
        runs(substrate, channel)
    with pytest.raises(DownstreamTasksSkipped):
        preview().execute(CONTEXT)
    assert recorded(records)["untested"]["lines"] == []


def test_under_ask_a_person_authorizes_what_is_untested(
    store: Path, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    records = begin(*ALL, untested=Untested.ASK)
    would(substrate, production_2=Preview((MODIFY, ADD)))
    preview().execute(CONTEXT)
    assert recorded(records)["authorize"] == [LEFT]
    with pytest.raises(TaskAwaitingInput):
        AuthorizeOperator(task_id="authorize", definition="accounts").execute(CONTEXT)
    assert "untested: add AWS::SQS::Queue (1 target)" in " ".join(questions[0]["body"].split())


def test_a_yes_to_other_untested_changes_than_were_shown_does_not_count(
    store: Path, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    records = begin(*ALL, untested=Untested.ASK)
    would(substrate, production_2=Preview((MODIFY, ADD)))
    preview().execute(CONTEXT)
    task = AuthorizeOperator(task_id="authorize", definition="accounts")
    with pytest.raises(TaskAwaitingInput):
        task.execute(CONTEXT)
    would(substrate, production_1=Preview((ADD,)), production_2=Preview((MODIFY, ADD)))
    preview().execute(CONTEXT)
    yes = {"chosen_options": ["Approve"], "params_input": {}, "responded_at": datetime.now(UTC)}
    with pytest.raises(TaskAwaitingInput):
        task.execute_complete(CONTEXT, {**yes, "responded_by_user": {"id": "bob", "name": "bob"}})
    assert not records.ledger().happened(Kind.AUTHORIZED)
    assert "what bob approved has changed since it was shown" in questions[-1]["body"]


def test_under_block_the_preview_refuses_and_says_how_to_mend_it(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = begin(*ALL, untested=Untested.BLOCK)
    would(substrate, production_2=Preview((MODIFY, ADD)))
    with pytest.raises(AirflowFailException) as failed:
        preview().execute(CONTEXT)
    assert str(failed.value) == (
        "nothing was touched: no earlier channel exercises all that later ones would change, and "
        "untested of accounts is block: give an earlier channel targets like theirs, or let a "
        f"person decide by `untested: ask` in channels.yaml: {LEFT}"
    )
    assert substrate.calls == []
    shape = [*(c.name for c in ALL), "on failure rollback"]
    enter = EnterOperator(task_id="enter", definition="accounts", channel="playground", shape=shape)
    with pytest.raises(AirflowFailException, match="the preview refused the change"):
        enter.execute(CONTEXT)
    assert not records.ledger().happened(Kind.ENTERED, channel="playground")


def test_an_emergency_is_not_kept_by_what_is_untested_but_says_so(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = Rollout.open("accounts", "manual__1").records
    plan = replace(a_plan(*ALL, untested=Untested.BLOCK), emergency=True)
    records.freeze(plan, Change("change", {"template.yaml": "new"}))
    would(substrate, production_2=Preview((MODIFY, ADD)))
    preview().execute(CONTEXT)
    assert recorded(records)["authorize"] == []
    assert recorded(records)["untested"]["lines"] == [
        LEFT,
        "untested: block only warns in an emergency",
    ]


def test_a_bypassed_channel_exercises_nothing_and_is_asked_about_under_block(
    store: Path, substrate: FakeSubstrate
) -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent", "alice")
    records = begin(*ALL, untested=Untested.BLOCK, bypass=bypass)
    would(substrate)
    preview().execute(CONTEXT)
    lines = recorded(records)["untested"]["lines"]
    assert lines[0] == "playground is no evidence: this run bypasses it"
    assert lines[-1] == "untested: block asks a person when a run bypasses something"
    assert recorded(records)["authorize"][0] == "bypasses playground: urgent"
    assert any(each.startswith("test: 0 of 1 kinds") for each in recorded(records)["authorize"])


def test_a_region_that_only_production_has_is_named(store: Path, substrate: FakeSubstrate) -> None:
    beijing = Target("production-1", {"account": "1", "region": "cn-north-1"})
    records = begin(PLAYGROUND, replace(PRODUCTION, targets=(beijing, *PRODUCTION.targets[1:])))
    would(substrate)
    preview().execute(CONTEXT)
    assert recorded(records)["untested"]["lines"] == [
        "production: no channel before it changes a target with partition=aws-cn (1 target), "
        "region=cn-north-1 (1 target)"
    ]


def graduated(records: RolloutRecords, channel: str) -> dict[str, Any]:
    graduate(Rollout.open("accounts", records.run_id), channel, reason="fine", context={})
    found: dict[str, Any] = records.details(Kind.GRADUATED, channel=channel)[-1]
    return found


def test_a_graduation_records_what_was_exercised_and_what_stays_untested_ahead(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = begin(*ALL)
    would(substrate, test_1=Preview((REPLACE,)), production_2=Preview((MODIFY, ADD)))
    preview().execute(CONTEXT)
    at(records, Kind.ENTERED, "playground")
    first = graduated(records, "playground")
    assert first["exercised"]["changes"] == {"modify AWS::SNS::Topic": 2}
    assert first["untested"]["test"]["changes"] == {"REPLACE AWS::S3::Bucket": 1}
    assert first["untested"]["production"]["changes"] == {"add AWS::SQS::Queue": 1}
    assert "test" not in graduated(records, "test")["untested"]
    assert graduated(records, "production")["untested"] == {}


def test_a_target_that_failed_within_the_tolerance_has_exercised_nothing(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = begin(PLAYGROUND, PRODUCTION)
    would(substrate, playground_1=Preview((ADD,)), production_2=Preview((MODIFY, ADD)))
    preview().execute(CONTEXT)
    assert recorded(records)["untested"]["lines"] == []
    at(records, Kind.ENTERED, "playground")
    at(records, Kind.REFUSED, "playground", target="playground-1", reason="no")
    at(records, Kind.VERIFIED, "playground", target="playground-2", digest="d", reason="")
    found = graduated(records, "playground")
    assert found["exercised"]["changes"] == {"modify AWS::SNS::Topic": 1}
    assert found["untested"]["production"]["changes"] == {"add AWS::SQS::Queue": 1}


def test_the_approval_of_a_channel_shows_what_stays_untested_ahead(
    store: Path, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    asked = a_channel("playground", gate="approval")
    records = begin(asked, PRODUCTION)
    would(substrate, production_2=Preview((MODIFY, ADD)))
    preview().execute(CONTEXT)
    at(records, Kind.HEALTHY, "playground", reason="all is well")
    with pytest.raises(TaskDeferred):
        ApprovalGate(task_id="gate", definition="accounts", channel=asked).execute(CONTEXT)
    assert "**What no earlier channel exercises**" in questions[0]["body"]
    assert "untested: add AWS::SQS::Queue (1 target)" in " ".join(questions[0]["body"].split())


def test_a_run_that_an_earlier_version_previewed_graduates_as_ever(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = begin(*ALL)
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), differences=[], authorize=[])
    assert "untested" not in graduated(records, "playground")


def test_what_is_let_in_by_a_person_counts_as_it_was_shown_to_them(
    store: Path, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    records = begin(PLAYGROUND, PRODUCTION)
    would(substrate, production_2=Preview((MODIFY, ADD)))
    preview().execute(CONTEXT)
    would(substrate, playground_1=Preview((ADD,)), production_2=Preview((MODIFY, ADD)))
    at(records, Kind.ENTERED, "playground")  # so that it is looked at afresh
    shape = ["playground", "production", "on failure rollback"]
    task = EnterOperator(task_id="enter", definition="accounts", channel="playground", shape=shape)
    with pytest.raises(TaskAwaitingInput):
        task.execute(CONTEXT)
    yes = {"chosen_options": ["Go on"], "params_input": {}, "responded_at": datetime.now(UTC)}
    task.execute_complete(CONTEXT, {**yes, "responded_by_user": {"id": "bob", "name": "bob"}})
    found = graduated(records, "playground")
    changes = {"add AWS::SQS::Queue": 1, "modify AWS::SNS::Topic": 1}
    assert found["exercised"]["changes"] == changes
    assert found["untested"]["production"]["changes"] == {}


def test_what_a_channel_would_do_otherwise_now_and_nobody_exercised_is_a_reason_to_ask(
    store: Path, substrate: FakeSubstrate, questions: list[dict[str, Any]]
) -> None:
    records = begin(PLAYGROUND, PRODUCTION)
    would(substrate)
    preview().execute(CONTEXT)
    for kind in (Kind.ENTERED, Kind.APPLIED, Kind.HEALTHY, Kind.GRADUATED):
        at(records, kind, "playground")
    would(substrate, production_2=Preview((REPLACE,)))
    at(records, Kind.ENTERED, "production")
    shape = ["playground", "production", "on failure rollback"]
    task = EnterOperator(task_id="enter", definition="accounts", channel="production", shape=shape)
    with pytest.raises(TaskAwaitingInput):
        task.execute(CONTEXT)
    [doubted] = records.details(Kind.DOUBTED)
    assert doubted["reasons"][1] == (
        "production: 1 of 2 kinds of change (50%) are exercised before it; untested: REPLACE "
        "AWS::S3::Bucket (1 target)"
    )


def another_run(number: int) -> RolloutRecords:
    records = Rollout.open("accounts", f"run {number}").records
    plan = replace(a_plan(*ALL), run_id=f"run {number}", made_at=START + timedelta(days=number))
    records.freeze(plan, Change("change", {"template.yaml": "new"}))
    return records


def in_run(number: int) -> dict[str, Any]:
    return {**CONTEXT, "run_id": f"run {number}"}


def walk(number: int, channel: Channel, substrate: FakeSubstrate) -> None:
    """Let a run apply the change in a channel and graduate it."""
    rollout = Rollout.open("accounts", f"run {number}")
    at(rollout.records, Kind.ENTERED, channel.name)
    for target in channel.targets:
        artifact = rollout.artifact(channel.name, target)
        substrate.running[target.name] = artifact
        told = {"target": target.name, "digest": artifact.digest, "reason": ""}
        at(rollout.records, Kind.VERIFIED, channel.name, **told)
    at(rollout.records, Kind.APPLIED, channel.name)
    at(rollout.records, Kind.HEALTHY, channel.name)
    graduate(rollout, channel.name, reason="fine", context={})


def test_what_an_earlier_rollout_of_the_change_has_exercised_there_is_evidence(
    store: Path, substrate: FakeSubstrate
) -> None:
    would(substrate)
    another_run(1)
    preview().execute(in_run(1))
    walk(1, PLAYGROUND, substrate)
    walk(1, TEST, substrate)
    for number in (2, 3):  # the third inherits it from the second, which inherited it itself
        records = another_run(number)
        preview().execute(in_run(number))
        assert recorded(records)["unchanged"] == {
            "playground": f"run {number - 1}",
            "test": f"run {number - 1}",
        }
        assert recorded(records)["untested"]["lines"] == []
        for channel in (PLAYGROUND, TEST):
            rollout = Rollout.open("accounts", records.run_id)
            digests = {t.name: rollout.artifact(channel.name, t).digest for t in channel.targets}
            at(records, Kind.UNCHANGED, channel.name, digests=digests)


def test_what_a_run_has_applied_itself_stays_evidence_when_it_is_previewed_again(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = another_run(1)
    would(substrate)
    preview().execute(in_run(1))
    walk(1, PLAYGROUND, substrate)
    preview().execute(in_run(1))
    assert recorded(records)["untested"]["lines"] == []
