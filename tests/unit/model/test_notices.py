"""What people are told: the first lines say it all."""

from __future__ import annotations

from datetime import timedelta

import pytest

from phased_rollout.model import notices
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import OnFailure
from phased_rollout.model.notices import Notice
from phased_rollout.model.notifier import Event
from phased_rollout.model.plan import Plan
from tests.builders import a_plan

CHANGE = "change (cccccccccccc)"


def lines(notice: Notice | None) -> list[str]:
    return notice.message.splitlines() if notice else []


@pytest.mark.parametrize(
    ("tier", "who"),
    [
        (BypassTier.SHORTEN_SOAK, "no second person is asked"),
        (
            BypassTier.FLEET_WIDE,
            "somebody else has to authorize it, before any target is touched",
        ),
    ],
)
def test_a_bypass_says_whether_somebody_else_is_asked(tier: BypassTier, who: str) -> None:
    plan = a_plan(bypass=Bypass(tier, reason="CVE-2026-1", requested_by="alice"))
    assert lines(notices.bypassed(plan)) == [
        f"accounts: the rollout of {CHANGE} leaves something out: {plan.bypass}",
        "asked for by alice: CVE-2026-1",
        who,
        "what is left out is owed: a full rollout of the same change has to make it good",
    ]
    assert notices.bypassed(a_plan()) is None


def test_a_question_says_where_to_answer_and_until_when() -> None:
    asked = notices.waiting(
        "accounts",
        task="test.gate",
        question="Let it graduate?",
        body="why\nand what",
        asked=["alice", "bob"],
        deadline=str(timedelta(hours=1)),
    )
    assert (asked.event, asked.channel) == (Event.WAITING, "test")
    assert lines(asked) == [
        "accounts: waits for a person: Let it graduate?",
        "answer under Required Actions of the run (task test.gate), within 1:00:00",
        "who may answer: alice, bob",
        "why",
        "and what",
    ]


def test_the_next_channel_is_one_that_is_not_bypassed() -> None:
    plan = a_plan(bypass=Bypass(BypassTier.SKIP_CHANNELS, ("test",), "CVE"))
    many = [f"t-{n}" for n in range(12)]
    found = lines(notices.graduated(plan, "playground", targets=many, reason="all good"))
    assert found == [
        f"accounts: {CHANGE} has graduated from playground",
        f"12 targets run it: {', '.join(many[:10])} and 2 more",
        "all good",
        "next: production",
    ]
    last = notices.graduated(plan, "production", targets=many[:1], reason="")
    assert lines(last)[1:] == ["1 target run it: t-0", "that was the last channel"]


@pytest.mark.parametrize(
    ("plan", "task", "then"),
    [
        (None, "plan", "no target was touched; once it is mended, clear plan with downstream"),
        (
            a_plan(),
            "preview",
            "no target was touched; once it is mended, clear preview with downstream",
        ),
        (
            a_plan(),
            "test.apply",
            "the rollback has begun; what was restored is told when it has ended",
        ),
        (
            a_plan(on_failure=OnFailure.HOLD),
            "test.apply",
            "nothing was rolled back so far: rollback.decide asks a person, 1:00:00 at most",
        ),
        (
            a_plan(),
            "rollback.test",
            "not all was restored; the earlier channels are restored nevertheless",
        ),
    ],
)
def test_a_failure_says_what_the_system_said_and_what_follows(
    plan: Plan | None, task: str, then: str
) -> None:
    found = notices.failed("accounts", plan, task=task, reason="test-1: bucket exists")
    change = f" of {CHANGE}" if plan else ""
    assert lines(found) == [
        f"accounts: the rollout{change} failed in {task}",
        "test-1: bucket exists",
        then,
    ]


def test_debts_are_told_apart() -> None:
    owed, paid = notices.debt_owed("accounts", "r1 …"), notices.debt_paid("accounts", ["r1", "r2"])
    assert owed.occurrence != paid.occurrence
    assert lines(owed)[0] == "accounts: a bypass is owed: r1 …"
    assert lines(paid) == ["accounts: made good is what was left out by r1, r2"]


def test_a_very_long_message_is_cut() -> None:
    found = lines(Notice(Event.FAILED, ("first", "\n".join(f"line {n}" for n in range(100)))))
    assert len(found) == 61
    assert found[-1] == "… and 41 more lines: see the log"
