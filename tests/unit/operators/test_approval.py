"""Who may say yes, and what a deadline means."""

from __future__ import annotations

from datetime import UTC, datetime
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
from phased_rollout.model.definition import Approval
from phased_rollout.model.ledger import Kind
from phased_rollout.operators.approval import AuthorizeOperator, DecideOperator
from phased_rollout.operators.gate import ApprovalGate
from phased_rollout.records import RolloutRecords
from tests.builders import a_channel
from tests.unit.conftest import begin

CHANNEL = a_channel("playground", gate="health+approval", approval=Approval(("alice",)))


class Task:
    task_id = "playground.gate"
    id = "ti"


CONTEXT: dict[str, Any] = {"run_id": "manual__1", "ti": Task(), "task_instance": Task()}


def answer(option: str, user: str | None) -> dict[str, Any]:
    return {
        "chosen_options": [option],
        "params_input": {},
        "responded_at": datetime.now(UTC),
        "responded_by_user": {"id": user, "name": user} if user else None,
    }


def happened(records: RolloutRecords, *kinds: Kind, channel: str = "", **more: Any) -> None:
    for kind in kinds:
        more |= {"reason": "because", "attempt": "", "task": "playground.apply"}
        records.add(kind, at=datetime.now(UTC), channel=channel, authorize=["x"], **more)


@pytest.fixture
def asked(store: Path, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return questions


def gate() -> ApprovalGate:
    return ApprovalGate(task_id="gate", definition="accounts", channel=CHANNEL)


def authorize() -> AuthorizeOperator:
    return AuthorizeOperator(task_id="authorize", definition="accounts")


def decide() -> DecideOperator:
    return DecideOperator(task_id="decide", definition="accounts")


def test_a_gate_asks_the_approvers_of_the_plan(asked: list[dict[str, Any]]) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.HEALTHY, channel="playground")
    with pytest.raises(TaskDeferred):
        gate().execute(CONTEXT)
    assert asked[0]["assigned_users"] == [{"id": "alice", "name": "alice"}]


def healthy(**kwargs: Any) -> RolloutRecords:
    records = begin(CHANNEL, a_channel("test"), **kwargs)
    happened(records, Kind.HEALTHY, channel="playground")
    return records


def test_the_yes_of_somebody_else_does_not_count_and_is_asked_again(
    asked: list[dict[str, Any]],
) -> None:
    records = healthy()
    with pytest.raises(TaskDeferred):
        gate().execute_complete(CONTEXT, answer("Approve", "mallory"))
    assert "mallory is none of the approvers: alice" in asked[0]["body"]
    assert not records.ledger().happened(Kind.GRADUATED, channel="playground")
    gate().execute_complete(CONTEXT, answer("Approve", "alice"))
    assert records.ledger().happened(Kind.GRADUATED, channel="playground")


def test_who_started_a_rollout_cannot_approve_it_unless_the_file_says_so(
    asked: list[dict[str, Any]],
) -> None:
    mine = Bypass(requested_by="alice")
    records = healthy(bypass=mine)
    with pytest.raises(TaskDeferred):
        gate().execute_complete(CONTEXT, answer("Approve", "alice"))
    assert "alice started this rollout, so somebody else has to say yes" in asked[0]["body"]
    assert not records.ledger().happened(Kind.APPROVED, channel="playground")


def test_without_four_eyes_who_started_a_rollout_may_approve_it(store: Path) -> None:
    records = healthy(bypass=Bypass(requested_by="alice"), four_eyes=False)
    gate().execute_complete(CONTEXT, answer("Approve", "alice"))
    assert records.ledger().happened(Kind.APPROVED, channel="playground")


def test_a_gate_shows_evidence_what_changes_the_plan_and_what_is_still_to_come(
    asked: list[dict[str, Any]],
) -> None:
    records = healthy()
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), authorize=[], differences=["2: + Queue"])
    with pytest.raises(TaskDeferred):
        gate().execute(CONTEXT)
    for part in ("because", "2: + Queue", "rollout accounts: change", "after playground it takes"):
        assert part in asked[0]["body"]


