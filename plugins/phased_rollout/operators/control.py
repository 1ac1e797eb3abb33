"""An operator's word on a rollout that is under way: hold, resume, abort."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.errors import GuardError, RecordError
from phased_rollout.model.definition import EMERGENCY
from phased_rollout.model.ledger import Kind, Ledger
from phased_rollout.operators.base import RolloutOperator, no_retry, now, refuse_unknown_conf
from phased_rollout.records import RecordStore, RolloutRecords


class Action(StrEnum):
    """What an operator may do with a rollout."""

    HOLD = "hold"
    RESUME = "resume"
    ABORT_AND_ROLL_BACK = "abort_and_roll_back"
    ABORT_AND_LEAVE = "abort_and_leave"


KINDS = {
    Action.HOLD: Kind.OPERATOR_HOLD,
    Action.RESUME: Kind.OPERATOR_RESUME,
    Action.ABORT_AND_ROLL_BACK: Kind.ABORTED,
    Action.ABORT_AND_LEAVE: Kind.ABANDONED,
}
WHAT_FOLLOWS = {
    Action.HOLD: "no channel is entered and no target is started until somebody resumes it; what "
    "is in flight goes on, soaks and health are watched, and a rollback is not held",
    Action.RESUME: "it goes on within seconds",
    Action.ABORT_AND_ROLL_BACK: "its next step fails, and what it changed is restored; a question "
    "that waits for an answer must be answered or rejected first",
    Action.ABORT_AND_LEAVE: "its next step fails, and nothing is restored; a question that waits "
    "for an answer must be answered or rejected first",
}
_UNDER_WAY = ("queued", "running")


class ControlOperator(RolloutOperator):
    """Records what an operator wants of a rollout; the rollout's own tasks obey the record."""

    def execute(self, context: Any) -> str:
        """Say what follows."""
        params, user = context["params"], context["dag_run"].triggering_user_name
        action, reason = Action(params["action"]), (params["reason"] or "").strip()
        if not reason:
            raise AirflowFailException("reason: say why; it is recorded")
        if not user:
            raise AirflowFailException("a person has to trigger this; its name is recorded")
        with no_retry():
            refuse_unknown_conf(self, context)
            records = self._records(params["run_id"])
            dag_id = self.definition + (EMERGENCY if records.plan().emergency else "")
            state = context["ti"].get_dagrun_state(dag_id, records.run_id)
            _check(action, records.ledger(), state=state, run_id=records.run_id)
        records.add(KINDS[action], at=now(), user=user, reason=reason)
        told = f"{records.run_id}: {action} by {user}: {reason}: {WHAT_FOLLOWS[action]}"
        self.log.info("%s", told)
        return told

    def _records(self, run_id: str | None) -> RolloutRecords:
        """Give the records of the named run, else of the one that began last."""
        store = RecordStore.from_environment()
        try:
            if not run_id:
                return store.newest(self.definition)
            records = store.rollout(self.definition, run_id)
            records.plan()
        except RecordError as error:
            raise GuardError(f"run_id: no such rollout: {error}") from error
        return records


def _check(action: Action, ledger: Ledger, *, state: str, run_id: str) -> None:
    """Refuse what would have no effect; raises GuardError."""
    if ledger.is_left_as_it_is and action is Action.ABORT_AND_ROLL_BACK:
        return
    if ledger.is_given_up:
        raise GuardError(f"{run_id} was aborted already")
    if state not in _UNDER_WAY:
        raise GuardError(f"{run_id} has ended ({state}): there is nothing to {action}")
    if action is Action.HOLD and ledger.is_held:
        raise GuardError(f"{run_id} is held already")
    if action is Action.RESUME and not ledger.is_held:
        raise GuardError(f"{run_id} is not held")
