"""The graph of a Dag with nothing in it: what its shape alone costs Airflow."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup
from airflow.sdk.definitions.mappedoperator import MappedOperator


class Wave(EmptyOperator):
    """Something to map over."""

    def __init__(self, *, wave: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wave = wave


def same_graph(dag: DAG) -> DAG:
    """Build a Dag with the tasks, groups, edges and trigger rules of another, all of them empty."""
    groups: dict[str, TaskGroup] = {}
    with DAG(dag_id=dag.dag_id, schedule=None, params=None) as built:
        for task in dag.tasks:
            group, _, name = task.task_id.rpartition(".")
            with ExitStack() as inside:
                if group:
                    groups[group] = groups.get(group) or TaskGroup(group)
                    inside.enter_context(groups[group])
                if isinstance(task, MappedOperator):
                    empty = Wave.partial(task_id=name, trigger_rule=task.trigger_rule)
                    empty.expand(wave=["a", "b"])
                else:
                    EmptyOperator(task_id=name, trigger_rule=task.trigger_rule)
        for task in dag.tasks:
            built.get_task(task.task_id).set_downstream(
                [built.get_task(name) for name in sorted(task.downstream_task_ids)]
            )
    return built