def test_a_yes_to_what_has_changed_since_it_was_shown_does_not_count(
    asked: list[dict[str, Any]],
) -> None:
    records = begin(CHANNEL)
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), authorize=["+ Queue"], differences=[])
    with pytest.raises(TaskAwaitingInput):
        authorize().execute(CONTEXT)
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), authorize=["- Bucket"], differences=[])
    with pytest.raises(TaskAwaitingInput):
        authorize().execute_complete(CONTEXT, answer("Approve", "bob"))
    assert "what bob approved has changed since it was shown" in asked[1]["body"]
    assert "- Bucket" in asked[1]["body"]
    assert not records.ledger().happened(Kind.AUTHORIZED)
    assert authorize().execute_complete(CONTEXT, answer("Approve", "bob")) == "bob"


def test_a_no_is_recorded_and_final(store: Path) -> None:
    records = begin(CHANNEL)
    with pytest.raises(AirflowFailException, match="rejected by alice"):
        gate().execute_complete(CONTEXT, answer("Reject", "alice"))
    assert records.ledger().happened(Kind.REJECTED, channel="playground")


def test_an_answer_that_airflow_lost_is_not_asked_for_again(store: Path) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.HEALTHY, channel="playground")
    gate().execute_complete(CONTEXT, answer("Approve", "alice"))
    assert gate().execute(CONTEXT) == "playground graduated"


def test_a_no_that_airflow_lost_stays_a_no(store: Path) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.HEALTHY, channel="playground")
    with pytest.raises(AirflowFailException):
        gate().execute_complete(CONTEXT, answer("Reject", "alice"))
    with pytest.raises(AirflowFailException, match="rejected by alice; a no is not asked again"):
        gate().execute(CONTEXT)


def test_a_retry_looks_for_an_answer_before_it_asks_again(asked: list[dict[str, Any]]) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.HEALTHY, channel="playground")
    with pytest.raises(TaskDeferred):
        gate().execute(CONTEXT)
    with pytest.raises(TaskDeferred) as deferred:
        gate().execute(CONTEXT)
    assert (deferred.value.trigger.ti_id, deferred.value.method_name) == ("ti", "look")
    found = {**answer("Approve", "alice"), "responded_at": datetime.now(UTC).isoformat()}
    assert gate().look(CONTEXT, found) == "playground graduated"
    assert len(asked) == 1


def test_what_was_not_answered_is_asked_again(asked: list[dict[str, Any]]) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.HEALTHY, channel="playground")
    with pytest.raises(TaskDeferred):
        gate().execute(CONTEXT)
    with pytest.raises(TaskDeferred):
        gate().look(CONTEXT, {})
    assert len(asked) == 2


def test_the_answer_to_an_earlier_question_does_not_count(asked: list[dict[str, Any]]) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.HEALTHY, channel="playground")
    earlier = {**answer("Approve", "alice"), "responded_at": datetime.now(UTC).isoformat()}
    with pytest.raises(TaskDeferred):
        gate().execute(CONTEXT)
    with pytest.raises(TaskDeferred):
        gate().look(CONTEXT, earlier)
    assert not records.ledger().happened(Kind.GRADUATED, channel="playground")


def test_an_answer_that_does_not_count_closes_its_question(asked: list[dict[str, Any]]) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.HEALTHY, channel="playground")
    with pytest.raises(TaskDeferred):
        gate().execute(CONTEXT)
    with pytest.raises(TaskDeferred):
        gate().execute_complete(CONTEXT, answer("Approve", "mallory"))
    assert len(asked) == 2


def test_a_gate_asks_nobody_where_the_plan_leaves_gates_out(asked: list[dict[str, Any]]) -> None:
    begin(a_channel("playground"), bypass=Bypass(BypassTier.FLEET_WIDE, (), "urgent"))
    assert gate().execute(CONTEXT) == (
        "no approval is asked: goes to every channel without soak or gate"
    )
    assert asked == []


