"""Task instances, and Airflow's trigger rules as its scheduler (3.3.2) evaluates them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, TriggerRule
from airflow.sdk.definitions.mappedoperator import MappedOperator

from tests.properties.processes import Process

SUCCESS, FAILED, SKIPPED, REMOVED = "success", "failed", "skipped", "removed"
UPSTREAM_FAILED, RUNNING, RESTARTING = "upstream_failed", "running", "restarting"
RETRY, RESCHEDULE, SCHEDULED = "up_for_retry", "up_for_reschedule", "scheduled"
DEFERRED, AWAITING = "deferred", "awaiting_input"
FINISHED = {SUCCESS, FAILED, SKIPPED, REMOVED, UPSTREAM_FAILED}
BAD = {FAILED, UPSTREAM_FAILED}


@dataclass(eq=False)
class Ti:
    """A task instance, with what Airflow keeps of it between two processes.

    :param asks: whether its trigger is one that waits for an answer, too
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    state: str | None = None
    try_number: int = 0
    max_tries: int = 0
    not_before: datetime | None = None
    xcom: Any = None
    process: Process | None = None
    resume: tuple[str, dict[str, Any]] | None = None
    kills: int = 0
    asks: bool = False

    @property
    def waits_for_a_person(self) -> bool:
        return self.state == AWAITING or (self.state == DEFERRED and self.asks)

    @property
    def id(self) -> str:
        return f"{self.run_id}/{self.name}"

    @property
    def name(self) -> str:
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"

    def rest(self, state: str | None) -> Process | None:
        """Take a state in which nothing runs; gives the process that goes on unnoticed."""
        process, self.process = self.process, None
        self.state, self.resume, self.not_before = state, None, None
        return process

    def leave(self, state: str | None) -> list[Process]:
        """Take a state from outside; gives the process that has yet to notice it, if any."""
        had_process = self.state in (RUNNING, RESTARTING)
        process = self.rest(state)
        if process and not had_process:
            process.kill()  # a trigger
        return [process] if process and had_process else []


