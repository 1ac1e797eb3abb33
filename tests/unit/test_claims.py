"""Claims: whoever is faster, never more targets are started than may fail."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier

import pytest

from phased_rollout.claims import has_room, is_claimed
from phased_rollout.model.ledger import Kind
from phased_rollout.records import RolloutRecords
from tests.builders import a_channel
from tests.unit.conftest import begin

CHANNEL = "playground"


@pytest.fixture
def records(store: Path) -> RolloutRecords:
    found = begin(a_channel(CHANNEL, targets=12))
    enter(found)
    return found


def enter(records: RolloutRecords) -> None:
    records.add(Kind.ENTERED, at=datetime.now(UTC), channel=CHANNEL)


def claims(records: RolloutRecords, name: str, *, tolerance: int = 0) -> bool:
    at = datetime.now(UTC)
    return is_claimed(records, channel=CHANNEL, target=name, tolerance=tolerance, at=at)


def happened(records: RolloutRecords, kind: Kind, name: str) -> None:
    records.add(kind, at=datetime.now(UTC), channel=CHANNEL, target=name)


@pytest.mark.parametrize("tolerance", [0, 1, 4])
def test_of_many_that_start_at_the_same_moment_only_as_many_as_may_fail_are_let_in(
    records: RolloutRecords, tolerance: int
) -> None:
    names = [f"playground-{n}" for n in range(1, 13)]
    begun = Barrier(len(names))

    def start(name: str) -> bool:
        begun.wait()
        return claims(records, name, tolerance=tolerance)

    with ThreadPoolExecutor(len(names)) as pool:
        assert sum(pool.map(start, names)) == tolerance + 1


def test_a_claim_is_kept_until_its_target_is_verified(records: RolloutRecords) -> None:
    assert claims(records, "playground-1")
    assert claims(records, "playground-1")
    assert not claims(records, "playground-2")
    happened(records, Kind.VERIFIED, "playground-1")
    assert claims(records, "playground-2")
    assert not claims(records, "playground-3")


def test_a_target_that_failed_keeps_its_claim(records: RolloutRecords) -> None:
    assert claims(records, "playground-1", tolerance=1)
    happened(records, Kind.REFUSED, "playground-1")
    happened(records, Kind.EXCEPTED, "playground-1")
    assert claims(records, "playground-2", tolerance=1)
    assert not claims(records, "playground-3", tolerance=1)
    assert not has_room(records, channel=CHANNEL, tolerance=1)


def test_a_channel_that_is_entered_again_starts_with_no_claims(records: RolloutRecords) -> None:
    assert claims(records, "playground-1")
    enter(records)
    assert has_room(records, channel=CHANNEL, tolerance=0)
    assert claims(records, "playground-2")
