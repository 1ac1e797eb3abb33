"""What Airflow itself is told about the Dags: who may do what, and when a run is overdue."""

from __future__ import annotations

from collections.abc import Collection

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from phased_rollout.model.access import Access
from phased_rollout.model.definition import Definition
from phased_rollout.triggers.stuck import tell_stuck

_SEE = {"DAGs": {"can_read"}, "DAG Runs": {"can_read"}}
_OPERATE = {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read", "can_create"}}
_DELETE = {
    "DAGs": {"can_read", "can_edit", "can_delete"},
    "DAG Runs": {"can_read", "can_create", "can_delete"},
}
_GRANTS = {Access.SEE: _SEE, Access.OPERATE: _OPERATE, Access.DELETE: _DELETE}
"""In the words of Airflow's FAB auth manager, where whoever triggers needs ``can_edit``, too."""


def access_control(
    definition: Definition, *, emergency: bool = False
) -> dict[str, dict[str, Collection[str]]] | None:
    """Give Airflow's access control of a Dag; None leaves it to Airflow's roles."""
    granted = (definition.emergency.access if emergency else None) or definition.access
    return {role: dict(_GRANTS[access]) for role, access in granted.items()} or None


def deadline(definition: Definition) -> DeadlineAlert | None:
    """Let Airflow tell when a run is not done in time."""
    if definition.stuck_after is None:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=definition.stuck_after,
        callback=AsyncCallback(tell_stuck),
        name="stuck",
    )
