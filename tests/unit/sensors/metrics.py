"""A channel that soaked for an hour, with metrics of known series."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from phased_rollout.model.definition import AdapterSpec, Channel
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Artifact
from phased_rollout.records import RolloutRecords
from tests.builders import a_channel
from tests.fakes import FakeMetrics, FakeSubstrate

SOAK = timedelta(hours=1)
PERIOD = 300
DECLARED = (AdapterSpec("fake"),)
SECOND = timedelta(seconds=1)


def a_judged_channel(name: str, *, targets: int = 3, **kwargs: Any) -> Channel:
    """Build a channel whose metrics are judged."""
    found = a_channel(name, targets=targets, gate=kwargs.pop("gate", "health"), **kwargs)
    return replace(found, soak=SOAK, signals=DECLARED)


def soaked(
    records: RolloutRecords,
    substrate: FakeSubstrate,
    channel: str,
    *,
    ended: timedelta = timedelta(seconds=1),
    targets: int = 3,
) -> datetime:
    """Record that a channel was applied; gives when its soak began, which ended so long ago."""
    start = datetime.now(UTC).replace(microsecond=0) - SOAK - ended
    records.add(Kind.ENTERED, at=start - SECOND, channel=channel)
    for n in range(1, targets + 1):
        name = f"{channel}-{n}"
        substrate.running[name] = Artifact("d", {})
        records.add(Kind.VERIFIED, at=start, channel=channel, target=name, digest="d")
    records.add(Kind.APPLIED, at=start, channel=channel, wave=1)
    return start


def fill(
    metrics: FakeMetrics,
    start: datetime,
    shifts: Mapping[str, float],
    *,
    until: timedelta = SOAK,
    days: int = 14,
) -> None:
    """Give targets a fortnight of noise of 1 sd, moved by so many sd from ``start`` on."""
    first, last = -days * 86400 // PERIOD, int(until.total_seconds()) // PERIOD
    for number, (name, shift) in enumerate(shifts.items()):
        noise = random.Random(number)  # noqa: S311 - a test's noise
        metrics.points[name] = [
            (start.timestamp() + i * PERIOD, 100 + noise.gauss(0, 1) + (shift if i >= 0 else 0))
            for i in range(first, last)
        ]
