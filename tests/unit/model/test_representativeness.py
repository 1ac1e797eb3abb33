"""How like production the channels before it are, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import Channel, Definition, Target
from phased_rollout.model.representativeness import (
    as_json,
    exercised_by,
    in_words,
    kinds_of,
    missing,
    policy_of,
    unlike,
)
from phased_rollout.model.selection import Select
from phased_rollout.model.target_state import Difference, Preview
from phased_rollout.model.untested import Exercised, Untested, compare
from tests.builders import a_channel, a_definition, a_plan

ADD = Difference("Add", "Queue", "AWS::SQS::Queue")
MODIFY = Difference("Modify", "Topic", "AWS::SNS::Topic", detail="because of Tags")
REPLACE = Difference("Replace", "Bucket", "AWS::S3::Bucket", destructive=True)


def located(channel: Channel, *regions: str, **traits: str) -> Channel:
    """Put the targets of a channel into these regions."""
    targets = tuple(
        Target(t.name, {**t.address, "region": region}, traits=traits)
        for t, region in zip(channel.targets, regions, strict=True)
    )
    return replace(channel, targets=targets)


def two(*regions: str, **settings: object) -> Definition:
    """Build a playground in Frankfurt, and a production in these regions."""
    playground = located(a_channel("playground", targets=1), "eu-central-1")
    production = located(a_channel("production", targets=len(regions)), *regions)
    return a_definition(playground, production, **settings)


def test_a_kind_of_change_is_told_once_whatever_the_resource_and_the_detail() -> None:
    other = replace(MODIFY, resource="Other", detail="")
    assert kinds_of(Preview((MODIFY, REPLACE, other))) == [
        "REPLACE AWS::S3::Bucket",
        "modify AWS::SNS::Topic",
    ]


@pytest.mark.parametrize("preview", [None, Preview(), Preview(notes=("sees nothing to change",))])
def test_a_target_in_which_nothing_would_change_exercises_nothing(preview: Preview | None) -> None:
    assert kinds_of(preview) == []


def test_a_modification_that_may_replace_is_another_one_than_a_harmless_one() -> None:
    perhaps = replace(MODIFY, destructive=True)
    assert kinds_of(Preview((MODIFY, perhaps))) == [
        "MODIFY AWS::SNS::Topic",
        "modify AWS::SNS::Topic",
    ]


def test_the_remainder_is_told_with_its_share_the_destructive_first() -> None:
    found = compare(
        {
            "playground": Exercised(idle="this run bypasses it"),
            "test": Exercised({"modify Topic": 1}, {"region=one": 1}),
            "production": Exercised(
                {"REPLACE Bucket": 2, "add Queue": 1, "modify Topic": 7},
                {"region=one": 6, "region=two": 1},
            ),
        }
    )
    assert in_words(found) == [
        "playground is no evidence: this run bypasses it",
        "test: 0 of 1 kinds of change (0%) are exercised before it; untested: modify Topic "
        "(1 target)",
        "test: no channel before it changes a target with region=one (1 target)",
        "production: 1 of 3 kinds of change (33%) are exercised before it; untested: REPLACE "
        "Bucket (2 targets), add Queue (1 target)",
        "production: no channel before it changes a target with region=two (1 target)",
    ]
    assert missing(found) == in_words(found)[1:]
    assert as_json(found)["production"] == {
        "covered": 1,
        "of": 3,
        "changes": {"REPLACE Bucket": 2, "add Queue": 1},
        "traits": {"region=two": 1},
    }


def test_nothing_is_said_where_earlier_channels_exercise_it_all() -> None:
    same = Exercised({"modify Topic": 1}, {"region=one": 1})
    assert in_words(compare({"playground": same, "production": same})) == []


def test_hundreds_of_traits_are_told_in_one_line() -> None:
    many = {f"size={number:03}": 1 for number in range(300)}
    found = compare({"a": Exercised({"add Queue": 1}), "b": Exercised({"add Queue": 1}, many)})
    [line] = in_words(found)
    assert line.endswith("size=009 (1 target) and 290 more")


def test_only_the_targets_of_the_channel_count() -> None:
    channel = located(a_channel("playground"), "eu-central-1", "eu-west-1")
    changes = {"playground-1": ["modify Topic"], "playground-2": [], "test-1": ["add Queue"]}
    assert exercised_by(channel, changes, ["region"]) == Exercised(
        {"modify Topic": 1}, {"region=eu-central-1": 1}
    )


def test_traits_of_later_channels_are_told_before_any_preview() -> None:
    assert unlike(two("eu-central-1", "cn-north-1")) == [
        "production: no channel before it changes a target with partition=aws-cn (1 target), "
        "region=cn-north-1 (1 target)"
    ]
    assert unlike(two("eu-central-1", "eu-central-1")) == []


def test_a_channel_that_a_run_bypasses_has_no_traits_to_show() -> None:
    regions = {"playground": "eu-central-1", "test": "eu-west-1", "last": "eu-central-1"}
    channels = [located(a_channel(name, targets=1), at) for name, at in regions.items()]
    telling = "no channel before it changes a target with region="
    assert unlike(a_definition(*channels)) == [f"test: {telling}eu-west-1 (1 target)"]
    assert unlike(a_definition(*channels), without=["playground"]) == [
        f"last: {telling}eu-central-1 (1 target)"
    ]


def test_nothing_is_told_while_targets_have_still_to_be_found() -> None:
    definition = two("cn-north-1")
    selecting = replace(definition.channels[0], select=Select(labels={"tier": "test"}))
    assert unlike(replace(definition, channels=(selecting, definition.channels[1]))) == []


def test_a_trait_that_no_target_has_is_warned_of() -> None:
    assert unlike(two("cn-north-1", compare_traits=("partition", "regoin"))) == [
        "production: no channel before it changes a target with partition=aws-cn (1 target)",
        "WARNING: compare_traits: no target has the trait 'regoin': correct or remove it",
    ]


@pytest.mark.parametrize("wanted", Untested)
def test_an_emergency_is_never_asked_or_refused_for_what_is_untested(wanted: Untested) -> None:
    plan = replace(a_plan(untested=wanted), emergency=True)
    warns = f"untested: {wanted} only warns in an emergency"
    assert policy_of(plan) == (Untested.WARN, "" if wanted is Untested.WARN else warns)


@pytest.mark.parametrize("wanted", Untested)
def test_a_regular_run_obeys_the_policy(wanted: Untested) -> None:
    assert policy_of(a_plan(untested=wanted)) == (wanted, "")


def test_a_bypass_that_a_second_person_has_to_authorize_is_asked_about() -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent", "ann")
    assert policy_of(a_plan(untested=Untested.BLOCK, bypass=bypass)) == (
        Untested.ASK,
        "untested: block asks a person when a run bypasses something",
    )
    shorter = Bypass(BypassTier.SHORTEN_SOAK, (), "urgent", "ann")
    assert policy_of(a_plan(untested=Untested.BLOCK, bypass=shorter))[0] is Untested.BLOCK
