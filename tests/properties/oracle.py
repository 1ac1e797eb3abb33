"""Judges a world by what was done to its targets. Reads neither records nor task states.

The product's ledger is never asked: what is compared is the fleet's own log, what processes came
to, and what people did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from phased_rollout.model.definition import Channel, Definition, GateKind, OnFailure, RollbackScope
from tests.properties.fleet import HALF, Act, render
from tests.properties.processes import Process
from tests.properties.world import KEEP, Happening, Run, World

NEVER = datetime.min.replace(tzinfo=UTC)
MUTATIONS = ("apply", "restore", "hand")


@dataclass
class Oracle:
    """Collects what must not have happened, in words."""

    world: World
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.fleet.watch.append(self._look)

    # --- as it happens

    def _look(self, act: Act) -> None:
        run = next((r for r in self.world.runs if r.run_id == act.run), None)
        if run is None or act.kind not in ("apply", "restore"):
            return
        if run.planned is None:
            self._say(act, "although no plan was frozen")
            return
        channel = next(
            (c for c in run.planned.channels if act.target in [t.name for t in c.targets]), None
        )
        if channel is None:
            self._say(act, "although it is not in the plan")
        elif act.kind == "apply":
            self._look_at_apply(run, run.planned, channel, act)
        else:
            self._look_at_restore(run, channel, act)

    def _look_at_apply(self, run: Run, planned: Definition, channel: Channel, act: Act) -> None:
        if act.after != render(run.text, channel.name).digest:
            self._say(act, "which is not what was planned")
        if channel.name in bypassed(run):
            self._say(act, "although the channel is bypassed")
        if newer := self._newer(run, act.at):
            self._say(act, f"although {newer} has begun")
        if (self.world.fleet.destructive or bypassed(run)) and not self._is_authorized(run):
            self._say(act, "although nobody authorized it")
        earlier = planned.channels[: planned.channels.index(channel)]
        for other in earlier:
            if other.name in bypassed(run) or self._passed(run, other, act):
                continue
            if not self._had_nothing_to_change(run, other, channel, act):
                self._say(act, f"although {other.name} has not been passed")
        for other in (*earlier, channel):
            self._look_at_fence(run, other, channel, act)
        self._look_for_second(act)

    def _look_at_fence(self, run: Run, other: Channel, channel: Channel, act: Act) -> None:
        """Behind a rollback of this channel or an earlier one, both have to be entered anew."""
        undone = self._rolled_back(run, other)
        for name in {other.name, channel.name} - bypassed(run):
            if undone and not self._began(run, f"{name}.enter", after=undone):
                self._say(
                    act, f"although {other.name} was rolled back and {name} not entered since"
                )
        if run.planned and run.planned.on_failure is OnFailure.ROLLBACK:
            failed = [h for h in self._of(run) if h.what == "failed" and "rollback." not in h.task]
            armed = [h for h in failed if h.at < act.at]
            if armed and not self._meddled(run, after=armed[-1].at):
                self._say(act, f"although {armed[-1].task} had failed before")

    def _look_for_second(self, act: Act) -> None:
        before = [a for a in self._acts(act.target) if a.number < act.number]
        last = next((a for a in reversed(before) if a.kind == "apply"), None)
        if last and last.run == act.run:
            since = [a.kind for a in before if a.number > last.number]
            if not since or (last.process is act.process and "restore" not in since):
                self._say(act, "for the second time")

    def _look_at_restore(self, run: Run, channel: Channel, act: Act) -> None:
        before = [a for a in self._acts(act.target) if a.number < act.number]
        mutations = [a for a in before if a.kind in MUTATIONS]
        if not mutations or (mutations[-1].run, mutations[-1].kind) != (run.run_id, "apply"):
            what = f"{mutations[-1].kind} of {mutations[-1].run}" if mutations else "nothing"
            self._say(act, f"although what was done last is: {what}")
            return
        if newer := self._newer(run, act.at):
            self._say(act, f"although {newer} has begun")
        era = max(
            (a.number for a in before if a.kind == "restore" and a.run == run.run_id), default=-1
        )
        own = [a for a in mutations if a.run == run.run_id and a.number > era]
        found = {own[0].before, run.found.get(act.target) if era < 0 else own[0].before}
        found |= {a.before for a in mutations if era < a.number < own[0].number}
        if act.after not in found:
            self._say(act, f"although it ran {sorted(map(str, found))} before")

    def _passed(self, run: Run, channel: Channel, act: Act) -> bool:
        """Whether somebody saw all targets of the channel run the change well, after its soak."""
        undone = self._rolled_back(run, channel) or NEVER
        for judged in self._of(run):
            if (judged.task, judged.what) != (f"{channel.name}.health", "began"):
                continue
            if judged.at > undone and judged.process:
                good = self._saw_it_well(run, channel, judged.process, at=judged.at)
                if good and self._is_approved(run, channel, after=judged.at):
                    return True
        return False

    def _had_nothing_to_change(self, run: Run, channel: Channel, into: Channel, act: Act) -> bool:
        """Whether both entries saw its targets run what the last rollout in there had passed with.

        This rollout itself must never have come into the channel.
        """
        goal = render(run.text, channel.name).digest

        def seen(task: str, what: str) -> bool:
            return any(
                all(h.process.seen.get(t.name) == goal for t in channel.targets)
                for h in self._of(run)
                if (h.task, h.what) == (task, what) and h.process
            )

        def entered(other: Run) -> bool:
            wanted = (f"{channel.name}.enter", "success")
            return any((h.task, h.what) == wanted for h in self._of(other))

        last = [r for r in self.world.runs[: self.world.runs.index(run)] if entered(r)][-1:]
        return (
            not entered(run)
            and seen(f"{channel.name}.enter", "skipped")
            and seen(f"{into.name}.enter", "success")
            and any(r.text == run.text and self._passed(r, channel, act) for r in last)
        )

    def _saw_it_well(self, run: Run, channel: Channel, process: Process, *, at: datetime) -> bool:
        goal = render(run.text, channel.name).digest
        soaked = True
        bad = 0
        for name in [t.name for t in channel.targets]:
            applied = [a for a in self._acts(name) if a.run == run.run_id and a.at < at]
            mutated = [a.at for a in applied if a.kind == "apply"]
            silent = GateKind.HEALTH in channel.gate and (name, "unknown") in process.seen
            if process.seen.get(name) == goal and (name, "harm") not in process.seen and not silent:
                soaked = soaked and all(at >= m + channel.soak for m in mutated[-1:])
            elif any(a.kind in ("refused", "failed") for a in applied):
                bad += 1
            else:
                return False
        return soaked and bad <= channel.max_failed

    def _is_approved(self, run: Run, channel: Channel, *, after: datetime) -> bool:
        return not channel.needs_approval or any(
            h.what == "answered" and h.at > after and h.detail == "Approve by alice"
            for h in self._of(run)
            if h.task == f"{channel.name}.gate"
        )

    def _is_authorized(self, run: Run) -> bool:
        said = [h.detail for h in self._of(run) if (h.task, h.what) == ("authorize", "answered")]
        return "Approve by alice" in said or ("Approve by trudy" in said and not bypassed(run))

    # --- when a run has ended

    def look_at_end(self, run: Run) -> None:
        """Compare what the targets run with how the run has ended."""
        if run.planned is None or self._newer(run, self.world.clock.at):
            return
        if run.instances.green:
            for channel in run.planned.channels:
                if channel.name not in bypassed(run):
                    self._look_at_graduated(run, channel)
            return
        kept = any(h.what == "answered" and KEEP in h.detail for h in self._of(run))
        if not kept:
            for channel in self._to_restore(run, run.planned):
                for target in channel.targets:
                    self._look_at_left(run, channel, target.name)

    def _look_at_graduated(self, run: Run, channel: Channel) -> None:
        goal, exceptions = render(run.text, channel.name).digest, 0
        for name in [t.name for t in channel.targets]:
            acts = [a for a in self._acts(name) if a.kind in MUTATIONS]
            if self.world.fleet.boxes[name].digest != goal and acts[-1:] != [
                a for a in acts[-1:] if a.kind == "hand"
            ]:
                exceptions += 1
                if not self._is_reported(run, "outcome", name):
                    self.wrong.append(f"{run.run_id} ended green, but {name} runs something else")
        if exceptions > channel.max_failed:
            self.wrong.append(
                f"{run.run_id} ended green with {exceptions} failed in {channel.name}"
            )

    def _look_at_left(self, run: Run, channel: Channel, name: str) -> None:
        goal = render(run.text, channel.name).digest
        box = self.world.fleet.boxes[name]
        mutations = [a for a in self._acts(name) if a.kind in MUTATIONS]
        if not mutations or (mutations[-1].run, mutations[-1].kind) != (run.run_id, "apply"):
            return
        if box.digest in (goal, HALF + goal) or box.operation:
            if goal in (run.found.get(name), mutations[-1].before):
                return
            if self._is_after_the_last_word(run, mutations[-1]):
                return
            if not self._is_reported(run, "rollback.", f"not restored: {name}"):
                self.wrong.append(
                    f"{run.run_id} ended failed, but {name} was left with {box.digest}"
                )

    def _is_after_the_last_word(self, run: Run, act: Act) -> bool:
        """Whether somebody let a task run again after the verdict, but not the verdict."""
        said = [h for h in self._of(run) if (h.task, h.what) == ("rollback.verdict", "failed")]
        began = [h for h in self._of(run) if h.process is act.process and h.what == "began"]
        return bool(said and began) and began[0].at > said[-1].at

    def _is_reported(self, run: Run, task: str, text: str) -> bool:
        return any(h.task.startswith(task) and text in h.detail for h in self._of(run))

    def _to_restore(self, run: Run, planned: Definition) -> list[Channel]:
        if planned.rollback_scope is RollbackScope.ALL_CHANNELS:
            return list(planned.channels)
        entered = [
            h.task.removesuffix(".enter")
            for h in self._of(run)
            if h.task.endswith(".enter") and h.what == "success"
        ]
        return [c for c in planned.channels if c.name in entered[-1:]]

    # --- what was

    def _say(self, act: Act, what: str) -> None:
        self.wrong.append(f"{act.run}: {act.kind} {act.target} ({act.before} → {act.after}) {what}")

    def _acts(self, target: str) -> list[Act]:
        return [a for a in self.world.fleet.log if a.target == target]

    def _of(self, run: Run) -> Iterator[Happening]:
        return (h for h in self.world.happenings if h.run == run.run_id)

    def _rolled_back(self, run: Run, channel: Channel) -> datetime | None:
        """Give when a target of the channel was last restored by a rollback, not by an apply."""
        names = {t.name for t in channel.targets}
        acts = [
            a.at
            for a in self.world.fleet.log
            if a.target in names and a.kind == "restore" and a.run == run.run_id
            if a.process and a.process.name.startswith("rollback.")
        ]
        return max(acts, default=None)

    def _began(self, run: Run, task: str, *, after: datetime) -> bool:
        return any(h.task == task and h.what == "began" and h.at > after for h in self._of(run))

    def _meddled(self, run: Run, *, after: datetime) -> bool:
        return any(h.what in ("cleared", "marked") and h.at > after for h in self._of(run))

    def _newer(self, run: Run, at: datetime) -> str | None:
        later = self.world.runs[self.world.runs.index(run) + 1 :]
        return next((r.run_id for r in later if r.frozen and r.frozen < at), None)


def bypassed(run: Run) -> set[str]:
    """Name the channels that a run was asked to leave out."""
    return set(run.conf.get("bypass_channels", ()))
