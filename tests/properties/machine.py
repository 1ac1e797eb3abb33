"""The moves: whatever may befall a rollout, in any order, and what must hold all along."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from phased_rollout.model.definition import (
    Approval,
    Channel,
    Concurrency,
    Definition,
    Emergency,
    GateKind,
    Hold,
    OnFailure,
    RollbackScope,
    Target,
    Waves,
)
from tests.builders import a_definition
from tests.properties.fleet import Box, Fleet, render
from tests.properties.install import install, write_changes
from tests.properties.oracle import Oracle, bypassed
from tests.properties.processes import Clock, Process
from tests.properties.states import FAILED, FINISHED, SUCCESS, Ti
from tests.properties.world import GO_ON, STOP, Run, World

SOAK = timedelta(seconds=4)
QUARANTINE = Hold("is being moved", date(2027, 1, 1))
ENOUGH = 700
"""Actions after which a rollout that is left alone has ended, however often it has to wait."""
TROUBLES: dict[str, dict[str, Any]] = {
    "refuses at once": {"refuses": "at once"},
    "refuses half way": {"refuses": "half"},
    "refuses and goes back": {"refuses": "back"},
    "cannot be restored": {"keeps": True},
    "is unreachable": {"unreachable": True},
    "loses a reply": {"loses_reply": True},
    "is slow": {"slow": True},
    "is harmed": {"harm": True},
    "is silent": {"silent": True},
}
MENDED: dict[str, Any] = {
    "refuses": "",
    "keeps": False,
    "unreachable": False,
    "loses_reply": False,
    "slow": False,
    "harm": False,
    "silent": False,
}
TROUBLE = st.sampled_from([*sorted(TROUBLES), *(t for t in TROUBLES if "refuses" in t)])
GATES = ["timer", "health", "approval", "health+approval"]
PICK = st.integers(0, 40)
POINTS = st.integers(1, 9)
LONG, SHORT = st.integers(6, 16), st.integers(1, 5)
WORDS = st.sampled_from(
    ["enter", "apply", "apply", "soak", "health", "health", "gate", "outcome", "rollback", "other"]
)
SHAPE: dict[str, Any] = {
    "targets": 2,
    "gate": "health",
    "waves": Waves(1, 1),
    "max_failed": 0,
    "on_hold": 0,
}
CHANNEL = st.fixed_dictionaries(
    {
        "targets": st.sampled_from([1, 2, 3, 4]),
        "gate": st.sampled_from(GATES),
        "waves": st.builds(
            Waves, st.integers(1, 3), st.integers(1, 3), st.sampled_from(Concurrency)
        ),
        "max_failed": st.integers(0, 1),
        "on_hold": st.sampled_from([0, 0, 0, 1]),
    }
)
TIERS = ["shorten_soak", "skip_channels", "fleet_wide"]
BYPASS = st.tuples(st.sampled_from(TIERS), st.integers(0, 2))


def a_small_channel(name: str, spec: dict[str, Any]) -> Channel:
    return Channel(
        name=name,
        targets=tuple(Target(f"{name}{n}", {"account": name}) for n in range(spec["targets"])),
        soak=SOAK,
        gate=frozenset(GateKind(g) for g in spec["gate"].split("+")),
        waves=spec["waves"],
        max_failed=min(spec["max_failed"], spec["targets"] - 1),  # as the file's checks demand
        approval=Approval(("alice",)),
        on_hold=tuple(Target(f"{name}-held{n}", {}, QUARANTINE) for n in range(spec["on_hold"])),
    )


class Rollouts(RuleBasedStateMachine):
    """One fleet, one file, up to three rollouts; ``name``\\ s say what happens."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.patch = pytest.MonkeyPatch()
        self.base = Path(tempfile.mkdtemp(prefix="phased-rollout-machine-"))
        self.world: World
        self.oracle: Oracle

    @initialize(
        specs=st.lists(CHANNEL, min_size=2, max_size=3),
        on_failure=st.sampled_from(OnFailure),
        scope=st.sampled_from(RollbackScope),
        pauses=st.tuples(st.integers(1, 2), st.integers(1, 3)),
        stubborn=st.lists(PICK, max_size=2),
        bypass=st.none() | BYPASS,
        destructive=st.booleans(),
        old=st.sampled_from(["nothing", "old", "the change"]),
        actions=st.integers(0, 14),
        trouble=st.none() | st.tuples(PICK, TROUBLE),
    )
    def start(
        self,
        *,
        specs: list[dict[str, Any]],
        on_failure: OnFailure,
        scope: RollbackScope,
        pauses: tuple[int, int],
        stubborn: list[int],
        bypass: tuple[str, int] | None,
        destructive: bool,
        old: str,
        actions: int = 0,
        trouble: tuple[int, str] | None = None,
    ) -> None:
        channels = [a_small_channel(name, s) for name, s in zip("abc", specs, strict=False)]
        file = a_definition(
            *channels,
            on_failure=on_failure,
            rollback_scope=scope,
            pause_after=pauses[0],
            rollback_wave=pauses[1],
            emergency=Emergency(soak=SOAK / 2),
        )
        self.build(file, destructive=destructive)
        if old != "nothing":  # of the first channel only, so that there is something to do
            text = "one" if old == "the change" else old
            for target in channels[0].targets:
                self.world.fleet.boxes[target.name].running = render(text, channels[0].name)
        for pick in stubborn:
            self._box(pick).keeps = True
        self.world.begin("one", **(self._bypass(*bypass) if bypass else {}))
        if trouble:
            self.a_target(*trouble)
        for _ in range(actions):
            self._next(answering=True)

    def build(self, file: Definition, *, destructive: bool = False) -> None:
        """Make the world; scenarios begin here, too."""
        write_changes(self.base, "one", "two")
        clock = Clock()
        boxes = {t.name: Box() for c in file.channels for t in (*c.targets, *c.on_hold)}
        self.world = World(self.base, clock, Fleet(clock, boxes, destructive=destructive), file)
        self.oracle = Oracle(self.world)
        self.original = file
        install(self.patch, self.world)

    # --- Airflow goes on

    @rule(actions=SHORT)
    def it_goes_on(self, actions: int) -> None:
        for _ in range(actions):
            self._next()

    @rule(actions=LONG)
    def it_goes_on_for_long(self, actions: int) -> None:
        for _ in range(actions):
            self._next(answering=True)

    @rule(pick=PICK)
    def something_else_comes_first(self, pick: int) -> None:
        if found := self.world.actions():
            self.world.take(found[pick % len(found)])

    @rule(pick=PICK, option=st.integers(0, 3))
    def a_person_answers(self, pick: int, option: int) -> None:
        if waiting := self.world.waiting():
            run, ti = waiting[pick % len(waiting)]
            task = run.instances.dag.task_dict[ti.task_id]
            silence = None if task.response_timeout else task.options[0]
            said = [task.options[0], task.options[1], silence, task.options[0]][option]
            self.world.answer(run, ti, said, user="alice" if option < 3 else "trudy")

    @rule(pick=PICK, option=st.integers(0, 1))
    def an_answer_is_lost(self, pick: int, option: int) -> None:
        if waiting := self.world.waiting():
            run, ti = waiting[pick % len(waiting)]
            options = run.instances.dag.task_dict[ti.task_id].options
            self.world.answer_too_soon(run, ti, options[option])

    # --- what targets do

    @rule(pick=PICK, trouble=TROUBLE)
    def a_target(self, pick: int, trouble: str) -> None:
        self._set(self._box(pick), TROUBLES[trouble])

    @rule(pick=PICK)
    def a_target_is_well_again(self, pick: int) -> None:
        self._set(self._box(pick), MENDED)

    @rule(pick=PICK, back=st.booleans())
    def somebody_changes_a_target(self, pick: int, back: bool) -> None:  # noqa: FBT001
        names = sorted(self.world.fleet.boxes)
        name = names[pick % len(names)]
        count = len(self.world.fleet.log)
        self.world.fleet.by_hand(name, None if back else render(f"hand {count}", "any"))

    # --- what happens to processes

    @rule(actions=st.integers(0, 3), pick=PICK, points=POINTS)
    def a_process_pauses(self, actions: int, pick: int, points: int) -> None:
        self._go_into(actions, pick, points)

    @rule(
        actions=st.integers(0, 3),
        pick=PICK,
        points=POINTS,
        noticed=st.booleans(),
        elsewhere=st.booleans(),
    )
    def a_process_is_killed(
        self, *, actions: int, pick: int, points: int, noticed: bool, elsewhere: bool
    ) -> None:
        self._go_into(actions, pick, points)
        if mortal := self._mortal():
            process = mortal[-1 - pick % len(mortal)]
            process.is_elsewhere = elsewhere
            self.world.kill(process, noticed=noticed)

    @rule(actions=st.integers(0, 3), pick=PICK, points=POINTS)
    def a_process_is_lost_sight_of(self, actions: int, pick: int, points: int) -> None:
        self._go_into(actions, pick, points)
        if mortal := self._mortal():
            self.world.lose(mortal[-1 - pick % len(mortal)])

    @precondition(lambda self: self.world.orphans)
    @rule(pick=PICK)
    def an_orphan_ends(self, pick: int) -> None:
        self.world.reap(self.world.orphans[pick % len(self.world.orphans)])

    # --- what operators do

    @precondition(lambda self: self.world.fleet.log)
    @rule(word=WORDS, pick=PICK, downstream=st.booleans())
    def a_task_is_cleared(self, word: str, pick: int, downstream: bool) -> None:  # noqa: FBT001
        if found := self._touchable(word, lambda ti: ti.state is not None):
            run, ti = found[pick % len(found)]
            self.world.clear(run, ti, downstream=downstream)

    @precondition(lambda self: self.world.fleet.log)
    @rule(word=WORDS, pick=PICK, state=st.sampled_from([SUCCESS, FAILED]))
    def a_task_is_marked(self, word: str, pick: int, state: str) -> None:
        if found := self._touchable(word, lambda ti: ti.state not in (state, None)):
            run, ti = found[pick % len(found)]
            self.world.mark(run, ti, state)

    @precondition(lambda self: self.world.fleet.log and not self.world.runs[-1].instances.ended)
    @rule(state=st.sampled_from([SUCCESS, FAILED]))
    def the_run_is_marked(self, state: str) -> None:
        self.world.mark_run(self.world.runs[-1], state)

    @rule(pick=PICK)
    def the_file_is_edited(self, pick: int) -> None:
        self.world.edit(edited(self.world.file, pick))

    @rule()
    def the_file_is_as_it_was(self) -> None:
        self.world.edit(self.original)

    @precondition(lambda self: self._may_begin(emergency=False))
    @rule(text=st.sampled_from(["one", "two"]))
    def another_rollout_begins(self, text: str) -> None:
        self.world.begin(text)

    @precondition(lambda self: self.world.fleet.log and self._may_begin(emergency=True))
    @rule(text=st.sampled_from(["one", "two"]), bypass=st.none() | BYPASS)
    def an_emergency_begins(self, text: str, bypass: tuple[str, int] | None) -> None:
        self.world.begin(text, emergency=True, **(self._bypass(*bypass) if bypass else {}))

    @rule()
    def it_is_left_alone(self) -> None:
        """Hold nothing back any more, and look how the runs end."""
        for box in self.world.fleet.boxes.values():
            box.unreachable = box.silent = False
        for run in self.world.runs:
            if run.planned and not run.instances.ended:
                self.world.edit(run.planned)
                self._let_go_on(run, run.planned)
            for _ in range(ENOUGH):
                if run.instances.ended and not self.world.orphans:
                    break
                self._next(answering=True)
            else:
                self.oracle.wrong.append(f"{run.run_id} does not end: {_states(run)}")
        for run in self.world.runs:
            if run.instances.ended:
                self.oracle.look_at_end(run)

    def _let_go_on(self, run: Run, planned: Definition) -> None:
        """Give channels that passed without a change back what was changed in them since."""
        skipped = {
            h.task for h in self.world.happenings if (h.run, h.what) == (run.run_id, "skipped")
        }
        for channel in planned.channels:
            if f"{channel.name}.enter" in skipped and not bypassed(run):
                for target in channel.targets:
                    self.world.fleet.by_hand(target.name, render(run.text, channel.name))

    @invariant()
    def nothing_is_wrong(self) -> None:
        if hasattr(self, "oracle") and (wrong := [*self.oracle.wrong, *self.world.broken]):
            raise AssertionError("\n".join([*wrong, "", *self.story()]))

    def teardown(self) -> None:
        try:
            if hasattr(self, "oracle") and not self.oracle.wrong:
                self.it_is_left_alone()
                self.nothing_is_wrong()
        finally:
            self.close()

    def close(self) -> None:
        """End all processes and undo what was patched."""
        if hasattr(self, "world"):
            for process in self.world.processes():
                process.kill()
        self.patch.undo()
        logging.disable(logging.NOTSET)
        shutil.rmtree(self.base, ignore_errors=True)

    def story(self) -> list[str]:
        """Tell what has happened, in order."""
        told = [
            (h.at, f"{h.run} {h.task} {h.what} {h.detail}".replace("\n", " / ")[:150])
            for h in self.world.happenings
            if h.what not in ("began", "deferred", "up_for_reschedule")
        ]
        told += [
            (a.at, f"{a.run or 'somebody'}: {a.kind} {a.target}: {a.before} → {a.after}")
            for a in self.world.fleet.log
        ]
        return [f"{at:%H:%M:%S.%f} {text}" for at, text in sorted(told)]

    # --- picking

    def _next(self, *, answering: bool = False) -> None:
        found = sorted(self.world.actions(), key=lambda a: a.at)
        waiting = self.world.waiting()
        if answering and waiting and (not found or found[0].at > self.world.clock.at):
            run, ti = waiting[0]
            self.world.answer(run, ti, self._usual(run, ti))
        elif found:
            self.world.take(found[0])

    def _usual(self, run: Run, ti: Ti) -> str | None:
        """Give the answer that is given when nothing else is said."""
        options = run.instances.dag.task_dict[ti.task_id].options
        if ti.task_id == "rollback.decide":
            return None
        if GO_ON not in options:
            return "Approve"
        told = [h for h in self.world.happenings if (h.run, h.task) == (run.run_id, ti.task_id)]
        return STOP if any(h.detail.startswith(GO_ON) for h in told) else GO_ON

    def _bypass(self, tier: str, pick: int) -> dict[str, Any]:
        names = [c.name for c in self.world.file.channels]
        chosen = [names[pick % len(names)]] if tier == "skip_channels" else []
        return {"bypass": tier, "bypass_channels": chosen, "bypass_reason": "urgent"}

    def _may_begin(self, *, emergency: bool) -> bool:
        """Whether the Dag has no run in flight; three runs are enough."""
        runs = self.world.runs
        free = all(r.instances.ended for r in runs if r.emergency is emergency)
        return free and len(runs) < 3

    def _go_into(self, actions: int, pick: int, points: int) -> None:
        """Go on, and then let something stop in the middle."""
        for _ in range(actions):
            self._next(answering=True)
        if found := self.world.actions():
            self.world.take(found[pick % len(found)], points)

    def _mortal(self) -> list[Process]:
        """Give the processes that may be killed: the last word survives within its retries."""
        spared = {
            t.process
            for r in self.world.runs
            for t in r.instances.of(VERDICT)
            if t.kills >= MOST_KILLS
        }
        return [p for p in self.world.processes() if p not in spared]

    def _touchable(self, word: str, wanted: Any) -> list[tuple[Run, Ti]]:
        """Give the tasks of that word; not the verdict, which is the last resort."""
        return [
            (r, t)
            for r in self.world.runs
            for t in r.instances.known
            if wanted(t) and word_of(t.task_id) == word
        ]

    def _box(self, pick: int) -> Box:
        boxes = self.world.fleet.boxes
        return boxes[sorted(boxes)[pick % len(boxes)]]

    @staticmethod
    def _set(box: Box, values: dict[str, Any]) -> None:
        for name, value in values.items():
            setattr(box, name, value)


