"""Small plans and ledgers that tests are written in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from phased_rollout.model.bypass import Bypass
from phased_rollout.model.definition import (
    AdapterSpec,
    Channel,
    Definition,
    GateKind,
    Target,
)
from phased_rollout.model.ledger import Entry, Kind, Ledger
from phased_rollout.model.plan import Origin, Plan

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
NAMES = ("playground", "test", "production")


def a_channel(name: str, *, targets: int = 2, gate: str = "timer", **kwargs: Any) -> Channel:
    """Build a channel of targets ``NAME-1``, ``NAME-2``, …"""
    found = tuple(
        Target(f"{name}-{n}", {"account": f"{n:012d}", "region": "eu-central-1"})
        for n in range(1, targets + 1)
    )
    kinds = frozenset(GateKind(g) for g in gate.split("+"))
    return Channel(name, found, soak=timedelta(seconds=10), gate=kinds, **kwargs)


def a_definition(*channels: Channel, name: str = "accounts", **kwargs: Any) -> Definition:
    """Build a definition of three channels unless channels are given."""
    found = channels or tuple(a_channel(c) for c in NAMES)
    substrate = AdapterSpec("cloudformation", {"connection": "aws", "stack": "baseline"})
    return Definition(name=name, substrate=substrate, channels=found, **kwargs)


def a_plan(
    *channels: Channel,
    bypass: Bypass | None = None,
    origin: Origin | None = None,
    shape: tuple[str, ...] = (),
    **kwargs: Any,
) -> Plan:
    """Build a plan of a definition."""
    return Plan(
        definition=a_definition(*channels, **kwargs),
        run_id="manual__1",
        change="c" * 64,
        change_name="change",
        made_at=START,
        bypass=bypass or Bypass(),
        origin=origin,
        shape=shape,
    )


def a_ledger(*happened: str) -> Ledger:
    """Build a ledger, a second between two entries: ``"entered playground"``, ``"armed"``."""
    entries = []
    for second, text in enumerate(happened, start=1):
        kind, _, rest = text.partition(" ")
        channel, _, target = rest.partition("/")
        at = START + timedelta(seconds=second)
        entries.append(Entry(at, Kind(kind), channel, target))
    return Ledger.of(entries)


def passed(channel: str) -> list[str]:
    """Say what happens in a channel that the change graduates from."""
    return [f"{kind} {channel}" for kind in ("entered", "applied", "healthy", "graduated")]
