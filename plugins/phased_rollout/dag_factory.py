"""Builds one Dag for each rollout definition."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import (
    DAG,
    BaseOperator,
    CronTriggerTimetable,
    TaskGroup,
    TriggerRule,
    get_parsing_context,
)
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.param import ParamsDict

from phased_rollout import config
from phased_rollout.dag_control import build_control
from phased_rollout.dag_params import run_params
from phased_rollout.dag_settings import access_control, deadline
from phased_rollout.dag_source import to_build
from phased_rollout.model.definition import (
    CONTROL,
    EMERGENCY,
    Channel,
    Definition,
    OnFailure,
)
from phased_rollout.operators.about import ABOUT, about_channel, about_rollout, summary
from phased_rollout.operators.announce import outlet
from phased_rollout.operators.apply import ApplyOperator
from phased_rollout.operators.approval import AuthorizeOperator, DecideOperator
from phased_rollout.operators.callbacks import record_and_arm
from phased_rollout.operators.enter import EnterOperator
from phased_rollout.operators.gate import ApprovalGate
from phased_rollout.operators.outcome import OutcomeOperator, VerdictOperator
from phased_rollout.operators.plan import PlanOperator
from phased_rollout.operators.preview import PreviewOperator
from phased_rollout.operators.restore import RestoreOperator
from phased_rollout.sensors.health import HealthSensor
from phased_rollout.sensors.soak import SoakSensor

Task = BaseOperator | MappedOperator

SHORTEST_POKE, LONGEST_POKE = timedelta(seconds=2), timedelta(seconds=60)
RETRIES = 5
RETRY_DELAY = timedelta(seconds=5)
"""A killed process resumes; what a retry cannot mend fails at once."""

TARGETS = "{{ target | default(task.wave.targets | join(', ')) }}"
"""Names a map index after its targets, from the start on and while it is deferred."""

RUN_TYPES = ("manual", "scheduled", "operator_triggered")
"""No backfill, which would roll today's change out again, once for each day that it covers."""


def build_dags(source: config.Config | None = None) -> dict[str, DAG]:
    """Build the Dags of all definitions, by Dag id; raises ConfigError on a bad file.

    A task parses the Dag file again: then only its own Dag is built.
    """
    wanted, _ = get_parsing_context()
    found, why_not = (source, "") if source else to_build(wanted)
    base = str(Path(found.source).resolve().parent)
    dags = {}
    for name, definition in found.definitions.items():
        for dag_id in (name, name + EMERGENCY):
            if wanted in (None, dag_id):
                dags[dag_id] = build_dag(
                    definition, base=base, emergency=dag_id != name, why_not=why_not
                )
        if wanted in (None, name + CONTROL):
            dags[name + CONTROL] = build_control(definition)
    return dags


def build_dag(
    definition: Definition, *, base: str, emergency: bool = False, why_not: str = ""
) -> DAG:
    """Build the Dag of a definition: plan → preview → authorize → channels → outcome → rollback.

    The trigger rules are those of docs/adr/0002-wiring.md; each survived being disturbed.

    :param base: folder that a relative change is resolved against
    :param emergency: build the Dag for what cannot wait: it supersedes the regular rollout
    :param why_not: why no rollout may begin; empty when one may
    """
    with DAG(
        dag_id=definition.name + (EMERGENCY if emergency else ""),
        description=definition.description or None,
        schedule=None if emergency else _schedule(definition),
        catchup=False,
        max_active_runs=1,
        allowed_run_types=RUN_TYPES,  # type: ignore[arg-type] # Airflow converts the names
        default_args={
            "owner": "phased_rollout",
            "retries": RETRIES,
            "retry_delay": RETRY_DELAY,
            "on_failure_callback": record_and_arm,
        },
        tags=["phased_rollout", *(["emergency"] if emergency else []), *definition.tags],
        # None: what Airflow is configured to do. What cannot wait is never paused.
        max_consecutive_failed_dag_runs=0 if emergency else definition.pause_after_failures,
        is_paused_upon_creation=False if emergency else None,
        deadline=deadline(definition),
        access_control=access_control(definition, emergency=emergency),
        doc_md=about_rollout(definition, emergency=emergency),
    ) as dag:
        plan = PlanOperator(
            task_id="plan", planned=definition, base=base, emergency=emergency, why_not=why_not
        )
        preview = PreviewOperator(task_id="preview", definition=definition.name)
        authorize = AuthorizeOperator(
            task_id="authorize",
            definition=definition.name,
            response_timeout=definition.authorize_within,
        )
        plan >> preview >> authorize
        shape = definition.shape  # once: it names all channels
        channels = [_channel(definition, channel, shape) for channel in definition.channels]
        last: Task = authorize
        for tasks in channels:
            last >> tasks[0]
            last = tasks[-1]
        outcome = OutcomeOperator(
            task_id="outcome",
            definition=definition.name,
            shape=shape,
            trigger_rule=TriggerRule.NONE_FAILED,
        )
        [tasks[-1] for tasks in channels] >> outcome
        watched = [plan, preview, authorize, *(t for tasks in channels for t in tasks), outcome]
        _rollback(definition, watched=watched, outcome=outcome)
        for task in dag.tasks:
            if isinstance(task, BaseOperator):
                restores = isinstance(task, RestoreOperator)  # its id ends with a channel's name
                word = task.task_id.rpartition(".")[2].partition("_")[0]
                task.doc_md = ABOUT["restore" if restores else word]
    # Last: each task that is made afterwards would take a copy, which grows with the channels.
    dag.params = ParamsDict(run_params(definition, base=base, emergency=emergency))
    return dag


