"""Facts of a run in a line each, as in tests/builders.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from phased_rollout.model.ledger import Kind, Ledger
from phased_rollout.model.plan import Plan
from phased_rollout.ui.facts import AirflowRun, Facts, Next
from tests.builders import START, a_ledger, a_plan

_OF_PEOPLE = {
    Kind.AUTHORIZED,
    Kind.CONFIRMED,
    Kind.APPROVED,
    Kind.REJECTED,
    Kind.OPERATOR_HOLD,
    Kind.OPERATOR_RESUME,
    Kind.ABORTED,
    Kind.ABANDONED,
    Kind.KEPT,
    Kind.RESUMED,
    Kind.STOPPED,
}
"""Records that name a user."""
NOW = START + timedelta(minutes=1)
"""A minute after the first thing that has happened."""

Tasks = tuple[tuple[str, str, int], ...]


def a_run(state: str = "running", *, tasks: Tasks = (), paused: bool = False) -> AirflowRun:
    return AirflowRun("accounts", "manual__1", state, paused=paused, tasks=tasks)


def facts_of(
    *happened: str,
    plan: Plan | None = None,
    touched: str = "",
    after: Next | None = None,
    **more: Any,
) -> Facts:
    """Build facts, a second between two: ``"entered test"``, ``"verified test/test-1"``.

    :param touched: names of targets that were changed and are not given back
    :param after: the rollout that began next
    :param more: content of all records, for example ``reason``
    """
    plan = plan or a_plan()
    entries = a_ledger(*happened).entries
    content = {"reason": "because", "task": "test.apply", **more}
    told = [
        {"at": e.at.isoformat(), "kind": e.kind.value, "channel": e.channel, "target": e.target}
        | ({"user": "ann"} if e.kind in _OF_PEOPLE else {})
        | content
        for e in entries
    ]
    return Facts(
        plan=plan,
        ledger=Ledger.of(e for e in entries if not e.target),
        told=[record for record in told if not record["target"]],
        targets={
            name: Ledger.of(e for e in entries if e.target and e.channel == name)
            for name in plan.names
        },
        touched={
            name: frozenset(t for t in touched.split() if t.startswith(name)) for name in plan.names
        },
        next=after,
        told_of_targets={
            name: [r for r in told if r["target"] and r["channel"] == name] for name in plan.names
        },
    )


def applied(channel: str) -> list[str]:
    """Say what happens in a channel of two targets up to its soak."""
    names = [f"{channel}/{channel}-{number}" for number in (1, 2)]
    return [f"entered {channel}", *(f"verified {name}" for name in names), f"applied {channel}"]


def graduated(channel: str) -> list[str]:
    """Say what happens in a channel that the change graduates from."""
    return [*applied(channel), f"healthy {channel}", f"graduated {channel}"]
