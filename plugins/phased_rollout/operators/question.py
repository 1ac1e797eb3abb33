"""A question to a person whose answer is never lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from phased_rollout.model import notices
from phased_rollout.model.digest import digest_of
from phased_rollout.model.ledger import Kind
from phased_rollout.notify import harmless
from phased_rollout.operators.announce import announce
from phased_rollout.operators.base import RolloutOperator, now
from phased_rollout.record_names import stamp
from phased_rollout.triggers.answer import AnswerTrigger

NOBODY = "nobody (deadline)"
RETRIES = 5


class Question(RolloutOperator, HITLOperator):
    """Asks a person, and on a retry looks for the answer before it asks again.

    Airflow 3.3.2 fails the try of a task that is answered before the scheduler has noticed that it
    waits, which takes seconds under load, and asking again deletes the answer that was given. So
    the question is recorded when it is asked and when its answer was counted; in between, a retry
    looks for an answer first.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(retries=RETRIES, **kwargs)

    def ask(self, context: Any, *, shown: str = "") -> Any:
        """Ask, unless an answer may have been lost: then look for it first.

        :param shown: digest of what is shown with the question
        """
        task, records = _task(context), self.rollout(context).records
        ledger = records.ledger()
        if ledger.last(Kind.ASKED, channel=task) > ledger.last(Kind.CLOSED, channel=task):
            trigger = AnswerTrigger(ti_id=str(context["ti"].id))
            self.defer(trigger=trigger, method_name="look")
        self._tell(context)
        records.add(Kind.ASKED, at=now(), channel=task, shown=shown)
        return HITLOperator.execute(self, context)

    def look(self, context: Any, event: Any) -> Any:
        """Count the answer that was found; ask again when there is none to this question."""
        at = event.get("responded_at")
        asked = self.rollout(context).records.ledger().last(Kind.ASKED, channel=_task(context))
        if at is None or datetime.fromisoformat(at) < asked:
            self._close(context, answered=False)
            return self.execute(context)
        return self.execute_complete(context, event)

    def execute_complete(self, context: Any, event: Any) -> Any:
        """Count the answer; then the question is closed, whatever the answer was."""
        try:
            counted = self.count(context, event)
        except (AirflowFailException, AirflowSkipException):
            self._close(context)
            raise
        self._close(context)
        return self.proceed(context, counted)

    def proceed(self, context: Any, counted: Any) -> Any:
        """Go on after the question is closed; ``counted`` is what ``count`` gave."""
        return counted

    def shown(self, context: Any) -> str:
        """Give the digest of what was shown with the question; empty when none is recorded."""
        found = self.rollout(context).records.details(Kind.ASKED, channel=_task(context))
        return str(found[-1].get("shown", "")) if found else ""

    def hear(self, context: Any, event: Any) -> Any:
        """Read Airflow's event, or that of a trigger; raises what Airflow's own operator raises."""
        if isinstance(at := event.get("responded_at"), str):
            event = {**event, "responded_at": datetime.fromisoformat(at)}
        return super().execute_complete(context, event)

    def count(self, context: Any, event: Any) -> Any:
        """Record what the answer means."""
        raise NotImplementedError

    def _tell(self, context: Any) -> None:
        """Tell that a person is asked: just before, so that no answer comes too early."""
        rollout, task = self.rollout(context), _task(context)
        with harmless("the question"):
            if not rollout.plan.definition.notify:
                return
            closed = rollout.records.details(Kind.CLOSED, channel=task)
            answered = sum(record.get("answered", True) for record in closed)
            entered = rollout.records.ledger().last_of_any(Kind.ENTERED)
            notice = notices.waiting(
                self.definition,
                task=task,
                question=self.subject,
                body=self.body or "",
                asked=[str(user["name"]) for user in self.assigned_users or ()],
                deadline=str(self.response_timeout or ""),
            )
            # A question that Airflow lost and that is asked again is the same one.
            occurrence = (str(answered), stamp(entered), digest_of([self.body]))
            announce(rollout, replace(notice, occurrence=occurrence), context)

    def _close(self, context: Any, *, answered: bool = True) -> None:
        records = self.rollout(context).records
        records.add(Kind.CLOSED, at=now(), channel=_task(context), answered=answered)


def user_of(answer: Any) -> str:
    """Name who answered."""
    user = answer.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or NOBODY)


def _task(context: Any) -> str:
    task: str = context["ti"].task_id
    return task
