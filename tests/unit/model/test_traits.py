"""What targets have in common: from their addresses, the file, and the inventory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phased_rollout.model.definition import AdapterSpec, Definition, Inventory, Target
from phased_rollout.model.found import Found
from phased_rollout.model.selection import Select
from phased_rollout.model.targets import resolve
from phased_rollout.model.traits import compared, traits_found, traits_of
from tests.builders import a_channel, a_definition


def test_region_and_partition_are_compared_and_whatever_a_target_says_of_itself() -> None:
    channel = a_channel("playground", targets=1)
    told = replace(channel.targets[0], traits={"size": "large", "engine": "aurora"})
    definition = a_definition(replace(channel, targets=(told,)))
    assert compared(definition) == ["region", "partition", "engine", "size"]
    assert compared(replace(definition, compare_traits=("engine",))) == ["engine"]
    assert compared(replace(definition, compare_traits=())) == []


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("eu-central-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
    ],
)
def test_the_partition_follows_from_a_region_of_aws(region: str, partition: str) -> None:
    target = Target("a", {"account": "1", "region": region})
    assert traits_of(target, ["region", "partition"]) == [
        f"region={region}",
        f"partition={partition}",
    ]


def test_a_region_that_is_none_of_aws_has_no_partition() -> None:
    assert traits_of(Target("a", {"region": "eu"}), ["region", "partition"]) == ["region=eu"]


def test_any_part_of_an_address_may_be_compared_and_what_is_told_wins_over_it() -> None:
    target = Target("a", {"tier": "gold", "tenant": "x"}, traits={"tier": "silver"})
    assert traits_of(target, ["tier", "size"]) == ["tier=silver"]


def test_an_inventory_tells_labels_and_the_deepest_unit_but_no_region() -> None:
    labels = {"size": "large", "owner": "ann", "region": "emea"}
    names = ["region", "ou", "size", "engine"]
    assert traits_found(labels, ["r-1", "ou-1", "Prod"], names) == {"ou": "Prod", "size": "large"}
    assert traits_found({}, [], names) == {}


def selecting(**settings: object) -> Definition:
    named = Target("named", {"account": "1"}, traits={"size": "small"})
    channel = replace(a_channel("playground", targets=0), targets=(named,))
    later = replace(a_channel("production", targets=0), select=Select(labels={"tier": "prod"}))
    inventory = Inventory(AdapterSpec("file"), address={"region": "eu-central-1"})
    return a_definition(channel, later, inventory=inventory, **settings)


def test_targets_that_are_selected_and_named_get_the_traits_that_are_compared() -> None:
    known = [
        Found("named", {"account": "1"}, labels={"size": "large", "engine": "aurora"}),
        Found("found", {"account": "2"}, labels={"tier": "prod", "engine": "mysql"}),
    ]
    resolved = resolve(selecting(compare_traits=("engine", "size")), known).definition
    assert resolved is not None
    assert [t.traits for c in resolved.channels for t in c.targets] == [
        {"engine": "aurora", "size": "small"},
        {"engine": "mysql"},
    ]


def test_a_label_is_not_compared_unless_it_is_named() -> None:
    known = [
        Found("named", {"account": "1"}, labels={"owner": "ann"}),
        Found("found", {"account": "2"}, labels={"tier": "prod", "owner": "bob", "size": "large"}),
    ]
    resolved = resolve(selecting(), known).definition
    assert resolved is not None
    assert [t.traits for c in resolved.channels for t in c.targets] == [
        {"size": "small"},
        {"size": "large"},
    ]
