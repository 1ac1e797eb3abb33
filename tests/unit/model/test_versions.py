"""Which versions meet which conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phased_rollout.model.versions import satisfies


@pytest.mark.parametrize(
    ("version", "condition", "words"),
    [
        ("2", ">=2", "meets"),
        ("1", ">=2", "does not"),
        ("2", ">=1,<3", "meets"),
        ("3", ">=1, <3", "does not"),
        ("2.0", "==2", "meets"),
        ("2.1", "==2", "does not"),
        ("2.10", ">2.9", "meets"),
        ("2.1.1", "<= 2.1", "does not"),
        ("1.4", "!=1.4", "does not"),
        ("10", "<9", "does not"),
        ("007", "==7", "meets"),
    ],
)
def test_a_version_meets_every_part_of_a_condition_or_it_does_not_meet_it(
    version: str, condition: str, words: str
) -> None:
    assert satisfies(version, condition) is (words == "meets")


PARTS = st.lists(st.integers(0, 12), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_versions_are_compared_number_by_number(one: list[int], other: list[int]) -> None:
    version, condition = ".".join(map(str, one)), ".".join(map(str, other))
    a, b = ([*parts, 0, 0, 0, 0][:4] for parts in (one, other))
    found = {sign: satisfies(version, f"{sign}{condition}") for sign in ("<", "<=", "==", "!=")}
    assert found == {"<": a < b, "<=": a <= b, "==": a == b, "!=": a != b}
    assert satisfies(version, f">{condition}") is not found["<="]
    assert satisfies(version, f">={condition}") is not found["<"]
