"""Judges a world by what was done to its targets. Reads neither records nor task states.

The product's ledger is never asked: what is compared is the fleet's own log, what processes came
to, and what people did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from phased_rollout.model.definition import (
    Channel,
    Concurrency,
    Definition,
    GateKind,
    OnFailure,
    RollbackScope,
)
from tests.properties.fleet import HALF, Act, render
from tests.properties.processes import Process
from tests.properties.states import SKIPPED, SUCCESS
from tests.properties.world import GO_ON, KEEP, STOP, Happening, Run, World

NEVER = datetime.min.replace(tzinfo=UTC)
MUTATIONS = ("apply", "restore", "hand")
PASSED = (SUCCESS, SKIPPED)
OUTSIDE = ("began", "killed", "lost")
"""What is told of a process, but is nothing that it came to itself."""
UNDECIDED = ("failed", "killed", "lost", "cleared", "marked", "lost its answer")
"""After these, an earlier decision to keep everything may not count any more."""


@dataclass
class Oracle:
    """Collects what must not have happened, in words."""

    world: World
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world.fleet.watch.append(self._look)
        self.world.watch.append(self._hear)

    # --- as it happens

    def _look(self, act: Act) -> None:
        run = next((r for r in self.world.runs if r.run_id == act.run), None)
        if run is None or act.kind not in ("apply", "restore", "refused"):
            return
        if run.planned is None:
            self._say(act, "although no plan was frozen")
            return
        planned = obeyed(run, run.planned)
        channel = next(
            (c for c in planned.channels if act.target in [t.name for t in c.targets]), None
        )
        if channel is None:
            self._say(act, "although it is not in the plan")
        elif act.kind == "restore":
            self._look_at_restore(run, channel, act)
            self._look_at_pause(run, planned, act)
        else:
            self._look_at_claims(run, channel, act)
            if act.kind == "apply":
                self._look_at_apply(run, planned, channel, act)

    def _look_at_apply(self, run: Run, planned: Definition, channel: Channel, act: Act) -> None:
        if act.after != render(run.text, channel.name).digest:
            self._say(act, "which is not what was planned")
        if channel.name in bypassed(run):
            self._say(act, "although the channel is bypassed")
        if newer := self._newer(run, act.at):
            self._say(act, f"although {newer} has begun")
        second = needs_second_person(run)
        if (self.world.fleet.destructive or second) and not self._is_authorized(run):
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
            told = ("verified", "kept")
            since = [a.kind for a in before if a.number > last.number and a.kind not in told]
            if not since or (last.process is act.process and "restore" not in since):
                self._say(act, "for the second time")

    def _look_at_claims(self, run: Run, channel: Channel, act: Act) -> None:
        """No more targets have failed or are being changed than may fail, and one."""
        if channel.waves.concurrency is Concurrency.SOFT:
            return
        entered = self._last(run, f"{channel.name}.enter")
        names = [t.name for t in channel.targets]
        open_ = [n for n in names if n == act.target or self._is_open(run, n, since=entered)]
        if len(open_) > channel.max_failed + 1:
            self._say(act, f"although {channel.max_failed} may fail, and open are {open_}")

    def _is_open(self, run: Run, target: str, *, since: datetime) -> bool:
        """Whether the target was started, and was not verified since."""
        kinds = ("apply", "refused", "failed", "verified")
        acts = [a for a in self._acts(target) if a.run == run.run_id and a.kind in kinds]
        return bool(acts) and acts[-1].kind != "verified" and acts[-1].at > since

    def _look_at_pause(self, run: Run, planned: Definition, act: Act) -> None:
        """After too many failed restores, or a stop, a person has to say "Go on" first."""
        process = act.process
        if process is None or not process.name.startswith("rollback."):
            return
        began = next(h.at for h in self._of(run) if h.process is process)
        said = [h for h in self._of(run) if h.what == "answered" and h.at < began]
        goes_on = max((h.at for h in said if h.detail.startswith(GO_ON)), default=NEVER)
        stopped = max((h.at for h in said if h.detail.startswith(STOP)), default=NEVER)
        since = max(goes_on, *(self._last(run, f"{c.name}.enter") for c in planned.channels))
        if stopped > since:
            self._say(act, "although somebody stopped the rollback")
        kept = self._kept(run, process, began=began, wave=planned.rollback_wave)
        failed = {a.target for a in kept if a.at > since}
        if len(failed) >= planned.pause_after:
            self._say(act, f"although {sorted(failed)} could not be restored")

    def _kept(self, run: Run, process: Process, *, began: datetime, wave: int) -> list[Act]:
        """Give the failed restores that the wave of this process must know of."""
        tries = [a for a in self.world.fleet.log if a.kind in ("kept", "restore")]
        own = [a for a in tries if a.process is process][:-1]  # the last one is what is judged
        known = own[: max(0, len(own) - wave + 1)]
        over = {h.process for h in self._of(run) if h.what not in OUTSIDE and h.at < began}
        known += [a for a in tries if a.process in over and a.run == run.run_id]
        return [
            a
            for a in known
            if a.kind == "kept" and a.process and a.process.name.startswith("rollback.")
            if [o for o in self._acts(a.target) if o.kind != "kept"][-1].number < a.number
        ]

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
        return "Approve by alice" in said or (
            "Approve by trudy" in said and not needs_second_person(run)
        )

    # --- what processes come to

    def _hear(self, happening: Happening) -> None:
        run = next(r for r in self.world.runs if r.run_id == happening.run)
        process, task, what = happening.process, happening.task, happening.what
        if process and (task, what) == ("plan", "began"):
            process.seen["owed"] = self._owed()
        if what == "awaiting_input":
            self._look_for_lost_answer(run, happening)
        if process is None or what not in PASSED:
            return
        if task == "plan":
            self._look_at_debts(run, process.seen["owed"])
        held = task.endswith(".enter") or task == "outcome"
        if held and run.planned and shape_of(process.file) != shape_of(run.planned):
            self.wrong.append(f"{run.run_id}: {task} passed although the file is another one")
        if task == "outcome" and run.tier == "none" and (unpaid := {*run.owed} & {*self._owed()}):
            self.wrong.append(f"{run.run_id} ended, but {sorted(unpaid)} still owe a bypass")

    def _look_at_debts(self, run: Run, owed: list[str]) -> None:
        texts = [r.text for r in self.world.runs if r.run_id == (owed or [""])[-1]]
        if run.tier == "none" and texts not in ([], [run.text]):
            self.wrong.append(f"{run.run_id} was planned, although {owed} owe a bypass of {texts}")

    def _look_for_lost_answer(self, run: Run, asked: Happening) -> None:
        """Whoever has answered is not asked again (the pause of a rollback: may be)."""
        lost = [h.at for h in self._of(run) if (h.task, h.what) == (asked.task, "lost its answer")]
        if lost and not self._meddled(run, after=lost[-1]) and ".gate" in f".{asked.task}":
            self.wrong.append(f"{run.run_id}: {asked.task} was answered, and asks again")

    def _owed(self, *, paid: bool = False) -> list[str]:
        """Name the runs that owe a bypass, as what is told of it to people says."""
        folder = self.world.base / "records" / "rollouts" / self.world.file.name / "debts"
        names = sorted(p.name for p in folder.glob("*~*.json"))
        mark = ".paid.json"
        over = [] if paid else [n.removesuffix(mark) for n in names if n.endswith(mark)]
        debts = [n.removesuffix(".json") for n in names if not n.endswith(mark)]
        return [n.split("~")[1] for n in debts if n not in over]

    # --- when a run has ended

    def look_at_end(self, run: Run) -> None:
        """Compare what the targets run with how the run has ended."""
        self._look_at_debt(run)
        if run.planned is None or self._newer(run, self.world.clock.at):
            return
        planned = obeyed(run, run.planned)
        if run.instances.green:
            for channel in planned.channels:
                if channel.name not in bypassed(run):
                    self._look_at_graduated(run, channel)
            return
        kept = any(h.what == "answered" and KEEP in h.detail for h in self._of(run))
        if not kept:
            for channel in self._to_restore(run, planned):
                for target in channel.targets:
                    self._look_at_left(run, channel, target.name)

    def _look_at_debt(self, run: Run) -> None:
        """A bypass is owed when the run ended green, or what it did was kept; else it is not."""
        told = [h for h in self._of(run) if h.process and h.what not in OUTSIDE]
        decided = [h for h in told if h.task == "rollback.decide"][-1:]
        kept = [h for h in decided if h.what == SKIPPED and "keep" in h.detail]
        owes = run.run_id in self._owed(paid=True)
        began = any((h.task, h.what) == ("outcome", "began") for h in self._of(run))
        if owes and (run.tier == "none" or not (began or kept)):
            self.wrong.append(f"{run.run_id} owes a bypass, but has left nothing out")
        if owes or run.tier == "none" or not run.planned:
            return
        if run.instances.green:
            self.wrong.append(f"{run.run_id} ended green, but owes no bypass")
        later = [h for h in self._of(run) if kept and h.at > kept[0].at]
        if kept and not [h for h in later if h.what in UNDECIDED and h.task != "rollback.verdict"]:
            self.wrong.append(f"{run.run_id} was kept as it is, but owes no bypass")

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
            if self._is_reported(run, "rollback.verdict", "the rollback paused"):
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

    def _last(self, run: Run, task: str) -> datetime:
        """Give when a process of the task was last heard of."""
        return max((h.at for h in self._of(run) if h.task == task and h.process), default=NEVER)

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
        made = run.made or NEVER
        others = [r for r in self.world.runs if r.made and r.made > made]
        return next((r.run_id for r in others if r.frozen and r.frozen < at), None)


def bypassed(run: Run) -> set[str]:
    """Name the channels that a run was asked to leave out."""
    return set(run.conf.get("bypass_channels", ()))


def needs_second_person(run: Run) -> bool:
    """Whether who triggered the run may not authorize what it leaves out."""
    return run.tier in ("skip_channels", "fleet_wide")


def obeyed(run: Run, planned: Definition) -> Definition:
    """Give the definition that a run has to obey, after what it was asked to leave out."""

    def one(channel: Channel) -> Channel:
        if run.tier == "shorten_soak":
            return replace(channel, soak=min(channel.soak, planned.emergency.soak))
        if run.tier == "fleet_wide":
            waves = replace(channel.waves, concurrency=Concurrency.SOFT)
            gate = frozenset({GateKind.TIMER})
            return replace(channel, soak=timedelta(), gate=gate, waves=waves)
        return channel

    return replace(planned, channels=tuple(map(one, planned.channels)))


def shape_of(file: Definition) -> object:
    """Give what the order of the tasks is made from."""
    channels = [(c.name, GateKind.APPROVAL in c.gate) for c in file.channels]
    return (channels, file.on_failure)
