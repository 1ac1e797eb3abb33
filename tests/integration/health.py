"""What happens to rollouts whose metrics are judged: harm, a shock to all, silence."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phased_rollout.model.ledger import Kind
from sandbox.prometheus import History, SandboxPrometheus
from tests.integration.world import Scenario, World

FIVE = ("playground", "test", "infra", "stable", "production")
JUDGED = ("test", "infra", "stable", "production")
SOAK, MINUTE, DAY = 180, 60, 86400
WORSE, SHOCK = 8.0, 3.0
"""Far beyond the noise, which stays within 1.

A shock is smaller: moves are measured in units of each target's own noise, which a day tells to a
tenth, so one of 8 looks like targets that moved differently, about which a person is asked.
"""
AT_ONCE: dict[str, Any] = {"gate": "timer", "soak": "4s", "signals": []}
KNOWN = {"name": "errors", "query": 'errors{account="{name}"}', "worse": "higher", "min_points": 3}
METRIC = {
    "name": "errors",
    "namespace": "Application",
    "metric": "Errors",
    "statistic": "Average",
    "worse": "higher",
    "min_points": 3,
}
TEST: dict[str, Any] = {
    "gate": "health",
    "soak": f"{SOAK}s",
    "signals": [
        {"kind": "cloudwatch_metrics", "role": "reader", "metrics": [METRIC]},
    ],
    "on_inconclusive": {"settle": "1m", "hold_for": "90s", "then": "ask"},
    "approval": {"approvers": ["approver"]},
}
ASKING: dict[str, Any] = {
    "gate": ["health", "approval"],
    "soak": "4s",
    "approval": {"approvers": ["approver"]},
}
SETTINGS = {"defaults": {"waves": {"size": 3, "concurrency": "soft"}}}
OF_CHANNEL = {name: TEST if name == "test" else AT_ONCE for name in FIVE}


def told_by(connection: str) -> dict[str, Any]:
    """Judge ``test`` by a Prometheus of its own."""
    signals = [{"kind": "prometheus", "connection": connection, "metrics": [KNOWN]}]
    return OF_CHANNEL | {"test": TEST | {"signals": signals}}


@dataclass
class Fleet:
    """The metric of each account of a scenario, which the test writes."""

    world: World
    scenario: Scenario
    written: float

    @classmethod
    def with_history(cls, world: World, scenario: Scenario) -> Fleet:
        """Write a day of noise for each account."""
        now = time.time() // MINUTE * MINUTE
        fleet = cls(world, scenario, now - DAY)
        fleet.write("before", until=now, moved=lambda _channel, _at: 0.0)
        return fleet

    def write(self, when: str, *, until: float, moved: Callable[[str, float], float]) -> None:
        """Write on: a point a minute, moved in a channel at a time."""
        for channel in JUDGED:
            for account in self.scenario.accounts(channel):
                points = noisy(
                    f"{account} {when}", self.written, until, lambda t, c=channel: moved(c, t)
                )
                self.world.aws.metric(
                    account=account, namespace="Application", metric="Errors", points=points
                )
        self.written = until


def noisy(
    seed: str, since: float, until: float, moved: Callable[[float], float]
) -> list[tuple[float, float]]:
    """Give a point a minute: noise, the same in every run, moved at a time."""
    noise = random.Random(seed)  # noqa: S311 - a test's noise
    times = range(int(since), int(until), MINUTE)
    return [(t, 100 + noise.uniform(-1, 1) + moved(t)) for t in times]


@dataclass(frozen=True)
class Judged:
    """A run whose metrics were judged, with what was asked meanwhile."""

    run_id: str
    state: str
    asked: str = ""


def _applied(world: World, scenario: Scenario, run_id: str) -> float:
    world.wait_for_record(scenario, run_id, Kind.APPLIED, channel="test")
    return world.records(scenario, run_id).ledger().last(Kind.APPLIED, channel="test").timestamp()


def _end(applied: float) -> float:
    return applied // MINUTE * MINUTE + SOAK + 2 * MINUTE


def _begun(world: World, scenario: Scenario, moved: Callable[[str], float]) -> str:
    fleet = Fleet.with_history(world, scenario)
    run_id = world.trigger(scenario)
    applied = _applied(world, scenario, run_id)
    fleet.write(
        "after",
        until=_end(applied),
        moved=lambda channel, at: moved(channel) if at >= applied else 0.0,
    )
    return run_id


def worsened(world: World, scenario: Scenario) -> Judged:
    """Let the metric worsen in ``test`` alone, where no alarm knows of it."""
    run_id = _begun(world, scenario, lambda channel: WORSE if channel == "test" else 0.0)
    return Judged(run_id, world.wait_for_end(scenario, run_id))


def shocked(world: World, scenario: Scenario) -> Judged:
    """Let the metric worsen everywhere at once."""
    run_id = _begun(world, scenario, lambda _channel: SHOCK)
    return Judged(run_id, world.wait_for_end(scenario, run_id))


def silent(world: World, scenario: Scenario) -> Judged:
    """Let the metric fall silent, until a person is asked and has approved."""
    Fleet.with_history(world, scenario)
    run_id = world.trigger(scenario)
    world.answer(scenario, run_id, "test.gate", "Approve")
    found = world.operator.approvals(scenario.name, run_id)
    asked = next(str(o["body"]) for o in found if o["task_instance"]["task_id"] == "test.gate")
    return Judged(run_id, world.wait_for_end(scenario, run_id), asked)


def known(world: World, scenario: Scenario, *, moved: float) -> Judged:
    """Load a Prometheus, as soon as ``test`` soaks, with how that soak is going to be."""
    with tempfile.TemporaryDirectory() as folder:
        prometheus = SandboxPrometheus(Path(folder))
        run_id = world.trigger(scenario)
        applied = _applied(world, scenario, run_id)
        start, end = applied // MINUTE * MINUTE - DAY, _end(applied)
        history = [
            History(
                "errors",
                {"account": f"{channel}-{n}"},
                noisy(
                    f"{channel}-{n}",
                    start,
                    end,
                    lambda t, by=moved if channel == "test" else 0.0: by if t >= applied else 0.0,
                ),
            )
            for channel in JUDGED
            for n in range(1, scenario.targets + 1)
        ]
        try:
            world.operator.connect(scenario.name, host=prometheus.start(*history).endpoint)
            return Judged(run_id, world.wait_for_end(scenario, run_id))
        finally:
            prometheus.stop()


def known_bad(world: World, scenario: Scenario) -> Judged:
    """Let a Prometheus know of harm in ``test``."""
    return known(world, scenario, moved=WORSE)


def known_good(world: World, scenario: Scenario) -> Judged:
    """Let a Prometheus know of no harm."""
    return known(world, scenario, moved=0.0)


def alarmed(world: World, scenario: Scenario) -> Judged:
    """Let an alarm go off while a person is asked, who does not answer."""
    run_id = world.trigger(scenario)
    world.wait_until_asked(scenario, run_id, "playground.gate")
    world.alarm(scenario.account("playground", 2), "ALARM")
    return Judged(run_id, world.wait_for_end(scenario, run_id))


SCENARIOS = [
    Scenario(name, number, act, FIVE, 3, settings=SETTINGS, of_channel=OF_CHANNEL)
    for name, number, act in (
        ("worsened", 61, worsened),
        ("shocked", 62, shocked),
        ("silent", 63, silent),
    )
]
SCENARIOS += [
    Scenario(name, number, act, FIVE, 3, settings=SETTINGS, of_channel=told_by(name))
    for name, number, act in (("known_bad", 64, known_bad), ("known_good", 65, known_good))
]
SCENARIOS += [
    Scenario("alarmed", 66, alarmed, of_channel={"playground": ASKING}),
]
