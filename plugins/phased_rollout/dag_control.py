"""Builds the Dag with which an operator holds, resumes or aborts a rollout."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from phased_rollout.dag_settings import access_control
from phased_rollout.model.definition import CONTROL, Definition
from phased_rollout.operators.control import WHAT_FOLLOWS, Action, ControlOperator

ABOUT = """Trigger this to hold, resume or abort a rollout of **{name}** that is under way.

{actions}

Who triggered it and why is kept in the records of the rollout. Only that is done here: the
rollout's own tasks read it before they enter a channel and before they start a target.
"""
_TITLES = {
    Action.HOLD: "Hold",
    Action.RESUME: "Resume",
    Action.ABORT_AND_ROLL_BACK: "Abort and roll back",
    Action.ABORT_AND_LEAVE: "Abort and leave everything as it is",
}


def build_control(definition: Definition) -> DAG:
    """Build ``<name>_control``: one task, unscheduled, ready as soon as it is parsed."""
    actions = "\n".join(f"- **{_TITLES[action]}**: {WHAT_FOLLOWS[action]}" for action in Action)
    with DAG(
        dag_id=definition.name + CONTROL,
        description=f"Hold, resume or abort a rollout of {definition.name}",
        schedule=None,
        catchup=False,
        max_active_runs=1,
        # A Dag that is paused would answer an operator in need with a run that never starts.
        is_paused_upon_creation=False,
        max_consecutive_failed_dag_runs=0,
        params=_params(),
        default_args={
            "owner": "phased_rollout",
            "retries": 2,
            "retry_delay": timedelta(seconds=5),
        },
        tags=["phased_rollout", "control", *definition.tags],
        access_control=access_control(definition),
        doc_md=ABOUT.format(name=definition.name, actions=actions),
    ) as dag:
        ControlOperator(task_id="record", definition=definition.name)
    return dag


def _params() -> dict[str, Param]:
    return {
        "action": Param(
            Action.HOLD.value,
            type="string",
            enum=[action.value for action in Action],
            values_display={action.value: title for action, title in _TITLES.items()},
            title="Action",
        ),
        "reason": Param(
            "", type="string", maxLength=2000, title="Reason", description="Required; recorded."
        ),
        "run_id": Param(
            None,
            type=["null", "string"],
            title="Run",
            description="Id of the run. Left empty: the rollout that began last.",
        ),
    }
