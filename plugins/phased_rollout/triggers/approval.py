"""Watches a channel while a person is asked whether it may graduate."""

from __future__ import annotations

from typing import Any

from airflow.triggers.base import TriggerEvent

from phased_rollout.triggers.answer import answer_to
from phased_rollout.triggers.soak import SoakTrigger


class ApprovalTrigger(SoakTrigger):
    """Watches as a soak does until an answer is there, or its deadline.

    Airflow 3.3.2 resumes a deferred task when its question is answered, but not on an answer that
    comes before the task has been put down as deferred. So the answer is looked for here, too.

    :param ti_id: id of the task instance that asks
    """

    def __init__(self, *, ti_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ti_id = ti_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class path and the arguments, JSON values only."""
        _, arguments = super().serialize()
        path = "phased_rollout.triggers.approval.ApprovalTrigger"
        return path, {**arguments, "ti_id": self.ti_id}

    def _last(self) -> TriggerEvent:
        """Say in the words of Airflow's own that nobody has answered."""
        return TriggerEvent({"error": "nobody has answered in time", "error_type": "timeout"})

    def _look(self) -> dict[str, Any]:
        return super()._look() or answer_to(self.ti_id)
