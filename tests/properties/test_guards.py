"""Each guard, once removed, is missed: the oracle sees what the guard had prevented.

Each short life here was found by the machine, and then written down so that it is always tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator

from phased_rollout import locks
from phased_rollout.model import guards
from phased_rollout.model.decision import Decision, Verdict
from phased_rollout.model.definition import Channel, Definition, GateKind
from phased_rollout.model.plan import Plan
from phased_rollout.operators import (
    apply,
    enter,
    outcome,
    plan,
    preview,
    restore,
    tolerance,
)
from phased_rollout.operators.question import Question
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from phased_rollout.sensors import health
from phased_rollout.triggers import soak
from tests.builders import a_definition
from tests.properties.fleet import render
from tests.properties.machine import SHAPE, Rollouts, a_small_channel, edited
from tests.properties.processes import Process
from tests.properties.states import FAILED, SUCCESS
from tests.properties.world import Run


@pytest.fixture
def life() -> Iterator[Rollouts]:
    """Give a world of three channels, two targets each, one a wave."""
    found = Rollouts()
    found.build(a_definition(*(a_small_channel(name, SHAPE) for name in "abc")))
    yield found
    found.close()


# --- the moves of a life


def begin(life: Rollouts, *, bypass: str = "", text: str = "one") -> Run:
    conf = {"bypass": "skip_channels", "bypass_channels": [bypass], "bypass_reason": "urgent"}
    return life.world.begin(text, **(conf if bypass else {}))


def an_emergency(life: Rollouts, *, text: str = "two", tier: str = "shorten_soak") -> Run:
    return life.world.begin(text, emergency=True, bypass=tier, bypass_reason="urgent")


def until(life: Rollouts, task: str, what: str = SUCCESS, *, run: str = "manual__1") -> None:
    """Go on until a process of this task has come to this."""
    known = len(life.world.happenings)
    for _ in range(300):
        new = life.world.happenings[known:]
        if any((h.run, h.task, h.what) == (run, task, what) for h in new):
            return
        life._next(answering=True)
    raise AssertionError(f"{task} never came to {what}: " + "; ".join(life.story()))


def ends(life: Rollouts) -> None:
    """Go on to the end of the run, leaving orphans where they are."""
    for _ in range(300):
        if life.world.runs[-1].instances.ended:
            return
        found = [a for a in life.world.actions() if not a.name.startswith("orphan")]
        life.world.take(min(found, key=lambda a: a.at))


def clear(life: Rollouts, task: str, run: int = 0) -> None:
    found = life.world.runs[run]
    life.world.clear(found, found.instances.of(task)[0], downstream=True)


def mark(life: Rollouts, task: str, state: str = SUCCESS) -> None:
    run = life.world.runs[0]
    life.world.mark(run, run.instances.of(task)[-1], state)


def into(life: Rollouts, task: str, label: str) -> Process:
    """Let a process of the task go on until it stands before this side effect."""
    for _ in range(40):
        life.world.take(next(a for a in life.world.actions() if a.name.startswith(task)), 1)
        for process in life.world.processes():
            if process.name.startswith(task) and label in process.label:
                return process
    raise AssertionError(f"{task} never stood before {label}")


# --- lives


def a_rollback_is_followed_by_a_clear_further_on(life: Rollouts) -> None:
    begin(life, bypass="b")
    life.world.fleet.boxes["c0"].refuses = "at once"
    until(life, "rollback.verdict", FAILED)
    life.world.fleet.boxes["c0"].refuses = ""
    clear(life, "c.enter")


def an_apply_outlives_the_rollback(life: Rollouts) -> None:
    begin(life)
    until(life, "b.enter")
    orphan = into(life, "b.apply", "b0.json")
    life.world.mark_run(life.world.runs[0], FAILED)
    ends(life)
    orphan.run()


def an_apply_stands_before_its_mutation_while_the_rollback_begins(life: Rollouts) -> None:
    begin(life)
    until(life, "b.enter")
    orphan = into(life, "b.apply", "apply b0")
    life.world.mark_run(life.world.runs[0], FAILED)
    for _ in range(20):
        found = [a for a in life.world.actions() if not a.name.startswith("orphan")]
        if found and found[0].at <= life.world.clock.at:
            life.world.take(found[0])
    orphan.run()


def a_target_refuses(life: Rollouts) -> None:
    begin(life)
    life.world.fleet.boxes["b1"].refuses = "half"


def gates_are_marked_after_a_rollback(life: Rollouts) -> None:
    a_target_refuses(life)
    until(life, "rollback.verdict", FAILED)
    mark(life, "b.gate")
    until(life, "rollback.verdict", FAILED)
    mark(life, "c.gate")


def the_order_of_the_file_is_changed(life: Rollouts) -> None:
    begin(life)
    until(life, "preview")
    life.world.edit(edited(life.world.file, 0))
    for _ in range(12):
        life._next(answering=True)


def an_earlier_rollout_is_cleared(life: Rollouts) -> None:
    a_target_refuses(life)
    until(life, "rollback.verdict", FAILED)
    begin(life, text="two")
    until(life, "plan", run="manual__2")
    clear(life, "a.enter")


def the_run_is_marked_failed(life: Rollouts) -> None:
    begin(life)
    until(life, "b.enter")
    life.world.mark_run(life.world.runs[0], FAILED)


def somebody_changes_a_target_while_it_soaks(life: Rollouts) -> None:
    begin(life)
    until(life, "a.soak", "deferred")
    life.world.fleet.by_hand("a0", None)


def an_apply_is_killed_before_it_is_recorded(life: Rollouts) -> None:
    begin(life)
    life.world.fleet.boxes["b1"].refuses = "at once"
    until(life, "a.enter")
    life.world.kill(into(life, "a.apply[0]", "verified"), noticed=False)


def a_soak_and_its_health_are_marked(life: Rollouts) -> None:
    begin(life)
    until(life, "a.soak", "deferred")
    mark(life, "a.soak")
    mark(life, "a.health")


def the_wrong_person_approves(life: Rollouts) -> None:
    gated = replace(life.world.file.channels[0], gate=frozenset({GateKind.APPROVAL}))
    life.world.edit(replace(life.world.file, channels=(gated, *life.world.file.channels[1:])))
    begin(life)
    until(life, "a.gate", "awaiting_input")
    run, ti = life.world.waiting()[0]
    life.world.answer(run, ti, "Approve", user="trudy")


def an_authorization_is_marked(life: Rollouts) -> None:
    begin(life, bypass="c")
    until(life, "authorize", "awaiting_input")
    mark(life, "authorize")


def an_apply_is_marked_before_it_ran(life: Rollouts) -> None:
    begin(life)
    until(life, "a.enter")
    life.world.take(life.world.actions()[0])
    mark(life, "a.apply")


def the_targets_of_a_channel_run_the_change_already(life: Rollouts) -> None:
    for name in ("a0", "a1"):
        life.world.fleet.by_hand(name, render("one", "a"))
    begin(life)


def a_rollout_is_given_up_and_tried_again(life: Rollouts) -> None:
    begin(life)
    until(life, "a.soak", "deferred")
    boxes = life.world.fleet.boxes
    boxes["a0"].keeps = boxes["a1"].keeps = True
    life.world.mark_run(life.world.runs[0], FAILED)
    until(life, "rollback.verdict", FAILED)
    begin(life)


def a_channel_that_passed_unchanged_is_changed(life: Rollouts) -> None:
    begin(life)
    until(life, "outcome")
    ends(life)
    life.world.fleet.by_hand("b0", None)
    begin(life)
    until(life, "a.enter", "skipped", run="manual__2")
    life.world.fleet.by_hand("a0", None)
    for _ in range(12):
        life._next(answering=True)


def an_apply_is_killed_and_the_next_wave_comes_before_its_retry(life: Rollouts) -> None:
    begin(life)
    until(life, "b.enter")
    process = into(life, "b.apply[0]", "apply b0")
    process.run(1)
    life.world.kill(process, noticed=False)


def a_target_cannot_be_restored(life: Rollouts) -> None:
    life.world.edit(replace(life.world.file, pause_after=1, rollback_wave=1))
    begin(life)
    life.world.fleet.boxes["b0"].keeps = True
    life.world.fleet.boxes["c0"].refuses = "half"


def somebody_stops_the_rollback(life: Rollouts) -> None:
    a_target_cannot_be_restored(life)
    until(life, "rollback.b", "awaiting_input")
    life.world.fleet.boxes["b0"].keeps = False
    run, ti = life.world.waiting()[0]
    life.world.answer(run, ti, "Stop")
    until(life, "rollback.verdict", FAILED)
    clear(life, "rollback.a")


def the_file_is_edited_behind_the_last_gate(life: Rollouts) -> None:
    begin(life)
    until(life, "c.health")
    life.world.edit(edited(life.world.file, 0))
    for _ in range(6):
        life._next(answering=True)


def an_emergency_overtakes(life: Rollouts) -> None:
    begin(life)
    until(life, "b.enter")
    an_emergency(life)
    until(life, "plan", run="manual__2")


def a_target_is_in_quarantine(life: Rollouts) -> None:
    life.world.edit(edited(life.world.file, 7))
    begin(life)


def another_change_comes_after_an_emergency(life: Rollouts) -> None:
    an_emergency(life, tier="fleet_wide")
    life.it_is_left_alone()
    begin(life, text="one")


def the_same_change_comes_after_an_emergency(life: Rollouts) -> None:
    an_emergency(life)
    life.it_is_left_alone()
    begin(life, text="two")


def an_answer_comes_too_soon(life: Rollouts) -> None:
    gated = replace(life.world.file.channels[0], gate=frozenset({GateKind.APPROVAL}))
    life.world.edit(replace(life.world.file, channels=(gated, *life.world.file.channels[1:])))
    begin(life)
    until(life, "a.gate", "awaiting_input")
    run, ti = life.world.waiting()[0]
    life.world.answer_too_soon(run, ti, "Approve")


# --- what is broken


Break = Callable[[pytest.MonkeyPatch, Rollouts], None]


def without(where: Any, name: str, gives: Any = None) -> Break:
    return lambda patch, _: patch.setattr(where, name, lambda *_, **__: gives)


def enter_obeys_the_file(patch: pytest.MonkeyPatch, life: Rollouts) -> None:
    opened = enter.EnterOperator.rollout

    def rollout(self: Any, context: Any) -> Any:
        found = opened(self, context)
        file = life.world.file
        found.__dict__["plan"] = replace(found.plan, definition=file, shape=tuple(file.shape))
        return found

    patch.setattr(enter.EnterOperator, "rollout", rollout)


def judges_see_no_harm(patch: pytest.MonkeyPatch, _: Rollouts) -> None:
    fine = Decision(Verdict.PROMOTE, "all is well")
    for module in (health, soak):
        patch.setattr(module, "judge", lambda _: fine)


def captures_are_made_again(patch: pytest.MonkeyPatch, _: Rollouts) -> None:
    capture, before = RolloutRecords.capture, RolloutRecords.before

    def again(self: RolloutRecords, state: Any, *, channel: str, target: str, at: Any) -> None:
        path = self._before(channel) / f"{target}.json"
        path.unlink(missing_ok=True)
        capture(self, state, channel=channel, target=target, at=at)

    patch.setattr(RolloutRecords, "capture", again)
    step = apply.ApplyOperator._step

    def anew(self: Any, *args: Any, **kwargs: Any) -> Any:
        patch.setattr(RolloutRecords, "before", lambda *_, **__: None)
        try:
            return step(self, *args, **kwargs)
        finally:
            patch.setattr(RolloutRecords, "before", before)

    patch.setattr(apply.ApplyOperator, "_step", anew)


def those_on_hold_are_handed_out(patch: pytest.MonkeyPatch, _: Rollouts) -> None:
    handed_out = Channel.handed_out

    def all_of(channel: Channel) -> Channel:
        return replace(channel, targets=(*channel.targets, *channel.on_hold), on_hold=())

    patch.setattr(Channel, "handed_out", lambda self: handed_out(all_of(self)))

    def found(self: Rollout, channel: str, names: Any) -> Any:
        known = {t.name: t for t in all_of(self.plan.definition.channel(channel)).targets}
        return [known[n] for n in names]

    patch.setattr(Rollout, "targets", found)


def nobody_looks_for_an_answer(patch: pytest.MonkeyPatch, _: Rollouts) -> None:
    def asks(self: Any, context: Any, **_: Any) -> Any:
        return HITLOperator.execute(self, context)

    patch.setattr(Question, "ask", asks)


def nobody_takes_a_lock(patch: pytest.MonkeyPatch, _: Rollouts) -> None:
    @contextmanager
    def held(*_: Any, **__: Any) -> Iterator[None]:
        yield

    patch.setattr(locks, "held", held)


@dataclass(frozen=True)
class Guard:
    """A guard by what it says, how to remove it, and a life in which it is missed."""

    says: str
    remove: Break
    life: Callable[[Rollouts], None]

    def __str__(self) -> str:
        return self.says.replace(" ", "-")


GUARDS = [
    Guard(
        "no channel is entered behind a rollback of an earlier one",
        without(guards, "_no_earlier_rollback"),
        a_rollback_is_followed_by_a_clear_further_on,
    ),
    Guard(
        "nothing is applied behind the fence",
        without(apply, "may_mutate"),
        an_apply_outlives_the_rollback,
    ),
    Guard(
        "a mutation holds the lock of its target",
        nobody_takes_a_lock,
        an_apply_stands_before_its_mutation_while_the_rollback_begins,
    ),
    Guard(
        "what was captured is restored",
        without(RolloutRecords, "captured", []),
        a_target_refuses,
    ),
    Guard(
        "the outcome wants graduations",
        without(outcome, "may_finish"),
        gates_are_marked_after_a_rollback,
    ),
    Guard(
        "the verdict wants an outcome",
        without(outcome, "_why_unfinished"),
        a_target_refuses,
    ),
    Guard(
        "the verdict sweeps",
        without(outcome, "restore"),
        the_run_is_marked_failed,
    ),
    Guard(
        "enter obeys the plan",
        enter_obeys_the_file,
        the_order_of_the_file_is_changed,
    ),
    Guard(
        "a newer rollout owns the targets",
        without(guards, "_no_newer"),
        an_earlier_rollout_is_cleared,
    ),
    Guard(
        "harm is not judged good",
        judges_see_no_harm,
        somebody_changes_a_target_while_it_soaks,
    ),
    Guard(
        "what ran before is captured once",
        captures_are_made_again,
        an_apply_is_killed_before_it_is_recorded,
    ),
    Guard(
        "a channel is entered on a recorded graduation",
        without(guards, "why_not_passed"),
        a_soak_and_its_health_are_marked,
    ),
    Guard(
        "every target of a judged channel was verified",
        without(health, "may_judge"),
        an_apply_is_marked_before_it_ran,
    ),
    Guard(
        "that targets run the change is no evidence",
        without(preview, "graduated_in", gives="manual__0"),
        the_targets_of_a_channel_run_the_change_already,
    ),
    Guard(
        "what a rollout left behind is no evidence",
        without(preview, "graduated_in", gives="manual__1"),
        a_rollout_is_given_up_and_tried_again,
    ),
    Guard(
        "what passed unchanged is looked at again",
        without(enter, "hold_while_others_run"),
        a_channel_that_passed_unchanged_is_changed,
    ),
    Guard(
        "only approvers approve",
        without(Plan, "objection_to"),
        the_wrong_person_approves,
    ),
    Guard(
        "a bypass is authorized by a person",
        without(enter, "_needs_authorization", gives=False),
        an_authorization_is_marked,
    ),
    Guard(
        "each start of a target is claimed",
        without(tolerance, "is_claimed", gives=True),
        an_apply_is_killed_and_the_next_wave_comes_before_its_retry,
    ),
    Guard(
        "a rollback pauses when restores fail",
        without(restore, "pause_when_too_many_fail"),
        a_target_cannot_be_restored,
    ),
    Guard(
        "no run ends green while the file is another one",
        without(outcome, "hold_while_edited"),
        the_file_is_edited_behind_the_last_gate,
    ),
    Guard(
        "a regular rollout stands down before an emergency",
        without(guards, "_no_newer"),
        an_emergency_overtakes,
    ),
    Guard(
        "a target on hold is left out",
        those_on_hold_are_handed_out,
        a_target_is_in_quarantine,
    ),
    Guard(
        "a bypass is owed",
        without(outcome, "owe"),
        the_same_change_comes_after_an_emergency,
    ),
    Guard(
        "nothing else is rolled out while a bypass is owed",
        without(plan, "made_good_by", gives=()),
        another_change_comes_after_an_emergency,
    ),
    Guard(
        "a full rollout pays",
        without(outcome, "pay"),
        the_same_change_comes_after_an_emergency,
    ),
    Guard(
        "an answer that was given is looked for",
        nobody_looks_for_an_answer,
        an_answer_comes_too_soon,
    ),
]


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_a_guard_keeps_the_promises(life: Rollouts, guard: Guard) -> None:
    guard.life(life)
    life.it_is_left_alone()
    life.nothing_is_wrong()


@pytest.mark.parametrize("guard", GUARDS, ids=str)
def test_a_guard_once_removed_is_missed(life: Rollouts, guard: Guard) -> None:
    guard.remove(life.patch, life)
    guard.life(life)
    life.it_is_left_alone()
    assert life.oracle.wrong


def test_no_channel_is_entered_while_a_rollback_is_armed(life: Rollouts) -> None:
    begin(life)
    until(life, "b.enter")
    run = life.world.runs[0]
    life.world.clear(run, run.instances.of("b.enter")[0], downstream=True)
    life.world.clear(run, run.instances.of("a.health")[0], downstream=False)
    life.world.fleet.boxes["a0"].harm = True
    into(life, "a.health", "the end")
    life.it_is_left_alone()
    life.nothing_is_wrong()


def test_an_apply_that_was_let_through_is_waited_for_by_the_rollback(life: Rollouts) -> None:
    life.world.fleet.hasty = True
    an_apply_stands_before_its_mutation_while_the_rollback_begins(life)
    life.it_is_left_alone()
    life.nothing_is_wrong()


def test_a_rollback_that_was_stopped_restores_nothing(life: Rollouts) -> None:
    somebody_stops_the_rollback(life)
    life.it_is_left_alone()
    life.nothing_is_wrong()


def test_a_rollback_that_goes_on_after_a_stop_is_missed(life: Rollouts) -> None:
    somebody_stops_the_rollback(life)
    life.patch.setattr(restore, "pause_when_too_many_fail", lambda _: None)
    life.it_is_left_alone()
    assert any("stopped the rollback" in wrong for wrong in life.oracle.wrong)


def test_an_order_that_was_changed_and_changed_back_rolls_nothing_back(life: Rollouts) -> None:
    slow = (replace(c, soak=timedelta(minutes=1)) for c in life.world.file.channels)
    life.original = replace(life.world.file, channels=tuple(slow))
    life.world.edit(life.original)
    the_file_is_edited_and_edited_back(life, edited(life.original, 0), held="c.enter")
    assert {act.kind for act in life.world.fleet.log} == {"apply", "verified"}


def test_an_approval_that_was_removed_and_comes_back_rolls_nothing_back(life: Rollouts) -> None:
    first, *others = life.world.file.channels
    gated = replace(first, gate=frozenset({GateKind.APPROVAL}))
    file = life.world.file
    life.original = replace(file, channels=(gated, *others))
    life.world.edit(life.original)
    begin(life)
    until(life, "a.soak", "deferred")
    life.world.edit(file)
    until(life, "b.enter", "deferred")
    life.world.edit(life.original)
    for _ in range(6):
        life._next(answering=True)
    clear(life, "a.gate")  # as the reason of the hold says
    life.it_is_left_alone()
    life.nothing_is_wrong()
    assert {act.kind for act in life.world.fleet.log} == {"apply", "verified"}


def the_file_is_edited_and_edited_back(life: Rollouts, edit: Definition, *, held: str) -> None:
    begin(life)
    until(life, "a.soak", "deferred")
    life.world.edit(edit)
    until(life, held, "deferred")
    life.world.edit(life.original)
    life.it_is_left_alone()
    life.nothing_is_wrong()
