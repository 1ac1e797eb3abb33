"""What a person is asked, why, until when, and who may answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from phased_rollout.model.bypass import Bypass
from phased_rollout.model.definition import Approval
from phased_rollout.ui.questions import Asked, questions_of
from tests.builders import START, a_channel, a_plan
from tests.unit.ui.told import a_run, facts_of

APPROVAL = Approval(("ann", "bob"), deadline=timedelta(hours=3))
PLAN = a_plan(a_channel("test", gate="approval", approval=APPROVAL), a_channel("production"))
ASKED_AT = START + timedelta(seconds=2)


@pytest.mark.parametrize(
    ("task", "before", "expected"),
    [
        (
            "authorize",
            "previewed",
            Asked(
                "authorize",
                "Asks for an authorization of this rollout",
                ["destructive"],
                ASKED_AT,
                ASKED_AT + timedelta(hours=12),
            ),
        ),
        (
            "test.gate",
            "healthy test",
            Asked(
                "test.gate",
                "Asks for an approval to graduate from test",
                ["because"],
                ASKED_AT,
                ASKED_AT + timedelta(hours=3),
                ("ann", "bob"),
            ),
        ),
        (
            "production.enter",
            "doubted production",
            Asked(
                "production.enter",
                "Asks whether to enter production, although things have changed",
                ["drift"],
                ASKED_AT,
                None,
                ("ann", "bob"),
            ),
        ),
        (
            "rollback.decide",
            "failed test",
            Asked(
                "rollback.decide",
                "Asks whether to roll back",
                ["because"],
                ASKED_AT,
                ASKED_AT + timedelta(hours=1),
            ),
        ),
        (
            "rollback.test",
            "restore_failed test/test-1",
            Asked(
                "rollback.test",
                "The rollback of test has paused and asks whether to go on",
                ["test-1: because"],
                ASKED_AT,
            ),
        ),
    ],
)
def test_a_question_says_why_until_when_and_who_may_answer(
    task: str, before: str, expected: Asked
) -> None:
    content = {"authorize": ["destructive"], "reasons": ["drift"]}
    facts = facts_of(before, f"asked {task}", plan=PLAN, **content)
    run = a_run(tasks=((task, "awaiting_input", 1),))
    assert questions_of(facts, run) == [expected]


def test_a_task_that_does_not_wait_asks_nothing() -> None:
    assert (
        questions_of(facts_of("asked authorize"), a_run(tasks=(("authorize", "failed", 1),))) == []
    )


@pytest.mark.parametrize(("task", "barred"), [("test.gate", "carl"), ("rollback.decide", "")])
def test_whoever_started_the_rollout_is_no_second_pair_of_eyes(task: str, barred: str) -> None:
    plan = replace(PLAN, bypass=Bypass(requested_by="carl"))
    run = a_run(tasks=((task, "awaiting_input", 1),))
    assert questions_of(facts_of(plan=plan), run)[0].barred == barred
    alone = replace(plan, definition=replace(plan.definition, four_eyes=False))
    assert questions_of(facts_of(plan=alone), run)[0].barred == ""
