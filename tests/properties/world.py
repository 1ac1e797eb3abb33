"""A small Airflow around the real tasks of a Dag: scheduler, processes, triggers, people."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSkipException,
    DownstreamTasksSkipped,
    TaskAwaitingInput,
    TaskDeferred,
)
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from phased_rollout.dag_factory import build_dag
from phased_rollout.model.definition import Definition
from phased_rollout.operators.callbacks import record_and_arm
from phased_rollout.sensors.health import HealthSensor
from phased_rollout.triggers.approval import ApprovalTrigger
from tests.properties.fleet import Box, Fleet
from tests.properties.processes import Clock, Process, point
from tests.properties.states import (
    AWAITING,
    DEFERRED,
    FAILED,
    RESCHEDULE,
    RESTARTING,
    RETRY,
    RUNNING,
    SCHEDULED,
    SKIPPED,
    SUCCESS,
    Instances,
    Ti,
)

RETRY_DELAY = timedelta(seconds=5)
KEEP = "Keep as it is"
GO_ON, STOP = "Go on", "Stop"
NO_PARAMS = {"parameters": {}, "bypass": "none", "bypass_channels": [], "bypass_reason": ""}
_NOT_YET = object()
_DAGS: dict[str, DAG] = {}


@dataclass(frozen=True)
class Happening:
    """What a process really came to (never what a person marked), or what a person did.

    :param what: a state, "began", "cleared", "marked" or "answered"
    """

    at: datetime
    run: str
    task: str
    what: str
    process: Process | None = None
    detail: str = ""


@dataclass(frozen=True)
class Action:
    """Something that may happen next, not before a moment."""

    name: str
    at: datetime
    do: Callable[[int | None], None]


@dataclass(eq=False)
class Run:
    """A Dag run: what it was triggered with, and its task instances.

    :param emergency: of the emergency Dag
    :param planned: the definition that was in the file when the plan was frozen
    :param made: what the plan says of when it was made: the last one owns the targets
    :param frozen: when its plan began to hold
    :param owed: the runs that owed a bypass when its plan was made
    :param found: what the targets ran when it was triggered
    """

    instances: Instances
    text: str
    conf: dict[str, Any]
    emergency: bool = False
    planned: Definition | None = None
    made: datetime | None = None
    frozen: datetime | None = None
    owed: list[str] = field(default_factory=list)
    found: dict[str, str | None] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        return self.instances.run_id

    @property
    def tier(self) -> str:
        return str(self.conf.get("bypass", "none"))


@dataclass(eq=False)
class World:
    """Everything around the product. ``file`` is the definition as the file has it now.

    :param answers: what Airflow keeps of the answer to a question, by task instance, until it is
        asked again
    :param broken: what must never happen around the product: a failure callback that breaks
    """

    base: Path
    clock: Clock
    fleet: Fleet
    file: Definition
    runs: list[Run] = field(default_factory=list)
    orphans: list[Process] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    watch: list[Callable[[Happening], None]] = field(default_factory=list)
    count: int = 0

    # --- what people do

    def begin(self, text: str, *, emergency: bool = False, **conf: Any) -> Run:
        """Trigger a rollout of the change of that name."""
        self.leave_locks()
        dag = dag_of(self.file, self.base, emergency=emergency)
        instances = Instances(dag.dag_id, f"manual__{len(self.runs) + 1}", dag)
        instances.follow(dag)
        found = {name: box.digest for name, box in self.fleet.boxes.items()}
        run = Run(instances, text, conf, emergency, found=found)
        self.runs.append(run)
        return run

    def edit(self, definition: Definition) -> None:
        """Save another file: the Dags of runs in flight are rebuilt from it."""
        self.file = definition
        for target in [t for c in definition.channels for t in (*c.targets, *c.on_hold)]:
            self.fleet.boxes.setdefault(target.name, Box())
        for run in self.runs:
            if not run.instances.ended:
                self._follow(run)

    def clear(self, run: Run, ti: Ti, *, downstream: bool) -> None:
        """Clear a task, alone or with all that follows."""
        self._follow(run)
        if ti.task_id in run.instances.dag.task_dict:
            more = run.instances.downstream(ti) if downstream else []
            self._abandon(run.instances.clear([ti, *more]))
            self.tell(run, ti.task_id, "cleared")

    def mark(self, run: Run, ti: Ti, state: str) -> None:
        """Mark a task as success or failed."""
        self._follow(run)
        if ti.task_id in run.instances.dag.task_dict:
            self._abandon(run.instances.mark(ti, state))
            self.tell(run, ti.task_id, "marked", detail=state)

    def mark_run(self, run: Run, state: str) -> None:
        """Mark a whole run as success or failed."""
        self._abandon(run.instances.mark_run(state))
        self.tell(run, "", "marked", detail=state)

    def answer(self, run: Run, ti: Ti, option: str | None, *, user: str = "alice") -> None:
        """Answer what a task asks; no option is the deadline."""
        event = self._event(run, ti, option, user=user)
        ti.leave(SCHEDULED)
        ti.resume = ("execute_complete", {"event": event})

    def answer_too_soon(self, run: Run, ti: Ti, option: str, *, user: str = "alice") -> None:
        """Answer before the scheduler has noticed that the task waits: that fails the try."""
        self._event(run, ti, option, user=user)
        ti.leave(RUNNING)
        self._lost(run, ti, noticed=True, final=False)
        self.tell(run, ti.task_id, "lost its answer")

    def _event(self, run: Run, ti: Ti, option: str | None, *, user: str) -> dict[str, Any]:
        chosen = [option] if option else run.instances.dag.task_dict[ti.task_id].defaults
        event: dict[str, Any] = {
            "chosen_options": chosen,
            "params_input": {},
            "responded_at": self.clock.now(),
            "responded_by_user": {"id": user, "name": user} if option else None,
        }
        if chosen:
            self.answers[ti.id] = event
        else:
            event = {"error": "nobody answered", "error_type": "timeout"}
        self.tell(run, ti.task_id, "answered", detail=f"{chosen and chosen[0]} by {user}")
        return event

    # --- what goes wrong

    def processes(self) -> list[Process]:
        """All processes of tasks that live, in the order in which they were started."""
        tis = [t for run in self.runs for t in run.instances.tis.values()]
        found = [*self.orphans, *(t.process for t in tis if t.process and t.state == RUNNING)]
        return sorted(found, key=lambda p: p.number)

    def kill(self, process: Process, *, noticed: bool) -> None:
        """End the process of a task. ``noticed``: Airflow calls its failure callback, twice."""
        process.kill()
        if process in self.orphans:
            self._reap(process)
        for run, ti in self._of(process):
            self.tell(run, ti.task_id, "killed", process=process, detail=f"at: {process.label}")
            self._lost(run, ti, noticed=noticed, final=process.failing)

    def lose(self, process: Process) -> None:
        """Let Airflow believe that a process is gone, while it goes on."""
        for run, ti in self._of(process):
            if ti.state == RUNNING:
                self.tell(run, ti.task_id, "lost", process=process, detail=f"at: {process.label}")
                self._lost(run, ti, noticed=True, final=process.failing)
                self._abandon([process])

    def reap(self, process: Process) -> None:
        """Let a process notice that its task is no longer its own."""
        process.kill()
        self._reap(process)

    def leave_locks(self) -> None:
        """Let the processes that hold a lock get out of it: that takes a moment only."""
        for process in self.processes():
            while process.holds and not process.over:
                process.run(1)

    # --- what Airflow does

    def actions(self) -> list[Action]:
        """Give what may happen next, in a fixed order."""
        found = [
            Action(f"orphan {p.name} goes on", self.clock.at, partial(self._run_orphan, p))
            for p in self.orphans
        ]
        for run in self.runs:
            ready = run.instances.settle()
            for ti in run.instances.known:
                at = ti.not_before or self.clock.at
                waits = ti in ready or ti.state in (RETRY, RESCHEDULE, SCHEDULED)
                if ti.state == RUNNING and ti.process:
                    found.append(Action(f"{ti.name} goes on", at, ti.process.run))
                elif ti.state == DEFERRED:
                    found.append(Action(f"{ti.name}: trigger", at, partial(self._fire, ti)))
                elif waits and not run.instances.is_full(ti.task_id):
                    found.append(Action(f"{ti.name} starts", at, partial(self._start, run, ti)))
        return found

    def take(self, action: Action, points: int | None = None) -> None:
        """Let it happen, up to so many stops."""
        if action.at > self.clock.at + timedelta(seconds=1):
            self.leave_locks()
        self.clock.reach(action.at)
        self.fleet.finish()
        action.do(points)

    def waiting(self) -> list[tuple[Run, Ti]]:
        """Give the tasks that ask a person."""
        return [(r, t) for r in self.runs for t in r.instances.known if t.waits_for_a_person]

    def tell(
        self, run: Run, task: str, what: str, *, process: Process | None = None, detail: str = ""
    ) -> None:
        """Note what has happened."""
        happening = Happening(self.clock.now(), run.run_id, task, what, process, detail)
        self.happenings.append(happening)
        for look in self.watch:
            look(happening)

    def _follow(self, run: Run) -> None:
        dag = dag_of(self.file, self.base, emergency=run.emergency)
        self._abandon(run.instances.follow(dag))

    def _abandon(self, processes: Iterable[Process]) -> None:
        self.orphans += [p for p in processes if p not in self.orphans and not p.over]

    def _of(self, process: Process) -> list[tuple[Run, Ti]]:
        return [(r, t) for r in self.runs for t in r.instances.tis.values() if t.process is process]

    def _run_orphan(self, process: Process, points: int | None) -> None:
        process.run(points)
        if process.over:
            self._reap(process)

    def _reap(self, process: Process) -> None:
        self.orphans.remove(process)
        for _, ti in self._of(process):
            if ti.state == RESTARTING:
                ti.rest(None)

    def _lost(self, run: Run, ti: Ti, *, noticed: bool, final: bool) -> None:
        ends = final or ti.try_number > ti.max_tries
        if ends and noticed:
            for _ in range(2):
                self._call_back(self._context(run, ti), None)
        ti.rest(FAILED if ends else RETRY)
        ti.not_before = None if ends else self.clock.at + RETRY_DELAY
        ti.kills += 1

    def _process(self, run: Run, name: str, body: Callable[[Process], None]) -> Process:
        self.count += 1
        process = Process(self.count, name, run.run_id, lambda: None)
        process.body = lambda: body(process)
        return process

    def _start(self, run: Run, ti: Ti, points: int | None) -> None:
        task, resume = run.instances.dag.task_dict[ti.task_id], ti.resume
        if isinstance(task, EmptyOperator):
            ti.rest(SUCCESS)
            return
        if ti.state not in (RESCHEDULE, SCHEDULED):
            ti.xcom = None
            ti.try_number += 1
        operator = self._operator(run, ti, task)
        ti.rest(RUNNING)
        ti.process = self._process(run, ti.name, lambda p: self._work(run, ti, operator, resume, p))
        ti.process.file = self.file
        self.tell(run, ti.task_id, "began", process=ti.process)
        ti.process.run(points)

    def _operator(self, run: Run, ti: Ti, task: Any) -> Any:
        if isinstance(task, MappedOperator):
            return task.unmap({"wave": (run.instances.waves(ti) or [])[ti.map_index]})
        operator = task.prepare_for_execution()
        if ti.task_id.endswith(".soak"):
            applies = run.instances.of(ti.task_id.replace(".soak", ".apply"))
            operator.since = [a.xcom for a in applies if a.xcom]
        return operator

    def _work(self, run: Run, ti: Ti, operator: Any, resume: Any, process: Process) -> None:
        """Be the process of a task: what it comes to counts only while the task is its own."""
        error: BaseException | None = None
        value: Any
        context = self._context(run, ti)
        context["planned"] = getattr(operator, "planned", None)
        process.context = context
        try:
            value = self._call(operator, context, resume)
            what = RESCHEDULE if value is _NOT_YET else SUCCESS
        except TaskDeferred as wait:
            what, value = DEFERRED, wait
        except TaskAwaitingInput as wait:
            what, value = AWAITING, wait
        except AirflowRescheduleException as later:
            what, value = RESCHEDULE, later.reschedule_date
        except DownstreamTasksSkipped as skip:
            what, value = SUCCESS, skip
        except AirflowSkipException as skip:
            what, value = SKIPPED, skip
        except Exception as failure:  # noqa: BLE001  # as Airflow's task runner does
            final = isinstance(failure, AirflowFailException) or ti.try_number > ti.max_tries
            what, value, error = (FAILED if final else RETRY), failure, failure
        if what == FAILED:
            process.failing = True
            self._call_back(context, error)
        point("the end")
        told = AWAITING if _asks(value) else what
        self.tell(run, ti.task_id, told, process=process, detail=str(value))
        if ti.process is process and ti.state == RUNNING:
            self._conclude(run, ti, what, value, operator)

    def _call(self, operator: Any, context: Any, resume: Any) -> Any:
        if isinstance(operator, HealthSensor):
            return True if operator.poke(context) else _NOT_YET
        method, kwargs = resume or ("execute", {})
        return getattr(operator, method)(context, **kwargs)

    def _call_back(self, context: Any, error: BaseException | None) -> None:
        try:
            record_and_arm({**context, "exception": error})
        except Exception as broken:  # noqa: BLE001  # Airflow only logs it
            self.broken.append(f"the failure callback broke: {broken!r}")

    def _context(self, run: Run, ti: Ti) -> dict[str, Any]:
        dag_run = SimpleNamespace(run_id=run.run_id, conf=run.conf, triggering_user_name="trudy")
        params = {**NO_PARAMS, **run.conf, "change": f"changes/{run.text}"}
        seen = replace(ti)
        return {
            "run_id": run.run_id,
            "ti": seen,
            "task_instance": seen,
            "dag_run": dag_run,
            "params": params,
        }

    def _conclude(self, run: Run, ti: Ti, what: str, value: Any, operator: Any) -> None:
        ti.rest(what)
        if isinstance(value, DownstreamTasksSkipped):
            for other in run.instances.of(*value.tasks):
                if other.state is None:
                    other.rest(SKIPPED)
        elif what == SUCCESS:
            ti.xcom = value
        elif what == RETRY:
            ti.not_before = self.clock.at + RETRY_DELAY
        elif what == RESCHEDULE and isinstance(value, datetime):
            ti.not_before = value
        elif what == RESCHEDULE:
            ti.not_before = self.clock.at + timedelta(seconds=float(operator.poke_interval))
        elif what == DEFERRED:
            self._defer(run, ti, value)

    def _defer(self, run: Run, ti: Ti, wait: TaskDeferred) -> None:
        resume = (wait.method_name, json.loads(json.dumps(wait.kwargs or {})))
        moment = getattr(wait.trigger, "moment", None)
        if moment is not None:
            ti.not_before = datetime.fromisoformat(moment.isoformat()).astimezone(UTC)
        ti.asks = _asks(wait)
        ti.process = self._process(
            run, f"trigger of {ti.name}", lambda p: self._watch(ti, wait.trigger, resume, p)
        )

    def _fire(self, ti: Ti, _points: int | None) -> None:
        if ti.process:
            ti.process.run(1)

    def _watch(self, ti: Ti, trigger: Any, resume: Any, process: Process) -> None:
        """Be the triggerer: at each sleep of the trigger the test says what happens next."""
        moment = getattr(trigger, "moment", None)
        event = TriggerEvent(moment) if moment else self._first(ti, trigger, process)
        if ti.process is process:
            ti.rest(SUCCESS if isinstance(event, TaskSuccessEvent) else SCHEDULED)
            if ti.state == SCHEDULED:
                method, kwargs = resume
                ti.resume = (method, {**kwargs, "event": event and event.payload})

    def _first(self, ti: Ti, trigger: Any, process: Process) -> Any:
        step = trigger.run().__anext__()
        while True:
            try:
                seconds = step.send(None)
            except StopIteration as found:
                return found.value
            if ti.process is process:
                ti.not_before = self.clock.at + timedelta(seconds=seconds)
            point("sleeps")


def _asks(value: Any) -> bool:
    """Whether a task waits for a person, though it is deferred."""
    return isinstance(value, TaskDeferred) and isinstance(value.trigger, ApprovalTrigger)


def dag_of(definition: Definition, base: Path, *, emergency: bool = False) -> DAG:
    """Build the Dag of a definition, or its emergency Dag, once."""
    key = repr((definition, base, emergency))
    if key not in _DAGS:
        _DAGS[key] = build_dag(definition, base=str(base), emergency=emergency)
    return _DAGS[key]
