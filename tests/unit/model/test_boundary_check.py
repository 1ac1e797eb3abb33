"""What is said of mixed states: counterexamples, questions, and what cannot be known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from phased_rollout.model.boundaries import UNKNOWN, Running, Side
from phased_rollout.model.boundary_check import Boundaries, checked
from phased_rollout.model.change import Change
from phased_rollout.model.definition import RollbackScope

ONE = Running("1" * 64, "one", {"api": ("1",)}, {"api": ">=1"})
TWO = Running("2" * 64, "two", {"api": ("2",)}, {"api": ">=2"})
BOTH = Running("b" * 64, "both", {"api": ("1", "2")}, {"api": ">=1"})
SILENT = Running("5" * 64, "silent")
NEEDS_TWO = ", which requires api >=2, and "
FIRST = "first roll out a change that provides api >=2 and does not require it yet"


def check(
    new: Running, *sides: Side, scope: RollbackScope = RollbackScope.ALL_CHANNELS
) -> Boundaries:
    found = checked(new, sides, scope)
    assert found is not None
    return found


def running(*versions: Running, **every: Any) -> tuple[Side, ...]:
    return tuple(Side(f"c{n}", (version,), **every) for n, version in enumerate(versions, start=1))


def provider_first(now: Running = ONE, **infra: Any) -> tuple[Side, Side]:
    return (
        Side("infra", (now,), talks_to=(), **infra),
        Side("production", (now,), talks_to=("infra",)),
    )


def test_a_change_that_needs_what_its_neighbour_does_not_provide_yet_is_stopped() -> None:
    found = check(TWO, *running(ONE, ONE, ONE))
    assert found.stops == (
        f"mixed state: while c1 is changed, c1 runs two (222222222222){NEEDS_TWO}c2 runs one "
        f"(111111111111), which provides api 1 (and in 18 more states): {FIRST}",
    )
    assert found.authorize == ()


def test_a_change_that_takes_away_what_its_neighbour_needs_is_stopped() -> None:
    drops = replace(TWO, provides={"api": ("2",)}, requires={})
    needs_one = replace(ONE, requires={"api": "==1"})
    [text] = check(drops, *running(needs_one, needs_one)).stops
    assert text == (
        "mixed state: while c1 is changed, c2 runs one (111111111111), which requires api ==1, "
        "and c1 runs two (222222222222), which provides api 2 (and in 9 more states): let two "
        "provide api ==1 as well, or first roll out a change that does without it"
    )


def test_a_step_in_between_that_provides_both_makes_the_way_free() -> None:
    assert check(BOTH, *running(ONE, ONE, ONE)).in_words() == [
        "boundaries: 22 mixed states of neighbouring channels checked, and the change works in "
        "all that are known"
    ]
    assert check(TWO, *running(BOTH, BOTH, BOTH)).stops == ()


def test_what_each_channel_runs_counts_not_what_the_first_runs() -> None:
    [text] = check(TWO, *running(BOTH, BOTH, ONE)).stops
    assert text.startswith("mixed state: while c2 is changed, c2 runs two")


def test_a_change_that_does_not_provide_what_it_requires_is_stopped() -> None:
    needs = Running("3" * 64, "three", {}, {"db": ">=3"})
    [own] = check(needs, Side("c1", (needs,))).stops
    assert own == (
        "mixed state: while c1 is changed, c1 runs three (333333333333), which requires db >=3, "
        "and c1 runs three (333333333333), which provides no db (and in 1 more states): let three "
        "provide it, or say in talks_to of c1 which channels it talks to"
    )


def test_the_provider_may_come_first_when_only_later_channels_talk_to_it() -> None:
    found = check(TWO, *provider_first())
    assert found.stops == ()
    assert found.authorize == (
        "mixed state: in a rollback that restores infra and cannot restore production, production "
        f"runs two (222222222222){NEEDS_TWO}infra runs one (111111111111), which provides api 1 "
        f"(and in 3 more states): {FIRST}",
    )


def test_a_rollback_of_the_failed_channel_alone_leaves_the_provider_as_it_is() -> None:
    found = check(TWO, *provider_first(), scope=RollbackScope.FAILED_CHANNEL)
    assert (found.stops, found.authorize) == ((), ())


@pytest.mark.parametrize(
    ("why", "told", "mend"),
    [
        ({"bypassed": True}, "bypassed", "do not bypass infra"),
        ({"held": (ONE,)}, "on hold", "end the hold in infra"),
        ({"tolerates": True}, "failed within its tolerance", "tolerate no failure in infra"),
    ],
)
def test_a_provider_that_may_be_left_behind_stops_the_change(
    why: dict[str, Any], told: str, mend: str
) -> None:
    [text] = check(TWO, *provider_first(**why)).stops
    assert text.startswith("mixed state: while production is changed, production runs two")
    assert f"infra ({told}) runs one (111111111111), which provides api 1" in text
    assert text.endswith(f": {FIRST}, or {mend}")


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (UNKNOWN, "runs something that is not recorded, of which it is not known what it provides"),
        (SILENT, "runs silent (555555555555), which does not say what it provides"),
    ],
)
def test_what_is_not_known_to_provide_what_is_required_is_asked_about(
    now: Running, words: str
) -> None:
    found = check(TWO, *running(now, now))
    assert found.stops == ()
    [text] = found.authorize
    assert f"{NEEDS_TWO}c2 {words}" in text
    [note] = found.notes
    assert note == (
        f"what runs in c1, c2 is {now}, which declares nothing: it may require what two "
        "(222222222222) does not provide"
    )


def test_a_change_that_says_nothing_is_asked_about_where_something_is_required() -> None:
    found = check(SILENT, *running(ONE, ONE))
    assert found.stops == ()
    [text] = found.authorize
    assert "c2 runs one (111111111111), which requires api >=1, and c1 runs silent" in text


def test_what_runs_now_beside_what_runs_now_is_no_matter_of_this_change() -> None:
    broken = Running("9" * 64, "broken", {"api": ("1",)}, {"db": ">=9"})
    new = Running("4" * 64, "four", {"api": ("1",), "db": ("9",)}, {})
    found = check(new, *running(broken, broken))
    assert (found.stops, found.authorize) == ((), ())


def test_without_any_declaration_nothing_is_checked_and_nothing_is_said() -> None:
    sides = running(UNKNOWN, SILENT)
    assert checked(Running("6" * 64, "new"), sides, RollbackScope.ALL_CHANNELS) is None


def test_a_channel_that_talks_to_nobody_requires_nothing_of_anybody() -> None:
    found = check(TWO, *running(ONE, ONE, talks_to=()))
    assert found == Boundaries(checked=0)


def test_what_cannot_wait_is_asked_about_in_place_of_being_stopped() -> None:
    found = check(TWO, *running(ONE, ONE))
    asking = found.asking()
    assert (asking.stops, asking.authorize) == ((), found.stops)
    assert asking.in_words()[1:] == [*found.stops, *found.notes]


def test_what_is_declared_names_the_change_and_what_is_not_leaves_its_name_as_it_was() -> None:
    plain = Change("x", {"a": "b"})
    assert plain.digest == replace(plain, description="other").digest
    declared = replace(plain, provides={"api": ("2", "1")}, requires={"api": ">=1"})
    digests = {
        plain.digest,
        declared.digest,
        replace(declared, requires={}).digest,
        replace(declared, provides={"api": ("2",)}).digest,
    }
    assert len(digests) == 4
    assert replace(declared, provides={"api": ("1", "2")}).digest == declared.digest
    # as versions before declarations named it
    assert plain.digest == "5b1c7b94d9665ceb47194d29f441f361defe19b3ee9a8c616d1800da38dd9a5a"
