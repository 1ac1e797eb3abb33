"""A channel in which nothing changes passes at once, but only where the change has graduated."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from phased_rollout.model.change import Change
from phased_rollout.model.definition import Channel, GateKind, Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Artifact, Difference, Preview
from phased_rollout.operators.enter import EnterOperator
from phased_rollout.operators.preview import PreviewOperator
from phased_rollout.operators.unchanged import digests, graduated_in
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import START, a_channel, a_plan, passed
from tests.fakes import FakeSubstrate

PLAYGROUND, TEST = a_channel("playground"), a_channel("test")
CONTEXT: dict[str, Any] = {"run_id": "run 3"}
CHANGE = Change("change", {"template.yaml": "new"})


def a_run(number: int, *happened: str, channels: tuple[Channel, ...] = ()) -> RolloutRecords:
    """Record a run of which this is known, all its targets verified when one was applied."""
    rollout = Rollout.open("accounts", f"run {number}")
    plan = replace(a_plan(*(channels or (PLAYGROUND, TEST))), run_id=f"run {number}")
    begun = START + timedelta(days=number)
    rollout.records.freeze(replace(plan, made_at=begun), CHANGE)
    for second, text in enumerate(happened, start=1):
        kind, _, channel = text.partition(" ")
        at = begun + timedelta(seconds=second)
        if kind == Kind.APPLIED:
            for name, digest in digests(rollout, plan.definition.channel(channel)).items():
                rollout.records.add(
                    Kind.VERIFIED, at=at, channel=channel, target=name, digest=digest, reason=""
                )
        rollout.records.add(Kind(kind), at=at, channel=channel)
    return rollout.records


def graduated() -> str | None:
    a_run(3)
    return graduated_in(Rollout.open("accounts", "run 3"), PLAYGROUND)


def test_the_last_rollout_that_graduated_there_with_the_same_is_evidence(
    store: Path, substrate: FakeSubstrate
) -> None:
    a_run(1, *passed("playground"))
    a_run(2)
    assert graduated() == "run 1"


def test_that_the_targets_run_the_change_is_no_evidence(
    store: Path, substrate: FakeSubstrate
) -> None:
    assert graduated() is None


UNOBSERVED = {
    "applied": ["entered playground", "applied playground"],
    "judged but not let go": [
        "entered playground",
        "applied playground",
        "healthy playground",
    ],
    "rolled back": [*passed("playground"), "rolling_back playground", "rolled_back playground"],
    "kept as it was after a failure": ["entered playground", "applied playground", "kept"],
}


@pytest.mark.parametrize("happened", UNOBSERVED.values(), ids=UNOBSERVED)
def test_a_rollout_that_left_the_change_there_unobserved_hides_earlier_evidence(
    store: Path, substrate: FakeSubstrate, happened: list[str]
) -> None:
    a_run(1, *passed("playground"))
    a_run(2, *happened)
    assert graduated() is None


def test_what_another_change_has_shown_is_no_evidence(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(2, *passed("playground"))
    monkeypatch.setattr("tests.unit.operators.test_unchanged.CHANGE", Change("c", {"a": "newer"}))
    assert graduated() is None


def test_a_target_that_is_new_in_the_channel_has_shown_nothing(
    store: Path, substrate: FakeSubstrate
) -> None:
    a_run(2, *passed("playground"), channels=(a_channel("playground", targets=1), TEST))
    assert graduated() is None


@pytest.mark.parametrize(
    "before",
    [
        replace(PLAYGROUND, soak=PLAYGROUND.soak - timedelta(seconds=1)),
        replace(PLAYGROUND, gate=frozenset({GateKind.HEALTH})),
    ],
)
def test_a_shorter_soak_or_a_weaker_gate_has_shown_less_than_is_asked_for(
    store: Path, substrate: FakeSubstrate, before: Channel
) -> None:
    a_run(2, *passed("playground"), channels=(before, TEST))
    assert graduated() is None


def test_evidence_goes_on_through_rollouts_that_had_nothing_to_change(
    store: Path, substrate: FakeSubstrate
) -> None:
    a_run(1, *passed("playground"))
    records = a_run(2)
    found = digests(Rollout.open("accounts", "run 2"), PLAYGROUND)
    at = START + timedelta(days=2, seconds=1)
    records.add(Kind.UNCHANGED, at=at, channel="playground", reason="", digests=found)
    assert graduated() == "run 2"
    records.add(Kind.ENTERED, at=at + timedelta(seconds=1), channel="playground")
    assert graduated() is None


def test_a_rollout_that_makes_good_a_bypass_walks_every_channel(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differ(self: FakeSubstrate, target: Target, artifact: Artifact, *, token: str) -> Preview:
        return Preview((Difference("Modify", "Topic", "AWS::SNS::Topic"),))

    def unchanged() -> dict[str, str]:
        PreviewOperator(task_id="preview", definition="accounts").execute(CONTEXT)
        found: dict[str, str] = records.details(Kind.PREVIEWED)[-1]["unchanged"]
        return found

    monkeypatch.setattr(FakeSubstrate, "preview", differ)
    a_run(1, *passed("playground"))
    records = planned(substrate)
    assert unchanged() == {"playground": "run 1"}
    plan = replace(records.plan(), pays=("run 2",))
    monkeypatch.setattr(RolloutRecords, "plan", lambda _: plan)
    assert unchanged() == {}


def planned(substrate: FakeSubstrate, *happened: str) -> RolloutRecords:
    """Let all targets of playground run the change, and a preview have said so."""
    records = a_run(3, *happened)
    at = START + timedelta(days=3, seconds=30)
    records.add(
        Kind.PREVIEWED, at=at, differences=[], authorize=[], unchanged={"playground": "run 1"}
    )
    rollout = Rollout.open("accounts", "run 3")
    for target in PLAYGROUND.targets:
        substrate.running[target.name] = rollout.artifact("playground", target)
    return records


def enter(channel: str) -> Any:
    shape = ["playground", "test", "on failure rollback"]
    task = EnterOperator(task_id="enter", definition="accounts", channel=channel, shape=shape)
    return task.execute(CONTEXT)


WHY = (
    "all 2 targets of playground run the change already, as it graduated there in run 1: "
    "nothing is applied, nothing has to soak"
)


def test_an_unchanged_channel_is_skipped_and_recorded_and_lets_the_next_one_in(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = planned(substrate)
    with pytest.raises(AirflowSkipException, match=WHY):
        enter("playground")
    [recorded] = records.details(Kind.UNCHANGED, channel="playground")
    assert recorded["reason"] == WHY
    assert sorted(recorded["digests"]) == ["playground-1", "playground-2"]
    assert len(enter("test")) == 2


def test_a_channel_that_the_preview_did_not_find_unchanged_goes_the_usual_way(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = planned(substrate)
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), differences=[], authorize=[])
    assert len(enter("playground")) == 2


@pytest.mark.parametrize("now", ["runs something else", "does not answer", "is being changed"])
def test_a_target_that_changed_since_the_preview_takes_the_channel_the_usual_way(
    store: Path, substrate: FakeSubstrate, now: str
) -> None:
    records = planned(substrate)
    disturb(substrate, now)
    assert len(enter("playground")) == 2
    assert records.ledger().happened(Kind.ENTERED, channel="playground")
    assert not records.ledger().happened(Kind.UNCHANGED, channel="playground")


def test_what_this_rollout_applied_itself_is_not_skipped_when_it_is_entered_again(
    store: Path, substrate: FakeSubstrate
) -> None:
    planned(substrate, "entered playground", "applied playground")
    assert len(enter("playground")) == 2


@pytest.mark.parametrize("now", ["runs something else", "does not answer", "is being changed"])
def test_the_next_channel_waits_until_the_unchanged_one_runs_the_change_again(
    store: Path, substrate: FakeSubstrate, now: str
) -> None:
    records = planned(substrate)
    with pytest.raises(AirflowSkipException):
        enter("playground")
    running = dict(substrate.running)
    disturb(substrate, now)
    with pytest.raises(TaskDeferred) as held:
        enter("test")
    assert held.value.method_name == "execute"
    assert (
        "of playground-1 that cannot be said any more"
        in (records.details(Kind.HELD, channel="test")[0]["reason"])
    )
    assert not records.ledger().happened(Kind.ENTERED, channel="test")
    substrate.running, substrate.unreachable, substrate.busy = running, set(), set()
    assert len(enter("test")) == 2


def disturb(substrate: FakeSubstrate, now: str) -> None:
    if now == "runs something else":
        substrate.running["playground-1"] = replace(
            substrate.running["playground-1"], digest="of somebody else"
        )
    elif now == "does not answer":
        substrate.unreachable.add("playground-1")
    else:
        substrate.busy.add("playground-1")
