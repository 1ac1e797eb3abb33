"""From an inventory's answer to explicit targets: what it finds, and every doubt that stops it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from phased_rollout.model.definition import AdapterSpec, Channel, Inventory, Target, Waves
from phased_rollout.model.found import Found
from phased_rollout.model.selection import Hold, Select, Unlisted
from phased_rollout.model.targets import Resolution, resolve
from tests.builders import a_channel, a_definition

INVENTORY = Inventory(AdapterSpec("organizations"), address={"region": "eu-central-1"})


def an_account(number: int, *, ou: str = "Prod", **kwargs: Any) -> Found:
    return Found(f"team-{number:012d}", {"account": f"{number:012d}"}, ou=(ou,), **kwargs)


def selecting(name: str, *, named: int = 0, **select: Any) -> Channel:
    kwargs = {key: select.pop(key) for key in ("max_failed", "waves") if key in select}
    return replace(a_channel(name, targets=named, **kwargs), select=Select(**select))


def resolved(
    *channels: Channel, found: list[Found], retired: tuple[str, ...] = (), **inventory: Any
) -> Resolution:
    source = replace(INVENTORY, **inventory)
    return resolve(a_definition(*channels, inventory=source, retired=retired), found)


def problems(*channels: Channel, found: list[Found], **kwargs: Any) -> list[str]:
    return list(resolved(*channels, found=found, **kwargs).problems)


def names(resolution: Resolution) -> dict[str, list[str]]:
    assert resolution.definition is not None
    assert resolution.problems == ()
    return {c.name: [t.name for t in c.targets] for c in resolution.definition.channels}


def test_selected_targets_join_those_that_are_named_by_name_whatever_the_order() -> None:
    found = [an_account(n) for n in (9, 5, 1)]
    whole = resolved(a_channel("test", targets=1), selecting("prod", ou=("Prod",)),
                     found=[*found[:2], an_account(1, ou="Test")])  # fmt: skip
    assert names(whole) == {"test": ["test-1"], "prod": ["team-000000000005", "team-000000000009"]}
    assert whole.definition is not None
    assert whole.definition.channels[1].targets[0] == Target(
        "team-000000000005", {"account": "000000000005", "region": "eu-central-1"}
    )
    assert whole.definition.channels[1].select is None


def test_ou_and_labels_must_both_be_met_and_any_of_the_ous_will_do() -> None:
    found = [
        an_account(1, labels={"tier": "a", "more": "x"}),
        an_account(2, ou="Web", labels={"tier": "a"}),
        an_account(3, labels={"tier": "b"}),
        an_account(4, ou="Test", labels={"tier": "a"}),
    ]
    select = selecting("prod", ou=("Prod", "Web"), labels={"tier": "a"})
    assert names(resolved(select, found=found)) == {"prod": [found[0].name, found[1].name]}


def test_an_empty_answer_is_an_error_and_never_means_that_nothing_is_left() -> None:
    for channel in (a_channel("prod"), selecting("prod", ou=("Prod",))):
        assert resolved(channel, found=[]) == Resolution(
            None,
            (
                "inventory organizations: knows no target at all: that is never taken to mean "
                "that none is left; mend it",
            ),
        )


def test_a_selector_that_matches_nothing_stops_the_plan() -> None:
    assert problems(selecting("prod", labels={"tier": "prdo"}), found=[an_account(1)]) == [
        "prod: select (tier=prdo, at least 1) matches nothing of the 1 that inventory "
        "organizations knows: correct the selector or the inventory"
    ]


def test_a_misspelt_ou_stops_the_plan_even_beside_one_that_matches() -> None:
    assert problems(selecting("prod", ou=("Prod", "Wbe")), found=[an_account(1)]) == [
        "prod: no target is in ou 'Wbe': correct it"
    ]
    assert problems(selecting("prod", ou=("Prod", "Web1")), found=[
        an_account(1), an_account(2, ou="Web2")
    ]) == ["prod: no target is in ou 'Web1', did you mean 'Web2'?"]  # fmt: skip


def test_fewer_than_at_least_stop_the_plan_and_suspended_ones_do_not_count() -> None:
    found = [an_account(1), an_account(2), an_account(3, state="SUSPENDED")]
    channel = selecting("prod", ou=("Prod",), at_least=3)
    assert problems(channel, found=found) == [
        "prod: select (ou Prod, at least 3) matches 2 active targets of the 3 that inventory "
        "organizations knows: correct the selector or the inventory"
    ]
    found[2] = an_account(3)
    assert problems(channel, found=found) == []


@pytest.mark.parametrize("state", ["SUSPENDED", "PENDING_CLOSURE", "CLOSED"])
def test_a_configured_account_that_is_not_active_stops_the_plan(state: str) -> None:
    assert problems(a_channel("prod", targets=1), found=[an_account(1, state=state)]) == [
        f"prod: prod-1 (000000000001 eu-central-1) is {state}: put it on hold, or name it under "
        "retired: instead of here"
    ]


def test_a_configured_account_that_is_unknown_stops_the_plan() -> None:
    assert problems(a_channel("prod", targets=2), found=[an_account(1)]) == [
        "prod: prod-2 (000000000002 eu-central-1) is configured, but inventory organizations does "
        "not know it: correct its address, or name it under retired: instead of here"
    ]


def test_a_selected_account_that_is_not_active_is_left_out_and_said() -> None:
    resolution = resolved(
        selecting("prod", ou=("Prod",)), found=[an_account(1), an_account(2, state="SUSPENDED")]
    )
    assert names(resolution) == {"prod": ["team-000000000001"]}
    assert resolution.notes == (
        "prod: left out, because not active: team-000000000002 is SUSPENDED",
    )


HOLD = Hold("migration", date(2026, 12, 1))


@pytest.mark.parametrize("state", ["ACTIVE", "SUSPENDED"])
def test_a_selected_account_on_hold_is_left_out_but_still_there(state: str) -> None:
    found = [an_account(1), an_account(2, state=state)]
    channel = selecting("prod", ou=("Prod",), hold={"team-000000000002": HOLD})
    resolution = resolved(channel, found=found)
    assert names(resolution) == {"prod": ["team-000000000001"]}
    assert resolution.definition is not None
    (held,) = resolution.definition.channels[0].on_hold
    assert (held.name, held.hold) == ("team-000000000002", HOLD)


def test_a_hold_of_what_is_not_selected_or_of_everything_stops_the_plan() -> None:
    hold = {"team-000000000001": HOLD, "team-000000000009": HOLD}
    channel = selecting("prod", ou=("Prod",), hold=hold)
    assert problems(channel, found=[an_account(1)]) == [
        "prod: team-000000000009 is on hold, but the selector does not match it: correct the "
        "name, or remove the hold",
        "prod: every target is on hold, which is a channel of nothing: end a hold",
    ]


def test_an_account_twice_in_the_answer_stops_the_plan() -> None:
    assert problems(selecting("prod", ou=("Prod",)), found=[an_account(1), an_account(1)]) == [
        "the inventory has the name team-000000000001 2 times",
        "the inventory has 000000000001 2 times: team-000000000001, team-000000000001",
    ]


def test_an_account_that_two_channels_select_stops_the_plan() -> None:
    channels = selecting("test", ou=("Prod",)), selecting("prod", ou=("Prod",))
    assert problems(*channels, found=[an_account(1)]) == [
        "team-000000000001 is selected by test and selected by prod: a target is in one channel, "
        "once"
    ]


@pytest.mark.parametrize("channel", ["test", "prod"])
def test_an_account_in_a_list_and_a_selector_stops_the_plan(channel: str) -> None:
    channels = [a_channel("test", targets=1), selecting("prod", ou=("Prod",))]
    if channel == "prod":
        channels = [selecting("prod", named=1, ou=("Prod",))]
    found = [an_account(1), an_account(2)]
    assert problems(*channels, found=found) == [
        f"team-000000000001 is named in {channel} and selected by prod: a target is in one "
        "channel, once"
    ]


def test_a_name_that_two_targets_would_have_stops_the_plan() -> None:
    found = [an_account(1), replace(an_account(2), name="test-1")]
    found[0] = replace(found[0], ou=("Test",))
    channels = a_channel("test", targets=1), selecting("prod", ou=("Prod",))
    assert problems(*channels, found=found) == [
        "test-1 is the name of 2 targets: rename the one that the file names"
    ]


def test_an_active_account_in_no_channel_warns_or_blocks() -> None:
    found = [an_account(1), an_account(8), an_account(9, state="SUSPENDED")]
    what = "1 active targets are in no channel: team-000000000008"
    warned = resolved(a_channel("prod", targets=1), found=found)
    assert (warned.problems, warned.notes) == ((), (f"WARNING: {what}",))
    blocked = resolved(a_channel("prod", targets=1), found=found, unlisted=Unlisted.BLOCK)
    assert blocked.problems == (f"{what}: give each a channel, or name it under inventory.outside",)


def test_an_account_that_is_meant_to_be_outside_is_no_surprise_but_may_not_be_inside() -> None:
    kwargs: dict[str, Any] = {"unlisted": Unlisted.BLOCK, "outside": ("000000000008",)}
    found = [an_account(1), an_account(8, ou="Management")]
    assert problems(selecting("prod", ou=("Prod",)), found=found, **kwargs) == []
    assert problems(selecting("prod", ou=("Prod", "Management")), found=found, **kwargs) == [
        "team-000000000008 is selected by prod, but under outside: remove one"
    ]


def test_a_retired_target_that_a_selector_still_finds_stops_the_plan() -> None:
    retired = ("team-000000000001",)
    found = [an_account(1), an_account(2)]
    assert problems(selecting("prod", ou=("Prod",)), found=found, retired=retired) == [
        "team-000000000001 is retired, but a channel still has it: take it out of its list or "
        "selector, or out of retired:"
    ]
    found[0] = an_account(1, state="CLOSED")
    assert problems(selecting("prod", ou=("Prod",)), found=found, retired=retired) == []


def test_a_tolerance_or_a_number_of_waves_that_cannot_work_stops_the_plan() -> None:
    found = [an_account(n) for n in range(1, 1026)]
    assert problems(selecting("prod", ou=("Prod",), max_failed=1025), found=found) == [
        "prod: 1025 waves, but Airflow maps at most 1024: raise waves.size to 2 or more",
        "prod: 1025 of 1025 targets may fail, so no failure would ever count: lower max_failed",
    ]
    assert problems(selecting("prod", ou=("Prod",), waves=Waves(size=2)), found=found) == []


def test_one_account_may_be_named_in_several_regions() -> None:
    account = {"account": "000000000001"}
    targets = tuple(Target(r, {**account, "region": r}) for r in ("eu-west-1", "us-east-1"))
    channel = replace(a_channel("prod"), targets=targets)
    assert problems(channel, found=[an_account(1)]) == []


def test_all_problems_are_told_at_once() -> None:
    channels = a_channel("test", targets=2), selecting("prod", ou=("Web",))
    assert len(problems(*channels, found=[an_account(1, state="CLOSED")])) == 4
