"""Regions in channels.yaml: said once, a target in each of them, and none in two channels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from phased_rollout import config
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import Definition
from phased_rollout.model.selection import Select

GOOD = """\
version: 1
defaults: {soak: 5s, gate: timer}
rollouts:
  shop:
    substrate: {kind: cloudformation, connection: aws, role: r, stack: s, regions: TWO}
    inventory: {kind: organizations, account: "999999999999"}
    channels:
      - name: dev
        targets: [{name: dev, account: "000000000001"}]
      - name: small
        regions: [eu-west-1]
        targets: [{name: shop, account: "000000000002"}]
      - name: all
        targets:
          - {name: shop, account: "000000000002", regions: [us-east-1]}
          - {name: old, account: "000000000003", region: sa-east-1}
      - name: found
        regions: [eu-west-1, us-east-1, sa-east-1]
        select: {ou: [Prod]}
""".replace("TWO", "[eu-west-1, us-east-1]")
Read = Callable[..., Definition]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read the file with some things written otherwise."""

    def changed(*pairs: tuple[str, str]) -> Definition:
        text = GOOD
        for old, new in pairs:
            assert old in text
            text = text.replace(old, new, 1)
        file = tmp_path / "channels.yaml"
        file.write_text(text)
        return config.load(file).definitions["shop"]

    return changed


def problems(read: Read, *pairs: tuple[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(*pairs)
    return [problem.partition("channels.yaml:")[2] for problem in error.value.problems]


def places(definition: Definition) -> dict[str, list[tuple[str, str]]]:
    return {
        channel.name: [(target.name, target.address["region"]) for target in channel.targets]
        for channel in definition.channels
    }


def test_a_target_is_in_each_region_that_is_said_closest_and_called_after_it(read: Read) -> None:
    assert places(read()) == {
        "dev": [("dev-eu-west-1", "eu-west-1"), ("dev-us-east-1", "us-east-1")],
        "small": [("shop-eu-west-1", "eu-west-1")],
        "all": [("shop-us-east-1", "us-east-1"), ("old", "sa-east-1")],
        "found": [],
    }
    assert read().channels[0].targets[1].address == {
        "account": "000000000001",
        "region": "us-east-1",
    }


def test_what_is_selected_is_in_the_regions_of_its_channel_else_of_the_substrate(
    read: Read,
) -> None:
    everywhere = ("eu-west-1", "us-east-1", "sa-east-1")
    assert read().channels[3].select == Select(ou=("Prod",), regions=everywhere)
    of_substrate = read(("        regions: [eu-west-1, us-east-1, sa-east-1]\n", "")).channels[3]
    assert of_substrate.select == Select(ou=("Prod",), regions=("eu-west-1", "us-east-1"))


def test_one_region_names_no_target_after_it_and_is_a_default_only(read: Read) -> None:
    read_one = read(("regions: [eu-west-1, us-east-1]}", "region: eu-west-1}"))
    assert places(read_one)["dev"] == [("dev", "eu-west-1")]
    assert read_one.inventory is not None
    assert read_one.inventory.address == {"region": "eu-west-1"}
    assert read().inventory is not None
    assert read().inventory.address == {}


def test_an_organization_is_asked_from_the_first_region_unless_its_own_is_said(read: Read) -> None:
    inventory = read().inventory
    assert inventory is not None
    assert inventory.source.options["region"] == "eu-west-1"
    own = read(('"999999999999"}', '"999999999999", region: us-west-2}')).inventory
    assert own is not None
    assert own.source.options["region"] == "us-west-2"


def test_the_regions_of_targets_are_no_option_of_the_substrate(read: Read) -> None:
    assert set(read().substrate.options) == {"connection", "role", "stack"}


def test_a_hold_holds_a_target_in_each_of_its_regions(read: Read) -> None:
    hold = ', hold: {reason: move, until: "2099-01-01"}}, {name: a, account: "000000000009"}]'
    (dev, *_) = read(('"000000000001"}]', f'"000000000001"{hold}')).channels
    assert [target.name for target in dev.on_hold] == ["dev-eu-west-1", "dev-us-east-1"]
    assert [target.name for target in dev.targets] == ["a-eu-west-1", "a-us-east-1"]


ALL = "rollouts.shop.channels[2]"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("regions: [eu-west-1]\n", "regions: [eu-west-1, us-east-1]\n", [
            f"15: {ALL}.targets[0].name: the target 'shop-us-east-1' is there already "
            "(channels[1].targets[0], line 12): remove one of the two",
            f"15: {ALL}.targets[0]: account 000000000002 in us-east-1 is there already "
            "(channels[1].targets[0], line 12): remove one of the two",
        ]),
        ("{name: shop, account: \"000000000002\", regions: [us-east-1]}",
         "{name: other, account: \"000000000002\", region: eu-west-1}", [
            f"15: {ALL}.targets[0]: account 000000000002 in eu-west-1 is there already "
            "(channels[1].targets[0], line 12): remove one of the two",
        ]),
        ("name: old,", "name: shop-us-east-1,", [
            f"16: {ALL}.targets[1].name: the target 'shop-us-east-1' is there already "
            f"(channels[2].targets[0], line 15): remove one of the two",
        ]),
        ("regions: [us-east-1]}", "regions: [us-east-1], region: us-east-1}", [
            f"15: {ALL}.targets[0].regions: region is set as well: remove one of the two",
        ]),
        ("regions: [eu-west-1, us-east-1]}", "regions: [eu-west-1], region: eu-west-1}", [
            "5: rollouts.shop.substrate.regions: region is set as well: remove one of the two",
        ]),
        ("regions: [us-east-1]}", "regions: []}", [
            f"15: {ALL}.targets[0].regions: is empty: name at least one region",
        ]),
        ("regions: [us-east-1]}", "regions: [us-east-1, us-east-1]}", [
            f"15: {ALL}.targets[0].regions: us-east-1 is there twice: remove one of the two",
        ]),
        ("regions: [us-east-1]}", "regions: [us-east]}", [
            f"15: {ALL}.targets[0].regions[0]: us-east is no region: write one such as "
            "eu-central-1",
        ]),
        ("name: old, account: \"000000000003\", region: sa-east-1",
         f"name: {'a' * 92}, account: \"000000000003\"", [
            f"16: {ALL}.targets[1].name: '{'a' * 92}-eu-west-1' is longer than 100: shorten it",
        ]),
        ("stack: s, regions: [eu-west-1, us-east-1]", "stack: s", [
            "9: rollouts.shop.channels[0].targets[0].region: missing: set it here or in the "
            "substrate",
        ]),
    ],
    ids=["place and name", "place", "name", "both", "both above", "empty", "twice", "no region",
         "too long", "nowhere"],
)  # fmt: skip
def test_a_slip_with_regions_is_told_with_its_line(
    read: Read, old: str, new: str, found: list[str]
) -> None:
    assert problems(read, (old, new)) == found


