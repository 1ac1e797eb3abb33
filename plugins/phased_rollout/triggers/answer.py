"""Reads the answer to a question, which only the triggerer can do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail
from airflow.triggers.base import BaseTrigger, TriggerEvent

from phased_rollout.triggers.soak import SHORTEST_DEFERRAL
from phased_rollout.triggers.threads import in_thread

_log = logging.getLogger(__name__)


class AnswerTrigger(BaseTrigger):
    """Looks once whether a question was answered.

    :param ti_id: id of the task instance that asked
    """

    def __init__(self, *, ti_id: str) -> None:
        super().__init__()
        self.ti_id = ti_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments, JSON values only."""
        return "phased_rollout.triggers.answer.AnswerTrigger", {"ti_id": self.ti_id}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the answer in the words of Airflow's own, or ``{}`` when there is none."""
        await asyncio.sleep(SHORTEST_DEFERRAL.total_seconds())
        yield TriggerEvent(await in_thread(answer_to, self.ti_id))


def answer_to(ti_id: str) -> dict[str, Any]:
    """Give the answer to a question in the words of Airflow's own; empty when there is none."""
    try:
        found = get_hitl_detail_content_detail(UUID(ti_id))
    except AirflowRuntimeError as error:
        _log.warning("the answer to a question could not be read: %s", error)
        return {}
    if not found.response_received or found.responded_at is None:
        return {}
    user = found.responded_by_user
    return {
        "chosen_options": list(found.chosen_options or []),
        "params_input": dict(found.params_input or {}),
        "responded_at": found.responded_at.isoformat(),
        "responded_by_user": {"id": user.id, "name": user.name} if user else None,
    }
