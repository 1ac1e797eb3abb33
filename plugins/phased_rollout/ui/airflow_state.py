"""What Airflow knows of runs, from its own database. Imported by the API server only."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from phased_rollout.model.definition import CONTROL
from phased_rollout.ui.facts import AirflowRun

TAG = "phased_rollout"
"""The tag that every Dag of a rollout bears."""
_TAGGED = select(DagTag.dag_id).where(
    DagTag.name == TAG, ~DagTag.dag_id.endswith(CONTROL, autoescape=True)
)
"""The ids of the Dags whose runs are rollouts; those of a control Dag are an operator's word."""


@dataclass(frozen=True, slots=True)
class FoundDag:
    """A Dag of a rollout."""

    dag_id: str
    description: str
    paused: bool


def find_run(session: Session, dag_id: str, run_id: str) -> AirflowRun | None:
    """Give a run of a rollout's Dag; None when there is none."""
    wanted = select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    found = session.scalar(wanted.where(DagRun.dag_id.in_(_TAGGED)))
    return None if found is None else _run(session, found)


def find_rollouts(session: Session, readable: Collection[str]) -> list[FoundDag]:
    """Give the Dags of rollouts that a user may read, by their ids."""
    dags = select(DagModel).where(DagModel.dag_id.in_(_TAGGED), DagModel.is_stale.is_(False))
    found = session.scalars(dags.order_by(DagModel.dag_id))
    return [
        FoundDag(dag.dag_id, dag.description or "", bool(dag.is_paused))
        for dag in found
        if dag.dag_id in readable
    ]


def newest_run(session: Session, dag_ids: Collection[str]) -> AirflowRun | None:
    """Give the run of these Dags that began last."""
    wanted = select(DagRun).where(DagRun.dag_id.in_(dag_ids)).order_by(DagRun.id.desc()).limit(1)
    found = session.scalar(wanted)
    return None if found is None else _run(session, found)


def _run(session: Session, found: Any) -> AirflowRun:
    paused = session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == found.dag_id))
    return AirflowRun(
        dag_id=found.dag_id,
        run_id=found.run_id,
        state=str(found.state),
        paused=bool(paused),
        tasks=tuple(sorted(_tasks(session, found.dag_id, found.run_id))),
        began=found.start_date,
        ended=found.end_date,
    )


def _tasks(session: Session, dag_id: str, run_id: str) -> Iterator[tuple[str, str, int]]:
    counted = (
        select(TaskInstance.task_id, TaskInstance.state, func.count())
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        .group_by(TaskInstance.task_id, TaskInstance.state)
    )
    for task_id, state, count in session.execute(counted):
        if state is not None:
            yield task_id, str(state), count
