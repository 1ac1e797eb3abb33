"""Several stacks, each applied only as it was previewed, against the embedded AWS."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout.errors import DriftedError
from phased_rollout.model.target_state import Outcome
from tests.unit.substrates.conftest import World
from tests.unit.substrates.test_cloudformation_several import FILES, change, previewed, values


@pytest.fixture
def world(world: World) -> World:
    world.several("base", "app")
    return world


def test_each_stack_is_held_to_its_own_preview(world: World) -> None:
    world.apply(change(world), token="0000-1")
    wanted = change(world, Base="b", App="b")
    digest = previewed(world, wanted).digest
    topic = FILES["app.yaml"] + "  Topic: {Type: AWS::SNS::Topic}\n"
    world.client.update_stack(StackName="app", TemplateBody=topic)
    world.settle("app")
    with pytest.raises(DriftedError, match=r"'app' .*\n.*DESTRUCTIVE Remove AWS::SNS::Topic Topic"):
        world.apply(wanted, expected=digest)
    assert values(world) == ["a-b", "a-a"]
    again = previewed(world, wanted).digest
    assert world.apply(wanted, expected=again).outcome is Outcome.DONE


def test_a_digest_that_names_no_such_stack_lets_nothing_happen(world: World) -> None:
    with pytest.raises(DriftedError):
        world.apply(change(world), expected="0" * 64)
    assert values(world) == [None, None]


IMPORTING = {
    "base.yaml": FILES["base.yaml"]
    + "Outputs:\n  Out: {Value: !Ref Setting, Export: {Name: base-setting}}\n",
    "app.yaml": FILES["app.yaml"].replace("!Ref Shared", "!ImportValue base-setting"),
}


def test_a_stack_that_could_not_be_previewed_is_applied_if_it_destroys_nothing(
    world: World,
) -> None:
    wanted = world.artifact(files=IMPORTING)
    digest = previewed(world, wanted).digest
    assert world.apply(wanted, expected=digest).outcome is Outcome.DONE


def test_a_stack_that_was_not_there_at_its_preview_is_not_harmed(world: World) -> None:
    wanted = world.artifact(files=IMPORTING)
    digest = previewed(world, wanted).digest
    topic = "Resources: {Topic: {Type: AWS::SNS::Topic}}\n"
    world.client.create_stack(StackName="app", TemplateBody=topic)
    world.settle("app")
    with pytest.raises(DriftedError, match="DESTRUCTIVE Remove AWS::SNS::Topic Topic"):
        world.apply(wanted, expected=digest)
    assert values(world) == ["a-a", None]


TAKING = (
    FILES["app.yaml"]
    .replace(
        "Shared: {Type: String, Default: a}",
        "Shared: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /base}",
    )
    .replace(
        "Resources:\n",
        """\
Conditions: {Has: !Equals [!Ref Shared, VALUE]}
Resources:
  Topic: {Type: AWS::SNS::Topic, Condition: Has}
""",
    )
)


def taking(world: World, value: str, **given: str) -> Any:
    """Two stacks, of which the second has a topic while the first has that value."""
    files = {**FILES, "app.yaml": TAKING.replace("VALUE", value)}
    return world.artifact(files=files, given=given)


def test_a_stack_that_takes_what_an_earlier_one_changes_may_change_more_than_previewed(
    world: World,
) -> None:
    world.apply(taking(world, "a-b"), token="0000-1")
    wanted = taking(world, "a-b", Base="b", App="b")
    found = previewed(world, wanted)
    assert [d.resource for d in found.differences] == ["base/Setting", "app/Setting"]
    assert world.apply(wanted, expected=found.digest).outcome is Outcome.DONE
    assert len(world.client_of("sns").list_topics()["Topics"]) == 1


def test_a_stack_that_takes_what_an_earlier_one_changes_destroys_only_what_was_previewed(
    world: World,
) -> None:
    world.apply(taking(world, "a-a"), token="0000-1")
    wanted = taking(world, "a-a", Base="b", App="b")
    digest = previewed(world, wanted).digest
    with pytest.raises(DriftedError, match="DESTRUCTIVE Remove AWS::SNS::Topic Topic"):
        world.apply(wanted, expected=digest)
    assert len(world.client_of("sns").list_topics()["Topics"]) == 1
