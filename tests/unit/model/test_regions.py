"""What an inventory finds, times regions: the guards count and compare the product."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from phased_rollout.model.definition import AdapterSpec, Channel, Inventory, Target
from phased_rollout.model.found import Found
from phased_rollout.model.selection import Hold, Select, Unlisted
from phased_rollout.model.target_guard import compare
from phased_rollout.model.targets import Resolution, resolve
from tests.builders import a_definition

WEST, EAST = "eu-west-1", "us-east-1"
SOAK = timedelta(seconds=1)


def account(name: str, **kwargs: Any) -> Found:
    return Found(name, {"account": name * 4}, ou=("Prod",), **kwargs)


ACCOUNTS = [account("aaa"), account("bbb")]


def selecting(name: str, *regions: str, **select: Any) -> Channel:
    return Channel(name, (), soak=SOAK, select=Select(ou=("Prod",), regions=regions, **select))


def resolved(
    *channels: Channel, found: list[Found] = ACCOUNTS, retired: tuple[str, ...] = (), **of: Any
) -> Resolution:
    inventory = Inventory(AdapterSpec("organizations"), **of)
    return resolve(a_definition(*channels, inventory=inventory, retired=retired), found)


def names(resolution: Resolution) -> list[list[str]]:
    assert resolution.problems == ()
    assert resolution.definition is not None
    return [[target.name for target in c.targets] for c in resolution.definition.channels]


def test_what_is_selected_is_a_target_in_each_region() -> None:
    whole = resolved(selecting("all", WEST, EAST))
    assert names(whole) == [
        ["aaa-eu-west-1", "aaa-us-east-1", "bbb-eu-west-1", "bbb-us-east-1"],
    ]
    assert whole.definition is not None
    assert whole.definition.channels[0].targets[1] == Target(
        "aaa-us-east-1", {"account": "aaa" * 4, "region": EAST}
    )


def test_an_account_may_be_in_two_channels_in_two_regions() -> None:
    assert names(resolved(selecting("small", WEST), selecting("all", EAST))) == [
        ["aaa-eu-west-1", "bbb-eu-west-1"],
        ["aaa-us-east-1", "bbb-us-east-1"],
    ]


def test_an_account_is_in_one_channel_in_each_region_however_it_got_there() -> None:
    named = Channel("dev", (Target("other", {"account": "aaa" * 4, "region": EAST}),), soak=SOAK)
    assert resolved(named, selecting("all", WEST, EAST)).problems == (
        "aaa in us-east-1 is named in dev and selected by all: a target is in one channel, once",
    )
    assert resolved(selecting("small", WEST), selecting("all", WEST, EAST)).problems == (
        "aaa in eu-west-1 is selected by small and selected by all: a target is in one channel, "
        "once",
        "bbb in eu-west-1 is selected by small and selected by all: a target is in one channel, "
        "once",
    )
    default = resolved(selecting("small"), selecting("all", WEST), address={"region": WEST})
    assert default.problems == (
        "aaa is selected by small and selected by all: a target is in one channel, once",
        "bbb is selected by small and selected by all: a target is in one channel, once",
    )


def test_what_the_inventory_has_in_a_region_is_selected_there_only() -> None:
    found = [
        Found(f"shop-{r}", {"account": "1" * 12, "region": r}, ou=("Prod",)) for r in (WEST, EAST)
    ]
    whole = resolved(selecting("small", WEST), found=found)
    assert names(whole) == [["shop-eu-west-1"]]
    assert whole.notes == (
        "WARNING: 1 active targets are in no channel: shop-us-east-1 (111111111111)",
    )
    assert names(resolved(selecting("all"), found=found)) == [["shop-eu-west-1", "shop-us-east-1"]]


def test_at_least_counts_targets_not_accounts() -> None:
    assert resolved(selecting("all", WEST, EAST, at_least=4)).problems == ()
    (problem,) = resolved(selecting("all", WEST, EAST, at_least=5)).problems
    assert problem == (
        "all: select (ou Prod, in eu-west-1 and us-east-1, at least 5) matches 4 active targets of "
        "the 2 that inventory organizations knows: correct the selector or the inventory"
    )


def test_a_suspended_account_is_left_out_in_each_region_and_stops_the_plan_where_named() -> None:
    found = [account("aaa", state="SUSPENDED"), account("bbb")]
    whole = resolved(selecting("all", WEST, EAST), found=found)
    assert names(whole) == [["bbb-eu-west-1", "bbb-us-east-1"]]
    assert whole.notes == (
        "all: left out, because not active: aaa-eu-west-1 (aaaaaaaaaaaa) is SUSPENDED, "
        "aaa-us-east-1 (aaaaaaaaaaaa) is SUSPENDED",
    )
    named = Channel("dev", (Target("a-1", {"account": "aaa" * 4, "region": EAST}),), soak=SOAK)
    assert "a-1 (aaaaaaaaaaaa us-east-1) is SUSPENDED" in resolved(named, found=found).problems[0]


def test_a_hold_is_for_an_account_in_all_regions_or_in_one() -> None:
    hold = Hold("move", date(2027, 1, 1))
    whole = resolved(selecting("all", WEST, EAST, hold={"aaa": hold, "bbb-us-east-1": hold}))
    assert names(whole) == [["bbb-eu-west-1"]]
    assert whole.definition is not None
    on_hold = [target.name for target in whole.definition.channels[0].on_hold]
    assert on_hold == ["aaa-eu-west-1", "aaa-us-east-1", "bbb-us-east-1"]
    assert resolved(selecting("all", WEST, hold={"aaa-us-east-1": hold})).problems == (
        "all: aaa-us-east-1 is on hold, but the selector does not match it: correct the name, or "
        "remove the hold",
    )


def test_an_account_that_is_in_no_channel_in_any_region_is_told_once() -> None:
    found = [*ACCOUNTS, replace(account("ccc"), ou=("Lab",))]
    (problem,) = resolved(
        selecting("all", WEST, EAST), found=found, unlisted=Unlisted.BLOCK
    ).problems
    assert problem.startswith("1 active targets are in no channel: ccc (cccccccccccc):")


def test_a_region_that_disappears_stops_the_plan_unless_it_is_retired() -> None:
    last, now = resolved(selecting("all", WEST, EAST)), resolved(selecting("all", WEST))
    assert last.definition is not None
    assert now.definition is not None
    assert compare(last.definition, now.definition).stops == (
        "2 targets of the last graduated plan have disappeared: aaa-us-east-1, bbb-us-east-1: "
        "bring them back, or name each under retired: if it is meant to be gone",
    )
    without = replace(now.definition, retired=(EAST,))
    assert compare(last.definition, without).stops == ()
    assert compare(last.definition, without).notes == (
        "retired since then: aaa-us-east-1, bbb-us-east-1",
    )


def test_an_account_is_retired_as_a_whole() -> None:
    last = resolved(selecting("all", WEST, EAST)).definition
    now = resolved(selecting("all", WEST, EAST), found=ACCOUNTS[:1], retired=("bbb" * 4,))
    assert last is not None
    assert now.problems == ()
    assert now.definition is not None
    assert compare(last, now.definition).stops == ()


def test_what_is_retired_may_not_be_in_a_channel_any_more() -> None:
    found = resolved(selecting("all", WEST, EAST), retired=(EAST, "aaa" * 4)).problems
    assert [problem.partition(",")[0] for problem in found] == [
        "us-east-1 is retired",
        "aaaaaaaaaaaa is retired",
    ]
