"""Rollouts whose processes are killed at their side effects: each run at other ones."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from phased_rollout.model.ledger import Kind
from sandbox.stack import ApiError, wait_until
from sandbox.stack.database import DATABASE
from tests.integration.effects import (
    Effect,
    Effects,
    Kill,
    Place,
    Runs,
    distribute,
    telling,
)
from tests.integration.scenarios import ASKING, TWO
from tests.integration.world import Scenario, World

NO_ANSWER = 120.0
"""Seconds for which Airflow may not answer a question, while it has no database."""
GATHER = 5.0
"""Seconds in which further rollouts may come to their points before a process is killed."""
AT_MOST = 9
"""Runs of each story and kind that Airflow knows from the start; not all of them are needed."""
COMPONENTS = {"database": DATABASE}
"""What is called otherwise in the table than in the stack."""
ENV = {
    "AIRFLOW__CORE__PARALLELISM": "16",
    # How soon Airflow takes a scheduler for dead, and looks for what it left behind.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
}


@dataclass
class Run:
    """How one run of a story went.

    :param calls: the calls that changed a stack and took effect: (channel, operation, token)
    """

    story: str
    name: str
    run_id: str
    state: str
    running: dict[str, str]
    calls: list[tuple[str, str, str]]
    left_over: list[str]
    records: dict[str, int]
    kills: list[Kill] = field(default_factory=list)
    hits: dict[int, float] = field(default_factory=dict)
    recovered: dict[int, float] = field(default_factory=dict)


class Matrix:
    """All runs of all stories, for the kinds of processes that are killed."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        self.effects = Effects("-".join(kinds))
        self.is_whole = "FAULTS" in os.environ
        most = AT_MOST if self.is_whole else 1
        self.planned: Future[Runs] = Future()
        self.undisturbed: dict[str, Run] = {}
        self.seen: dict[Effect, list[Place]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._reaper: threading.Thread | None = None
        self.scenarios = [
            self._scenario(story, index) for index in range(most + 1) for story in STORIES
        ]

    def listen(self) -> dict[str, str]:
        """Begin; gives the environment of an Airflow that is watched."""
        return ENV | self.effects.listen()

    def ended(self, world: World) -> list[Run]:
        """Wait for all runs; gives those in which something was killed."""
        runs: list[Run | None] = [world.acted(s.name) for s in self.scenarios]
        self._over.set()
        if self._reaper:
            self._reaper.join(timeout=120)
        return [run for run in runs if run and run.kills]

    def _scenario(self, story: str, index: int) -> Scenario:
        def act(world: World, scenario: Scenario) -> Run | None:
            return self._first(world, scenario) if index == 0 else self._later(world, scenario)

        number = 500 + 100 * list(STORIES).index(story) + index
        return Scenario(f"{story}_{index}", number, act, TWO, 1, **STORIES[story])

    def _first(self, world: World, scenario: Scenario) -> Run:
        """Run undisturbed; the last story to end says where to kill."""
        world.operator.patience = world.approver.patience = NO_ANSWER
        story = scenario.name.partition("_")[0]
        try:
            run = play(world, scenario)
            with self._lock:
                self.undisturbed[story] = run
                for effect, places in self.effects.seen(scenario.name, story=story).items():
                    self.seen.setdefault(effect, []).extend(places)
                if len(self.undisturbed) == len(STORIES):
                    self._plan(world)
        except BaseException as error:
            if not self.planned.done():
                self.planned.set_exception(error)
            raise
        return run

    def _plan(self, world: World) -> None:
        planned: Runs = {}
        for kind in self.kinds:
            if self.is_whole:
                distribute(self.seen_of(kind), planned, kills=kind, most=AT_MOST)
            else:
                sample = telling(self.seen_of(kind))
                distribute(sample, planned, kills=kind, most=1, of_a_task=1)
        self._reaper = threading.Thread(target=self._reap, args=(world,), daemon=True)
        self._reaper.start()
        self.planned.set_result(planned)

    def _later(self, world: World, scenario: Scenario) -> Run | None:
        story, _, index = scenario.name.partition("_")
        runs = self.planned.result(timeout=600).get(story, [])
        if int(index) > len(runs):
            return None
        kills = [kill for of_task in runs[int(index) - 1].values() for kill in of_task]
        self.effects.plan(scenario.name, kills)
        run = play(world, scenario)
        run.kills, run.hits = kills, self.effects.hits(scenario.name)
        run.recovered = self._recovered(run)
        return run

    def seen_of(self, kind: str) -> dict[Effect, list[Place]]:
        """Give the effects at which a kind of process can be killed."""
        part, _, parts = os.environ.get("FAULTS_PART", "1/1").partition("/")
        found = [each for each in self.seen.items() if each[0].process in ("task", kind)]
        return dict(found[int(part) - 1 :: int(parts)])

    def _recovered(self, run: Run) -> dict[int, float]:
        """Say how many seconds after each kill its task went on."""
        found = {}
        for index, at in run.hits.items():
            back = self.effects.came_back(run.name, run.kills[index].task, after=at + 0.5)
            if back is not None:
                found[index] = back - at
        return found

    def _reap(self, world: World) -> None:
        """Kill the component at whose effects processes stand, and start it again."""
        while not self._over.wait(0.3):
            if not self.effects.waiting():
                continue
            time.sleep(GATHER)
            hit = self.effects.waiting()
            killed = sorted({COMPONENTS.get(kind, kind) for kind in hit.values()})
            for component in killed:
                world.stack.kill(component)
            world.stack.restart(*killed)
            for path in hit:
                Path(f"{path}.go").touch()


# the stories


def play(world: World, scenario: Scenario) -> Run:
    """Let one run go its way: a person approves, or an alarm goes off in production."""
    story = scenario.name.partition("_")[0]
    run_id = trigger(world, scenario)
    if story == "good":
        approve(world, scenario, run_id)
    else:
        world.wait_for_record(scenario, run_id, Kind.APPLIED, channel="production", timeout=900)
        world.alarm(scenario.account("production", 1), "ALARM")
    state = world.wait_for_end(scenario, run_id, timeout=900)
    return seen_of(world, scenario, story, run_id, state)


def trigger(world: World, scenario: Scenario) -> str:
    """Trigger one run, also while Airflow has no database: what it took already is not new."""
    run_id = f"manual__{scenario.name}"

    def taken() -> bool:
        try:
            world.operator.trigger(scenario.name, run_id=run_id)
        except ApiError as error:
            return error.status == requests.codes.conflict
        return True

    if not wait_until(taken, timeout=NO_ANSWER, interval=2):
        raise TimeoutError(f"{scenario.name}: could not be triggered")
    return run_id


def approve(world: World, scenario: Scenario, run_id: str) -> None:
    """Approve the gate once Airflow takes an answer: while a retry looks for one, it may not."""
    gate = "playground.gate"
    world.wait_until_asked(scenario, run_id, gate, timeout=900)

    def answered() -> bool:
        try:
            world.approver.answer(scenario.name, run_id, gate, options=["Approve"])
        except ApiError:
            return False
        return True

    if not wait_until(answered, timeout=420, interval=2):
        raise TimeoutError(f"{scenario.name}: nobody could approve")


def seen_of(world: World, scenario: Scenario, story: str, run_id: str, state: str) -> Run:
    """Look at what became of a run: at the targets, the call log and the records."""
    role = {scenario.account(channel, 1): channel for channel in TWO}
    calls = [
        (role[call["account"]], call["operation"], token_of(call))
        for call in world.aws.calls(service="cloudformation")
        if call["account"] in role
        and not call["operation"].startswith(("Describe", "Get", "List", "Validate"))
        and world.took_effect(call)
    ]
    records = world.records(scenario, run_id)
    entries = [*records.ledger().entries]
    for channel in TWO:
        entries += records.of_targets(channel).entries
    counted: dict[str, int] = {}
    for entry in entries:
        key = f"{entry.kind} {entry.channel} {entry.target}".strip()
        counted[key] = counted.get(key, 0) + 1
    left = [name for account in role for name in world.change_sets(account)]
    running = world.running(scenario)
    return Run(story, scenario.name, run_id, state, running, calls, left, counted)


def token_of(call: dict[str, Any]) -> str:
    """Name the attempt that a call belongs to."""
    params = call["params"]
    return str(params.get("ClientRequestToken") or params.get("ClientToken") or "")


STORIES: dict[str, dict[str, Any]] = {
    "good": {"of_channel": ASKING},
    "bad": {"of_channel": {"production": {"soak": "20m"}}},
}
"""A change that graduates everywhere, approved by a person; one that harms the second channel."""
