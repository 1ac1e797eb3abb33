"""One difference over all targets that a person reads in a minute."""

from __future__ import annotations

from phased_rollout.model.merged import destructive, merge, shown
from phased_rollout.model.target_state import Difference, Preview

MODIFY = Difference("Modify", "Topic", "AWS::SNS::Topic", detail="because of Tags")
ADD = Difference("Add", "Queue", "AWS::SQS::Queue")
REPLACE = Difference("Replace", "Bucket", "AWS::S3::Bucket", destructive=True)
LOST = "the earlier value of X cannot be restored"


def test_equal_differences_are_one_line_the_destructive_and_the_frequent_first() -> None:
    found = {name: Preview((MODIFY,)) for name in ("a", "b", "c", "d")}
    found["e"] = Preview((ADD, MODIFY, REPLACE), notes=("a note",), irreversible=(LOST,))
    assert merge(found) == [
        "1 target: REPLACE AWS::S3::Bucket Bucket (e)",
        f"1 target: {LOST} (e)",
        "5 targets: modify AWS::SNS::Topic Topic because of Tags (a, b, c and 2 more)",
        "1 target: add AWS::SQS::Queue Queue (e)",
        "1 target: a note (e)",
    ]


def test_hundreds_of_equal_accounts_are_as_short_as_one() -> None:
    assert merge({f"a{n}": Preview((MODIFY,)) for n in range(350)}) == [
        "350 targets: modify AWS::SNS::Topic Topic because of Tags (a0, a1, a2 and 347 more)"
    ]


def test_the_destructive_differences_of_all_targets_count() -> None:
    assert destructive({"a": Preview((REPLACE, MODIFY)), "b": Preview((REPLACE,))}) == 2


def test_a_long_difference_is_cut_at_its_end() -> None:
    lines = [f"line {n}" for n in range(60)]
    assert shown(lines) == [*lines[:50], "and 10 more: see the log of preview"]
    assert shown(lines[:50]) == lines[:50]
