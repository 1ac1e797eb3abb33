"""Fleets beyond the contract: waves, budgets, hosts that are gone, replies that are lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from phased_rollout.errors import ChangeError, GuardError, RefusedError, UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Outcome, Progress, TargetState
from phased_rollout.substrates.ssm import FleetSubstrate, attempt, waves
from tests.contract.drive import Guard
from tests.contract.fleets import REGION, FleetsHarness
from tests.contract.harness import await_so

TOKEN, BACK = "fedcba9876543210-1", "fedcba9876543210-9"
NEVER = timedelta(0)


@pytest.fixture(scope="module")
def fleets() -> Iterator[FleetsHarness]:
    made = FleetsHarness()
    yield made
    made.close()


@pytest.fixture
def aws(fleets: FleetsHarness) -> Iterator[Any]:
    yield fleets.aws
    fleets.aws.clear_outcomes()
    fleets.aws.clear_faults()
    fleets.aws.settings(command_lag=0.0)


def driven(substrate: FleetSubstrate, target: Target, step: Any) -> Progress:
    while True:
        progress: Progress = step()
        if progress.outcome is not Outcome.WAITING:
            return progress
        await_so(lambda: substrate.settled(target, token=TOKEN), what="settled")


def apply(
    substrate: FleetSubstrate, target: Target, change: Change, *, token: str = TOKEN
) -> Progress:
    artifact = substrate.render(change, channel="canary", target=target)
    return driven(
        substrate,
        target,
        lambda: substrate.apply(target, artifact, token=token, mutation=Guard()),
    )


def restore(
    substrate: FleetSubstrate, target: Target, before: TargetState, change: Change
) -> Progress:
    applied = substrate.render(change, channel="canary", target=target)
    return driven(
        substrate,
        target,
        lambda: substrate.restore(
            target, before=before, applied=applied, token=BACK, mutation=Guard()
        ),
    )


def sent(fleets: FleetsHarness, target: Target) -> list[dict[str, Any]]:
    """The commands that change hosts, the oldest first."""
    client = fleets.client(target.address["account"])
    pages = client.get_paginator("list_commands").paginate()
    found = [c for page in pages for c in page["Commands"] if " wave " in c["Comment"]]
    return list(reversed(found))


def files_of(fleets: FleetsHarness, target: Target) -> dict[str, dict[str, str]]:
    account = target.address["account"]
    return {h["id"]: h["files"] for h in fleets.aws.known_hosts() if h["account"] == account}


# the plan


def test_the_members_of_a_slice_are_all_hosts_with_its_tags(fleets: FleetsHarness) -> None:
    target = fleets.target(hosts=60)
    fleets.add(target.address["account"], "i-090", tags={"fleet": "another"})
    fleets.add(target.address["account"], "i-002", ping="ConnectionLost")
    assert fleets.substrate().members(target) == tuple(f"i-{n:03d}" for n in range(1, 61))


def test_a_slice_without_hosts_stops_the_plan(fleets: FleetsHarness) -> None:
    nowhere = Target("none", {"account": "399999999999", "region": REGION, "tag:fleet": "app"})
    with pytest.raises(RefusedError, match="none: no host has tag:fleet=app"):
        fleets.substrate().members(nowhere)
    with pytest.raises(GuardError, match="its plan has to find them"):
        fleets.substrate().read(nowhere)


def test_a_slice_of_which_half_may_fail_stops_the_plan(fleets: FleetsHarness) -> None:
    with pytest.raises(RefusedError, match="1 of 2 hosts may fail"):
        fleets.substrate(max_failed_hosts="1").members(fleets.target())


# waves and budgets


def test_the_first_command_goes_alone_and_none_to_more_than_50_hosts(
    fleets: FleetsHarness, aws: Any
) -> None:
    target, substrate = fleets.target(hosts=120), fleets.substrate(hosts_at_once=50)
    artifact = substrate.render(fleets.change("first"), channel="canary", target=target)
    with aws.with_settings(page_size=30):
        substrate.apply(target, artifact, token=TOKEN, mutation=Guard())
        assert len(sent(fleets, target)) == 1
        assert apply(substrate, target, fleets.change("first")).outcome is Outcome.DONE
    commands = sent(fleets, target)
    assert [len(c["InstanceIds"]) for c in commands] == [50, 50, 20]
    assert [c["Comment"].partition(TOKEN)[2][-6:] for c in commands] == [
        "wave 0",
        "wave 1",
        "wave 2",
    ]
    assert all(len(c["Comment"]) <= 100 for c in commands)
    assert fleets.shown(target) == ("first", False)


def test_beyond_the_budget_nothing_more_is_sent_and_hosts_are_named_with_what_they_said(
    fleets: FleetsHarness, aws: Any
) -> None:
    target, substrate = fleets.target(hosts=120), fleets.substrate(max_failed_hosts="1%")
    account = target.address["account"]
    for host in ("i-003", "i-004"):
        aws.host_outcome("Failed", account=account, instance=host, output="disk full", document="C")
    with pytest.raises(RefusedError, match=r"failed on 2, .* at most 1 .*i-003 \(Failed: disk ful"):
        apply(substrate, target, fleets.change("first"))
    assert len(sent(fleets, target)) == 1
    with pytest.raises(RefusedError, match="failed on 2"):
        apply(substrate, target, fleets.change("first"))
    assert len(sent(fleets, target)) == 1


def test_within_the_budget_a_host_may_fail_and_is_told_of(fleets: FleetsHarness, aws: Any) -> None:
    target, substrate = fleets.target(hosts=10), fleets.substrate(max_failed_hosts="1")
    aws.host_outcome(
        "ExecutionTimedOut", account=target.address["account"], instance="i-003", document="Con"
    )
    done = apply(substrate, target, fleets.change("first"))
    assert done.outcome is Outcome.DONE
    assert "but for i-003 (ExecutionTimedOut)" in done.reason
    artifact = substrate.render(fleets.change("first"), channel="canary", target=target)
    state = substrate.verify(target, artifact)
    assert state.healthy
    assert "1 report nothing" in state.detail


def test_a_target_half_of_which_runs_the_change_gets_it_on_the_other_half_only(
    fleets: FleetsHarness,
) -> None:
    target, substrate = fleets.target(hosts=4), fleets.substrate()
    apply(substrate, replace(target, members=target.members[:2]), fleets.change("first"))
    assert apply(substrate, target, fleets.change("first"), token="f-2").outcome is Outcome.DONE
    assert [c["InstanceIds"] for c in sent(fleets, target)] == [
        ["i-001", "i-002"],
        ["i-003", "i-004"],
    ]


# hosts that do not answer, are gone, or new


@pytest.mark.parametrize("gone", [True, False])
def test_hosts_that_cannot_be_reached_hold_the_rollout_beyond_the_budget(
    fleets: FleetsHarness, *, gone: bool
) -> None:
    target = fleets.target(hosts=10)
    account = target.address["account"]
    if gone:
        fleets.aws.lose_host(account, REGION, "i-004")
    else:
        fleets.add(account, "i-004", ping="ConnectionLost")
    why = "gone, or without its tags" if gone else "ConnectionLost"
    for substrate in (fleets.substrate(), fleets.substrate(max_failed_hosts="9%")):
        with pytest.raises(UnreachableError, match=rf"at most 0 may fail: i-004 \({why}\)"):
            apply(substrate, target, fleets.change("first"))
    done = apply(fleets.substrate(max_failed_hosts="1"), target, fleets.change("first"))
    assert f"but for i-004 ({why})" in done.reason
    assert "i-004" not in sent(fleets, target)[0]["InstanceIds"]


def test_a_host_that_joined_since_the_plan_is_named_and_left_alone(fleets: FleetsHarness) -> None:
    target, substrate = fleets.target(), fleets.substrate()
    fleets.add(target.address["account"], "i-777")
    artifact = substrate.render(fleets.change("first"), channel="canary", target=target)
    notes = substrate.preview(target, artifact, token=TOKEN).notes
    assert notes[-1] == "new since the plan, and left out: i-777"
    apply(substrate, target, fleets.change("first"))
    assert files_of(fleets, target)["i-777"] == {}


def test_what_was_not_delivered_holds_and_is_sent_again_later(
    fleets: FleetsHarness, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, substrate = fleets.target(), fleets.substrate()
    account = target.address["account"]
    aws.host_outcome("DeliveryTimedOut", account=account, instance="i-002", document="Contract")
    for _ in range(2):
        with pytest.raises(UnreachableError, match=r"i-002 \(DeliveryTimedOut\)"):
            apply(substrate, target, fleets.change("first"))
    assert len(sent(fleets, target)) == 1
    aws.clear_outcomes()
    monkeypatch.setattr(waves, "AGAIN", NEVER)
    assert apply(substrate, target, fleets.change("first")).outcome is Outcome.DONE
    assert [c["InstanceIds"] for c in sent(fleets, target)] == [["i-001", "i-002"], ["i-002"]]


def test_a_report_that_fails_is_a_host_that_does_not_answer(
    fleets: FleetsHarness, aws: Any
) -> None:
    target = fleets.target()
    aws.host_outcome(
        "Failed", account=target.address["account"], output="cat: /mark", document="RunShell"
    )
    with pytest.raises(UnreachableError, match=r"i-001 \(its report: Failed: cat: /mark\)"):
        fleets.substrate().read(target)


# lost replies


def test_a_command_that_no_list_shows_yet_is_not_sent_again(
    fleets: FleetsHarness, aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, substrate = fleets.target(), fleets.substrate()
    monkeypatch.setattr(attempt.Attempt, "sent", lambda *_: {})
    aws.fault("lost_reply", account=target.address["account"], operation="SendCommand", skip=1)
    with pytest.raises(UnreachableError, match="the reply was lost"):
        apply(substrate, target, fleets.change("first"))
    assert not substrate.settled(target, token=TOKEN)
    with pytest.raises(UnreachableError, match="whether wave 0 was sent cannot be told: no list"):
        apply(substrate, target, fleets.change("first"))
    monkeypatch.undo()
    assert apply(substrate, target, fleets.change("first")).outcome is Outcome.DONE
    assert len(sent(fleets, target)) == 1


@pytest.mark.parametrize("kind", ["reset", "lost_reply"])
def test_what_was_never_listed_is_sent_only_to_hosts_that_do_not_report_it(
    fleets: FleetsHarness,
    aws: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    target, substrate = fleets.target(), fleets.substrate()
    listed = attempt.Attempt.sent
    monkeypatch.setattr(attempt.Attempt, "sent", lambda *_: {})
    aws.fault(kind, account=target.address["account"], operation="SendCommand", skip=1)
    with pytest.raises(UnreachableError, match="the reply was lost"):
        apply(substrate, target, fleets.change("first"))
    monkeypatch.setattr(attempt, "LAG", NEVER)
    if kind == "reset":  # it never arrived
        monkeypatch.setattr(attempt.Attempt, "sent", listed)
    assert apply(substrate, target, fleets.change("first")).outcome is Outcome.DONE
    assert len(sent(fleets, target)) == 1
    assert fleets.shown(target) == ("first", False)


# the way back


def test_hosts_that_ran_different_things_each_get_back_their_own(fleets: FleetsHarness) -> None:
    target, substrate = fleets.target(hosts=3), fleets.substrate()
    apply(substrate, replace(target, members=("i-001",)), fleets.change("first"))
    apply(substrate, replace(target, members=("i-002",)), fleets.change("second"))
    before = substrate.read(target)
    assert not before.healthy
    assert before.digest not in {
        substrate.render(fleets.change(v), channel="canary", target=target).digest
        for v in ("first", "second")
    }
    apply(substrate, target, fleets.change("third", extra=True))
    assert restore(substrate, target, before, fleets.change("third", extra=True)).outcome is (
        Outcome.DONE
    )
    found = files_of(fleets, target)
    assert [found[h].get("/shown") for h in target.members] == ["first\n", "second\n", None]
    assert substrate.read(target) == before


def test_one_host_that_somebody_else_changed_is_left_alone_and_the_others_are_restored(
    fleets: FleetsHarness,
) -> None:
    target, substrate = fleets.target(), fleets.substrate()
    apply(substrate, target, fleets.change("first"))
    before = substrate.read(target)
    apply(substrate, target, fleets.change("second"), token="fedcba9876543210-2")
    fleets.by_hand(replace(target, members=("i-002",)), "theirs")
    done = restore(substrate, target, before, fleets.change("second"))
    assert done.outcome is Outcome.LEFT_ALONE
    assert "i-002 (reports 'theirs')" in done.reason
    found = files_of(fleets, target)
    assert (found["i-001"]["/shown"], found["i-002"]["/shown"]) == ("first\n", "theirs\n")


def test_what_cannot_be_brought_back_is_told_before_and_named_afterwards(
    fleets: FleetsHarness,
) -> None:
    target, substrate = fleets.target(), fleets.substrate()
    fleets.by_hand(replace(target, members=("i-002",)), "web-1.2")
    text = fleets.change("first").files["command.yaml"].partition("remove:")[0]
    change = Change("first", {"command.yaml": text})
    artifact = substrate.render(change, channel="canary", target=target)
    assert [line.partition(":")[0] for line in substrate.preview(
        target, artifact, token=TOKEN
    ).irreversible] == ["hosts that report nothing", "hosts that report 'web-1.2'"]  # fmt: skip
    before = substrate.read(target)
    apply(substrate, target, change)
    with pytest.raises(RefusedError, match=r"2 hosts run the change still.*reported 'web-1.2'"):
        restore(substrate, target, before, change)


def test_a_restore_waits_for_what_is_under_way(fleets: FleetsHarness, aws: Any) -> None:
    target, substrate = fleets.target(), fleets.substrate()
    apply(substrate, target, fleets.change("first"))
    before, change = substrate.read(target), fleets.change("second")
    artifact = substrate.render(change, channel="canary", target=target)
    token = "fedcba9876543210-2"
    with aws.with_settings(slow={target.address["account"]: 0.8}):
        assert (
            substrate.apply(target, artifact, token=token, mutation=Guard()).outcome
            is Outcome.WAITING
        )
        assert not substrate.settled(target, token=BACK)
        waits = substrate.restore(
            target, before=before, applied=artifact, token=BACK, mutation=Guard()
        )
        assert waits.outcome is Outcome.WAITING
        other = substrate.restore(
            target, before=before, applied=artifact, token="0-1", mutation=Guard()
        )
        assert other.outcome is Outcome.LEFT_ALONE
    assert restore(substrate, target, before, change).outcome is Outcome.DONE
    assert fleets.shown(target) == ("first", False)


# changes


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('version: "1"', "version: $LATEST", r"command.yaml:2: version: \$LATEST is no version"),
        ("{rollout.digest}", "here", r"no parameter holds \{rollout.digest\}"),
        ("document: Con", "documnet: Con", "command.yaml:1: documnet: unknown key, did you mean"),
        ("remove:", "removal:", "command.yaml:4: removal: unknown key, did you mean 'remove'"),
        ('"Shown"', '"Sho-wn"', "command.yaml:3: .*cannot name a parameter"),
    ],
)
def test_a_bad_command_is_told_with_its_line(
    fleets: FleetsHarness, old: str, new: str, said: str
) -> None:
    text = fleets.change("first").files["command.yaml"]
    assert old in text
    change = Change("bad", {"command.yaml": text.replace(old, new, 1)})
    with pytest.raises(ChangeError, match=said):
        fleets.substrate().render(change, channel="canary", target=Target("x", {}))


def test_a_change_is_one_command_without_parameters_of_change_yaml(fleets: FleetsHarness) -> None:
    change = fleets.change("first")
    odd = replace(change, files={**change.files, "deploy.sh": "x"}, parameters={"A": "b"})
    with pytest.raises(ChangeError, match=r"(?s)take no parameters.*deploy.sh: unknown file"):
        fleets.substrate().render(odd, channel="canary", target=Target("x", {}))
    with pytest.raises(ChangeError, match=r"found no command\.yaml"):
        fleets.substrate().render(Change("none", {}), channel="canary", target=Target("x", {}))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Contract-Deploy", "Contract-Typo", "document does not exist"),
        ('version: "1"\nparameters: {"S', 'version: "7"\nparameters: {"S', "document"),
        ('"Mark"', '"Extra"', "needs Mark: set it"),
        ('"Mark"', '"Marc"', "takes no parameter Marc: it takes Extra, Mark, Shown"),
    ],
)
def test_a_document_that_is_not_there_or_wants_others_is_refused_in_the_preview(
    fleets: FleetsHarness, old: str, new: str, said: str
) -> None:
    target, substrate = fleets.target(), fleets.substrate()
    text = fleets.change("first").files["command.yaml"]
    assert old in text
    change = Change("bad", {"command.yaml": text.replace(old, new, 1)})
    artifact = substrate.render(change, channel="canary", target=target)
    with pytest.raises(RefusedError, match=said):
        substrate.preview(target, artifact, token=TOKEN)


def test_ten_thousand_hosts_are_one_target_of_a_plan(fleets: FleetsHarness) -> None:
    target = replace(fleets.target(), members=tuple(f"i-{n:017x}" for n in range(10_000)))
    substrate = fleets.substrate(max_failed_hosts="5%")
    artifact = substrate.render(fleets.change("first"), channel="main", target=target)
    with pytest.raises(UnreachableError, match=r"10000 hosts do not say .* at most 500 may fail"):
        substrate.apply(target, artifact, token=TOKEN, mutation=Guard())