def _channel(definition: Definition, channel: Channel, shape: list[str]) -> list[Task]:
    common = {"definition": definition.name}
    graduation = outlet(definition.name, channel.name)
    with TaskGroup(channel.name, tooltip=summary(channel), doc_md=about_channel(channel)):
        enter = EnterOperator(
            task_id="enter",
            channel=channel.name,
            shape=shape,
            trigger_rule=TriggerRule.NONE_FAILED,
            **common,
        )
        apply = ApplyOperator.partial(
            task_id="apply",
            channel=channel.name,
            doc_md=ABOUT["apply"],
            map_index_template=TARGETS,
            max_active_tis_per_dagrun=definition.waves_at_once(channel.name),
            **common,
        ).expand(wave=enter.output)
        soak = SoakSensor(
            task_id="soak", channel=channel.name, since=apply.output, delta=channel.soak, **common
        )
        health = HealthSensor(
            task_id="health",
            channel=channel.name,
            poke_interval=min(max(channel.soak / 10, SHORTEST_POKE), LONGEST_POKE),
            trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
            outlets=[graduation],
            **common,
        )
        gate = ApprovalGate(task_id="gate", channel=channel, outlets=[graduation], **common)
        enter >> apply >> soak >> health >> gate
        apply >> health
    return [enter, apply, soak, health, gate]


def _rollback(definition: Definition, *, watched: list[Task], outcome: Task) -> None:
    name = definition.name
    applies = [t for t in watched if t.task_id.endswith(".apply")]
    tooltip = "restores what ran before, last channel first"
    with TaskGroup("rollback", tooltip=tooltip, doc_md=ABOUT["rollback"]):
        trip = EmptyOperator(task_id="trip", trigger_rule=TriggerRule.ONE_FAILED)
        settled = EmptyOperator(task_id="settled", trigger_rule=TriggerRule.ALL_DONE)
        armed: BaseOperator = (
            DecideOperator(
                task_id="decide", definition=name, response_timeout=definition.decide_within
            )
            if definition.on_failure is OnFailure.HOLD
            else EmptyOperator(task_id="armed")
        )
        watched >> trip
        applies >> settled
        [trip, settled] >> armed
        after: BaseOperator | None = None
        for channel in reversed(definition.channels):
            restore = RestoreOperator(task_id=channel.name, definition=name, channel=channel.name)
            armed >> restore
            if after:
                after >> restore
            after = EmptyOperator(
                task_id=f"after_{channel.name}", trigger_rule=TriggerRule.ALL_DONE
            )
            restore >> after
        verdict = VerdictOperator(task_id="verdict", definition=name, retries=2)
        verdict.as_teardown(on_failure_fail_dagrun=True)
        if after:
            after >> verdict
        outcome >> verdict


def _schedule(definition: Definition) -> CronTriggerTimetable | None:
    """Give the timetable. Without a start date, the first unpausing starts no missed run."""
    if definition.schedule is None:
        return None
    return CronTriggerTimetable(
        definition.schedule, timezone=definition.timezone, run_immediately=timedelta(0)
    )
