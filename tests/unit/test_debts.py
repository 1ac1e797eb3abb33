"""Debts: a bypass is owed until a full rollout of the same change makes it good."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from phased_rollout.debts import Debt, made_good_by, owe, owed, pay
from phased_rollout.errors import GuardError
from phased_rollout.model.bypass import NO_BYPASS, Bypass, BypassTier
from phased_rollout.model.ledger import Kind
from phased_rollout.records import RolloutRecords
from tests.builders import START, a_plan
from tests.unit.conftest import begin

URGENT = Bypass(BypassTier.SKIP_CHANNELS, ("test",), "CVE-2026-1", "alice")


@pytest.fixture
def records(store: Path) -> RolloutRecords:
    found = begin(bypass=URGENT)
    found.add(Kind.AUTHORIZED, at=START, user="bob")
    return found


def test_a_bypass_is_owed_once_with_all_that_matters(records: RolloutRecords) -> None:
    owe(records, records.plan(), at=START)
    owe(records, records.plan(), at=START + timedelta(hours=1))
    assert owed(records) == [
        Debt(
            run="manual__1",
            change="c" * 64,
            change_name="change",
            tier="skip_channels",
            left_out="bypasses test",
            reason="CVE-2026-1",
            requested_by="alice",
            authorized_by="bob",
            at="2026-01-05T12:00:00+00:00",
            due="2026-01-12T12:00:00+00:00",
        )
    ]


def test_a_run_without_a_bypass_owes_nothing(records: RolloutRecords) -> None:
    owe(records, a_plan(bypass=NO_BYPASS), at=START)
    assert owed(records) == []


def test_what_was_made_good_is_owed_no_more(records: RolloutRecords) -> None:
    owe(records, records.plan(), at=START)
    pay(records, ["another"], at=START)
    assert len(owed(records)) == 1
    pay(records, ["manual__1"], at=START)
    pay(records, ["manual__1"], at=START)
    assert owed(records) == []


def test_a_debt_blocks_another_change_and_says_what_to_do(records: RolloutRecords) -> None:
    owe(records, records.plan(), at=START)
    with pytest.raises(GuardError) as refused:
        made_good_by(owed(records), change="d" * 64, tier=BypassTier.NONE)
    assert str(refused.value) == (
        "a bypass is owed: manual__1 of change (cccccccccccc): bypasses test, asked for by alice: "
        "CVE-2026-1; due 2026-01-12T12:00 UTC. Roll that change out in full first: it is soaked "
        "and judged, targets that run it are left as they are. What cannot wait needs a bypass of "
        "its own"
    )


def test_a_full_rollout_of_the_same_change_makes_it_good(records: RolloutRecords) -> None:
    owe(records, records.plan(), at=START)
    debts = owed(records)
    assert made_good_by(debts, change="c" * 64, tier=BypassTier.NONE) == ("manual__1",)
    assert made_good_by(debts, change="c" * 64, tier=BypassTier.SHORTEN_SOAK) == ()


def test_what_cannot_wait_is_let_through_and_adds_to_the_debt(records: RolloutRecords) -> None:
    owe(records, records.plan(), at=START)
    assert made_good_by(owed(records), change="d" * 64, tier=BypassTier.FLEET_WIDE) == ()


def test_the_change_that_was_bypassed_last_pays_for_all(store: Path) -> None:
    one = Debt("r1", "c", "one", "fleet_wide", "all", "urgent", None, None, "", "")
    two = Debt("r2", "d", "two", "fleet_wide", "all", "urgent", None, None, "", "")
    assert made_good_by([one, two], change="d", tier=BypassTier.NONE) == ("r1", "r2")
    with pytest.raises(GuardError):
        made_good_by([one, two], change="c", tier=BypassTier.NONE)
