"""What happens when a task of a rollout fails: it is recorded, and the rollback is armed.

Airflow does not call this when a process is killed or a user marks a task failed, and may call it
twice, in the task's own process or in the dag-processor. So it is never the only way to a rollback:
the rollback tasks start by their trigger rules. See docs/adr.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from phased_rollout.errors import RecordError
from phased_rollout.model.definition import OnFailure, definition_of
from phased_rollout.model.ledger import Kind
from phased_rollout.operators.announce import tell_failures
from phased_rollout.records import RecordStore, RolloutRecords

log = logging.getLogger(__name__)


def record_and_arm(context: Any) -> None:
    """Record which task failed and why, and arm the rollback with that reason; idempotent."""
    ti = context["ti"]
    records = RecordStore.from_environment().rollout(definition_of(ti.dag_id), ti.run_id)
    attempt = f"{ti.task_id}[{ti.map_index}] try {ti.try_number}"
    if any(record["attempt"] == attempt for record in records.details(Kind.FAILED)):
        return
    error = context.get("exception")
    reason = str(error) if error else "the process of the task was lost"
    channel = ti.task_id.rpartition(".")[0]
    at = datetime.now(UTC)
    if channel != "rollback" and _rolls_back(records):
        records.add(Kind.ARMED, at=at, reason=f"{ti.task_id}: {reason}")
    failure = {"task": ti.task_id, "reason": reason, "attempt": attempt}
    records.add(Kind.FAILED, at=at, channel=channel, **failure)
    log.error("%s failed: %s", ti.task_id, reason)
    tell_failures(records, context, [{**failure, "at": at.isoformat()}])


def _rolls_back(records: RolloutRecords) -> bool:
    try:
        return records.plan().definition.on_failure is OnFailure.ROLLBACK
    except RecordError:
        return False