@dataclass(eq=False)
class Instances:
    """The task instances of one run, under a Dag that an edited file may replace."""

    dag_id: str
    run_id: str
    dag: DAG
    tis: dict[tuple[str, int], Ti] = field(default_factory=dict)

    def follow(self, dag: DAG) -> list[Process]:
        """Obey another Dag: new tasks appear, vanished ones are removed, restored ones run anew."""
        self.dag = dag
        orphans: list[Process] = []
        known = {ti.task_id for ti in self.tis.values()}
        for task_id in [t for t in dag.task_ids if t not in known]:
            self.tis[task_id, -1] = self._new(task_id)
        for ti in self.tis.values():
            if ti.task_id not in dag.task_dict and ti.state != REMOVED:
                orphans += ti.leave(REMOVED)
            elif ti.task_id in dag.task_dict and ti.state == REMOVED:
                ti.rest(None)
        return orphans

    def _new(self, task_id: str, map_index: int = -1) -> Ti:
        retries = self.dag.task_dict[task_id].retries
        return Ti(self.dag_id, self.run_id, task_id, map_index, max_tries=retries or 0)

    def of(self, *task_ids: str) -> list[Ti]:
        return [ti for ti in self.tis.values() if ti.task_id in task_ids]

    @property
    def known(self) -> list[Ti]:
        return [ti for ti in self.tis.values() if ti.task_id in self.dag.task_dict]

    @property
    def ended(self) -> bool:
        return all(ti.state in FINISHED for ti in self.known)

    @property
    def green(self) -> bool:
        """Whether the run, which has ended, counts as a success: its leaves decide."""
        leaves = self.of(*(t.task_id for t in self.dag.leaves))
        return not any(ti.state in BAD for ti in leaves)

    def is_full(self, task_id: str) -> bool:
        """Whether as many map indexes of the task run, or are deferred, as may be at once."""
        most = getattr(self.dag.task_dict[task_id], "max_active_tis_per_dagrun", None)
        active = (RUNNING, DEFERRED, AWAITING)
        return bool(most) and sum(ti.state in active for ti in self.of(task_id)) >= most

    def settle(self) -> list[Ti]:
        """Apply the trigger rules until nothing changes; gives what may start now."""
        ready: list[Ti] = []
        order = [t.task_id for t in self.dag.topological_sort()]
        for task_id in order:
            for ti in self.of(task_id):
                if ti.state is None:
                    upstream = self.of(*self.dag.task_dict[task_id].upstream_task_ids)
                    rule = self.dag.task_dict[task_id].trigger_rule
                    met, state = evaluate(rule, [u.state for u in upstream])
                    if state:
                        ti.rest(state)
                    elif met:
                        ready.extend(self._expanded(ti))
        return [ti for ti in ready if ti.state is None]

    def _expanded(self, ti: Ti) -> list[Ti]:
        if ti.map_index >= 0 or not isinstance(self.dag.task_dict[ti.task_id], MappedOperator):
            return [ti]
        waves = self.waves(ti)
        if waves is None:
            ti.rest(UPSTREAM_FAILED)
            return []
        del self.tis[ti.task_id, -1]
        new = [self._new(ti.task_id, index) for index in range(len(waves))]
        self.tis |= {(n.task_id, n.map_index): n for n in new}
        return new

    def waves(self, ti: Ti) -> list[Any] | None:
        (enter,) = self.of(*self.dag.task_dict[ti.task_id].upstream_task_ids)
        found: list[Any] | None = enter.xcom
        return found

    def clear(self, tis: Iterable[Ti]) -> list[Process]:
        """Clear instances; gives the processes that end only when they notice."""
        orphans = []
        for ti in tis:
            if ti.state == RUNNING and ti.process:
                orphans.append(ti.process)
                ti.state = RESTARTING
            elif ti.state != RESTARTING:
                ti.leave(None)
            ti.max_tries = ti.try_number + (self.dag.task_dict[ti.task_id].retries or 0)
            ti.kills = 0
        return orphans

    def downstream(self, ti: Ti) -> list[Ti]:
        task = self.dag.task_dict[ti.task_id]
        return self.of(*(t.task_id for t in task.get_flat_relatives(upstream=False)))

    def mark(self, ti: Ti, state: str) -> list[Process]:
        """Do as the UI's "mark as": what failed downstream of it is cleared."""
        orphans = ti.leave(state)
        return orphans + self.clear(t for t in self.downstream(ti) if t.state in BAD)

    def mark_run(self, state: str) -> list[Process]:
        """Do as the UI's "mark run as": what waits is skipped, teardowns are spared."""
        active = {RUNNING, DEFERRED, RESCHEDULE, AWAITING}
        mortal = [t for t in self.known if not self.dag.task_dict[t.task_id].is_teardown]
        running = {t.task_id for t in mortal if t.state in active}
        orphans = []
        for ti in mortal:
            if ti.task_id in running and ti.state != state:
                orphans += ti.leave(state)  # mapped siblings that had succeeded, too
            elif ti.state not in FINISHED:
                orphans += ti.leave(SKIPPED)
        return orphans


def evaluate(  # noqa: PLR0911  # one for each rule
    rule: TriggerRule, upstream: list[str | None]
) -> tuple[bool, str | None]:
    """Say whether a task may run, and which state it takes without running, if any.

    After ``airflow.ti_deps.deps.trigger_rule_dep``, for the rules that the Dag uses.
    """
    count: Mapping[str | None, int] = Counter(upstream)
    bad = count[FAILED] + count[UPSTREAM_FAILED]
    done = sum(count[state] for state in FINISHED) >= len(upstream)
    if rule == TriggerRule.ALL_SUCCESS:
        state = UPSTREAM_FAILED if bad else SKIPPED if count[SKIPPED] else None
        return count[SUCCESS] + count[REMOVED] == len(upstream), state
    if rule == TriggerRule.NONE_FAILED:
        passed = count[SUCCESS] + count[SKIPPED] + count[REMOVED] == len(upstream)
        return passed, UPSTREAM_FAILED if bad else None
    if rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS:
        passed = count[SUCCESS] + count[SKIPPED] + count[REMOVED] == len(upstream)
        if bad or (done and not count[SUCCESS] and count[SKIPPED] < len(upstream)):
            return False, UPSTREAM_FAILED
        if count[SKIPPED] == len(upstream):
            return False, SKIPPED
        return passed and count[SUCCESS] > 0, None
    if rule == TriggerRule.ONE_FAILED:
        return bad > 0, SKIPPED if done and not bad else None
    if rule in (TriggerRule.ALL_DONE, TriggerRule.ALL_DONE_SETUP_SUCCESS):
        return done, None
    raise NotImplementedError(f"the trigger rule {rule} is new here: add it")