VERDICT = "rollback.verdict"
MOST_KILLS = 2


def word_of(task_id: str) -> str:
    """Give the word by which a task is picked."""
    group, _, word = task_id.rpartition(".")
    if task_id == VERDICT:
        return "verdict"
    return "rollback" if group == "rollback" else word if group or word == "outcome" else "other"


def edited(file: Definition, pick: int) -> Definition:
    """Edit a file in one of the ways in which people do."""
    channels, kind = list(file.channels), pick % 8
    first, last = channels[0], channels[-1]
    if kind == 0:
        channels.reverse()
    elif kind == 1:
        channels[-1] = replace(last, name=f"{last.name}x")
    elif kind == 2 and len(channels) > 1:
        channels.pop(pick % len(channels))
    elif kind == 3:
        channels.insert(0, replace(first, name="new", targets=(Target("new0", {}),)))
    elif kind == 4:
        channels[0] = replace(first, targets=(*first.targets, Target(f"more{pick}", {})))
    elif kind == 5 and len(first.targets) > 1:
        channels[0] = replace(first, targets=first.targets[1:])
        channels[-1] = replace(last, targets=(*last.targets, first.targets[0]))
    elif kind == 7 and len(last.targets) > 1:
        held = replace(last.targets[-1], hold=QUARANTINE)
        channels[-1] = replace(last, targets=last.targets[:-1], on_hold=(*last.on_hold, held))
    else:
        channels[0] = replace(first, soak=SOAK * 2, max_failed=1, gate=frozenset({GateKind.TIMER}))
    if len({c.name for c in channels}) < len(channels):
        return file
    borne = (replace(c, max_failed=min(c.max_failed, len(c.targets) - 1)) for c in channels)
    return replace(file, channels=tuple(borne))


def _states(run: Run) -> str:
    return ", ".join(f"{t.name}: {t.state}" for t in run.instances.known if t.state not in FINISHED)
