"""What a change does in later channels, and in none before them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from phased_rollout.model.untested import Exercised, Remainder, compare, exercised

words = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9), max_size=4)
channels = st.lists(st.builds(Exercised, words, words), max_size=6).map(
    lambda found: {f"c{number}": each for number, each in enumerate(found)}
)


def test_a_channel_counts_the_targets_of_each_kind_of_change_and_of_each_trait() -> None:
    changes = {"a": ["modify Topic", "modify Topic", "add Queue"], "b": ["modify Topic"]}
    found = exercised(changes, {"a": ["region=one"], "b": ["region=two"]})
    assert found.changes == {"add Queue": 1, "modify Topic": 2}
    assert found.traits == {"region=one": 1, "region=two": 1}


def test_a_target_in_which_nothing_changes_shows_nothing_of_its_traits() -> None:
    assert exercised({"a": []}, {"a": ["region=one"]}) == Exercised()


def test_what_no_channel_before_exercises_is_what_remains() -> None:
    found = compare(
        {
            "playground": Exercised({"modify Topic": 1}, {"region=one": 1}),
            "test": Exercised({"add Queue": 1, "modify Topic": 2}, {"region=one": 2}),
            "production": Exercised(
                {"REPLACE Bucket": 3, "add Queue": 9, "modify Topic": 9},
                {"region=one": 5, "region=two": 4},
            ),
        }
    )
    assert found.remainders == (
        Remainder("test", 2, {"add Queue": 1}, {}),
        Remainder("production", 3, {"REPLACE Bucket": 3}, {"region=two": 4}),
    )
    assert [(each.covered, each.score) for each in found.remainders] == [(1, 0.5), (2, 2 / 3)]


def test_a_channel_in_which_nothing_changes_is_no_evidence_for_the_next() -> None:
    found = compare({"playground": Exercised(), "test": Exercised({"add Queue": 1})})
    assert found.remainders == (Remainder("test", 1, {"add Queue": 1}, {}),)
    assert found.idle == {"playground": "nothing would change in it"}


def test_the_first_channel_has_nothing_before_it_to_be_measured_by() -> None:
    assert compare({"playground": Exercised({"add Queue": 1})}).remainders == ()


def test_channels_after_the_last_change_are_not_called_no_evidence() -> None:
    found = compare({"playground": Exercised({"add Queue": 1}), "test": Exercised()})
    assert (found.remainders, found.idle) == ((), {})


@given(channels)
def test_the_remainder_is_what_the_union_of_all_earlier_channels_lacks(
    found: dict[str, Exercised],
) -> None:
    order = list(found)
    remainders = {each.channel: each for each in compare(found).remainders}
    assert list(remainders) == [name for name in order[1:] if found[name].changes]
    for name, each in remainders.items():
        before = [found[n] for n in order[: order.index(name)] if found[n].changes]
        assert each.changes == {
            kind: count
            for kind, count in found[name].changes.items()
            if not any(kind in earlier.changes for earlier in before)
        }
        assert each.traits == {
            trait: count
            for trait, count in found[name].traits.items()
            if not any(trait in earlier.traits for earlier in before)
        }


@given(channels)
def test_a_score_is_a_share_and_whole_exactly_when_no_kind_of_change_is_left(
    found: dict[str, Exercised],
) -> None:
    for each in compare(found).remainders:
        assert 0 <= each.score <= 1
        assert (each.score == 1) == (not each.changes)


@given(channels, words)
def test_more_exercised_first_never_leaves_more_untested(
    found: dict[str, Exercised], more: dict[str, int]
) -> None:
    plain = compare({"c": Exercised(), **found}).remainders
    helped = {each.channel: each for each in compare({"c": Exercised(more), **found}).remainders}
    for each in plain:
        assert set(helped[each.channel].changes) == set(each.changes) - set(more)


@given(channels)
def test_a_channel_is_either_no_evidence_or_measured(found: dict[str, Exercised]) -> None:
    compared = compare(found)
    assert not {*compared.idle} & {each.channel for each in compared.remainders}
    assert all(not found[name].changes for name in compared.idle)