def test_a_new_judgement_asks_anew(asked: list[dict[str, Any]]) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.HEALTHY, channel="playground")
    gate().execute_complete(CONTEXT, answer("Approve", "alice"))
    happened(records, Kind.HEALTHY, channel="playground")
    with pytest.raises(TaskDeferred):
        gate().execute(CONTEXT)


def test_a_decision_that_airflow_lost_is_kept(store: Path) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.ENTERED, Kind.FAILED, channel="playground")
    decide().execute_complete(CONTEXT, answer(DecideOperator.ROLL_BACK, "alice"))
    assert decide().execute(CONTEXT) == "it was decided to roll back"


def test_an_authorization_that_airflow_lost_counts(store: Path) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.PREVIEWED, differences=[])
    authorize().execute_complete(CONTEXT, answer("Approve", "bob"))
    assert authorize().execute(CONTEXT) == "bob"


def test_who_asked_for_a_bypass_may_not_authorize_it_whatever_the_file_says(
    asked: list[dict[str, Any]],
) -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent", "alice")
    records = begin(CHANNEL, a_channel("test"), bypass=bypass, four_eyes=False)
    happened(records, Kind.PREVIEWED, differences=[])
    with pytest.raises(TaskAwaitingInput):
        authorize().execute_complete(CONTEXT, answer("Approve", "alice"))
    assert "alice asked for the bypass, so somebody else has to say yes" in asked[0]["body"]
    assert not records.ledger().happened(Kind.AUTHORIZED)
    authorize().execute_complete(CONTEXT, answer("Approve", "bob"))
    assert records.ledger().happened(Kind.AUTHORIZED)


def test_a_preview_that_was_marked_success_is_said_in_words(store: Path) -> None:
    begin(CHANNEL)
    with pytest.raises(AirflowFailException, match="clear preview with downstream"):
        authorize().execute(CONTEXT)


def test_what_people_wrote_is_shown_as_text(asked: list[dict[str, Any]]) -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent", "alice")
    records = begin(CHANNEL, a_channel("test"), bypass=bypass)
    reason = "CVE\n\n# Approved by security\n```\n<script>alert(1)</script>"
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), authorize=[reason], differences=[])
    with pytest.raises(TaskAwaitingInput):
        authorize().execute(CONTEXT)
    _, _, rest = asked[0]["body"].partition("````text\n")
    shown, _, after = rest.partition("\n````\n")
    assert "# Approved by security\n```\n<script>alert(1)</script>" in shown
    assert "script" not in after


def test_silence_rolls_back(store: Path) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.ENTERED, Kind.FAILED, channel="playground")
    decide().execute_complete(CONTEXT, answer(DecideOperator.ROLL_BACK, None))
    assert records.ledger().happened(Kind.ARMED)


def test_silence_rolls_nothing_back_that_was_mended_meanwhile(store: Path) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.ENTERED, Kind.FAILED, Kind.APPLIED, channel="playground")
    with pytest.raises(AirflowSkipException, match="mended"):
        decide().execute_complete(CONTEXT, answer(DecideOperator.ROLL_BACK, None))
    assert not records.ledger().happened(Kind.ARMED)


def test_a_persons_word_rolls_back_even_what_was_mended(store: Path) -> None:
    records = begin(CHANNEL)
    happened(records, Kind.ENTERED, Kind.FAILED, Kind.APPLIED, channel="playground")
    decide().execute_complete(CONTEXT, answer(DecideOperator.ROLL_BACK, "alice"))
    assert records.ledger().happened(Kind.ARMED)


def test_keeping_is_recorded_and_skips_the_restores(store: Path) -> None:
    records = begin(CHANNEL)
    with pytest.raises(AirflowSkipException, match="alice decided to keep"):
        decide().execute_complete(CONTEXT, answer(DecideOperator.KEEP, "alice"))
    assert records.ledger().happened(Kind.KEPT)