def test_two_definitions_may_not_have_a_stack_in_one_region_of_an_account(read: Read) -> None:
    other = """\
  other:
    substrate: {kind: cloudformation, connection: aws, role: r, stack: s}
    channels:
      - name: one
        regions: [sa-east-1, us-east-1]
        targets: [{name: mine, account: "000000000002"}]
"""
    assert problems(read, ("select: {ou: [Prod]}\n", "select: {ou: [Prod]}\n" + other)) == [
        "25: rollouts.other.channels[0].targets[0]: stack s of account 000000000002 in us-east-1 "
        "is there already (rollouts.shop.channels[2].targets[0], line 15): remove one of the two"
    ]


def test_a_bucket_has_to_be_named_after_each_region(read: Read) -> None:
    assert problems(read, ("stack: s,", 'stack: s, bucket: "t-{account}",')) == [
        "5: rollouts.shop.substrate.bucket: each of the 3 regions needs one of its own: write "
        "{region} in its name"
    ]


def test_a_bucket_has_to_be_named_after_each_region_of_what_is_selected(read: Read) -> None:
    text = """\
version: 1
defaults: {soak: 5s, gate: timer}
rollouts:
  shop:
    substrate: {kind: cloudformation, connection: a, role: r, stack: s, bucket: "t-{account}"}
    inventory: {kind: file, path: accounts.yaml}
    channels:
      - name: one
        regions: [eu-west-1, us-east-1]
        select: {labels: {a: b}}
"""
    assert problems(read, (GOOD, text)) == [
        "5: rollouts.shop.substrate.bucket: each of the 2 regions needs one of its own: write "
        "{region} in its name"
    ]
    unsaid = text.replace("        regions: [eu-west-1, us-east-1]\n", "").replace("{account}", "x")
    assert problems(read, (GOOD, unsaid)) == [
        "5: rollouts.shop.substrate.bucket: each of the accounts needs one of its own: write "
        "{account} in its name"
    ]


def test_targets_that_are_in_no_region_have_none(read: Read) -> None:
    clusters = "substrate: {kind: kubernetes, record: web, kubeconfig: /etc/kubeconfig}"
    text = f"""\
version: 1
defaults: {{soak: 5s, gate: timer}}
rollouts:
  shop:
    {clusters}
    channels:
      - name: one
        regions: [eu-west-1]
        targets: [{{name: one, context: one}}]
"""
    assert problems(read, (GOOD, text)) == [
        "8: rollouts.shop.channels[0].regions: targets of substrate kubernetes are in no region: "
        "remove it"
    ]


def test_waves_and_tolerance_count_a_target_in_each_region(read: Read) -> None:
    assert places(read(("name: dev\n", "name: dev\n        max_failed: 1\n")))["dev"] != []
    found = problems(read, ("name: small\n", "name: small\n        max_failed: 1\n"))
    assert found == [
        "11: rollouts.shop.channels[1].max_failed: 1 of 1 targets may fail, so no failure would "
        "ever count: tolerate fewer"
    ]


def test_a_region_is_retired_as_a_whole_but_not_while_a_channel_has_it(read: Read) -> None:
    inventory = '    inventory: {kind: organizations, account: "999999999999"}\n'
    assert read((inventory, inventory + "    retired: [ap-south-1]\n")).retired == ("ap-south-1",)
    assert problems(read, (inventory, inventory + "    retired: [us-east-1]\n")) == [
        "7: rollouts.shop.retired[0]: 'us-east-1' is still there (channels[0].targets[0], line "
        "10): remove one of the two"
    ]
