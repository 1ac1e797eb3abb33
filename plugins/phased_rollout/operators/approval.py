"""Where a person decides: authorization of a plan, approval of a channel, rollback or not."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import describe
from phased_rollout.operators.base import now
from phased_rollout.rollout import Rollout

RETRIES = 1
"""Airflow 3.3.2 fails a task that is answered within milliseconds of asking: it then asks again."""


class RecordedApproval(ApprovalOperator):
    """An approval that is recorded with who gave it; a no, or no answer in time, fails for good.

    :param definition: name of the rollout definition
    """

    def __init__(self, *, definition: str, **kwargs: Any) -> None:
        super().__init__(fail_on_reject=True, retries=RETRIES, **kwargs)
        self.definition = definition

    def rollout(self, context: Any) -> Rollout:
        """Open the rollout of this Dag run."""
        return Rollout.open(self.definition, context["run_id"])

    def answered(self, context: Any, event: Any) -> str:
        """Give the name of the user who approved; raises AirflowFailException on anything else."""
        try:
            answer = super().execute_complete(context, event)
        except HITLRejectException as error:
            user = _user(event)
            self.rollout(context).records.add(
                Kind.REJECTED, at=now(), channel=_channel(context), user=user
            )
            raise AirflowFailException(f"rejected by {user}") from error
        except HITLTimeoutError as error:
            raise AirflowFailException(
                f"nobody answered within {self.response_timeout}: not approved"
            ) from error
        return _user(answer)


class AuthorizeOperator(RecordedApproval):
    """Asks for an authorization when the preview found that the plan needs one; else skips."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Authorize this rollout?", **kwargs)

    def execute(self, context: Any) -> Any:
        """Ask, showing the plan, the merged preview and what needs the authorization."""
        rollout = self.rollout(context)
        preview = rollout.records.details(Kind.PREVIEWED)[-1]
        if not preview["authorize"]:
            raise AirflowSkipException("nothing in this plan needs an authorization")
        self.body = "\n\n".join(
            [
                "Needs your authorization: " + "; ".join(preview["authorize"]),
                fenced(describe(rollout.plan)),
                fenced("\n".join(preview["differences"])),
            ]
        )
        return super().execute(context)

    def execute_complete(self, context: Any, event: Any) -> Any:
        """Record who authorized."""
        user = self.answered(context, event)
        self.rollout(context).records.add(Kind.AUTHORIZED, at=now(), user=user)
        return user


class ApprovalGate(RecordedApproval):
    """Lets a channel graduate on a person's word, given after it was judged healthy."""

    def __init__(self, *, channel: Channel, **kwargs: Any) -> None:
        super().__init__(
            subject=f"Let the change graduate from {channel.name}?",
            response_timeout=channel.approval.deadline,
            assigned_users=[{"id": u, "name": u} for u in channel.approval.approvers] or None,
            **kwargs,
        )
        self.channel = channel.name

    def execute(self, context: Any) -> Any:
        """Ask, showing the evidence of the health task."""
        rollout = self.rollout(context)
        healthy = rollout.records.details(Kind.HEALTHY, channel=self.channel)[-1]
        self.body = "\n\n".join([fenced(healthy["reason"]), fenced(describe(rollout.plan))])
        return super().execute(context)

    def execute_complete(self, context: Any, event: Any) -> Any:
        """Record the approval and the graduation."""
        user, records = self.answered(context, event), self.rollout(context).records
        records.add(Kind.APPROVED, at=now(), channel=self.channel, user=user)
        records.add(Kind.GRADUATED, at=now(), channel=self.channel)
        return user


class DecideOperator(HITLOperator):
    """Stands before the restores of a definition that holds on failure; silence rolls back.

    :param definition: name of the rollout definition
    """

    ROLL_BACK = "Roll back"
    KEEP = "Keep as it is"

    def __init__(self, *, definition: str, **kwargs: Any) -> None:
        super().__init__(
            subject="The rollout failed. Roll back?",
            options=[self.ROLL_BACK, self.KEEP],
            defaults=[self.ROLL_BACK],
            retries=RETRIES,
            **kwargs,
        )
        self.definition = definition

    def execute(self, context: Any) -> Any:
        """Ask, showing what failed."""
        records = Rollout.open(self.definition, context["run_id"]).records
        failures = [f"{r['task']}: {r['reason']}" for r in records.details(Kind.FAILED)]
        self.body = "\n\n".join(
            [
                fenced("\n".join(failures) or "a task was marked failed, or its process was lost"),
                "To retry what failed, clear `apply`; to judge again, clear `health` with "
                "downstream. After the rollback neither is possible.",
            ]
        )
        return super().execute(context)

    def execute_complete(self, context: Any, event: Any) -> Any:
        """Arm the rollback, or record that all is kept as it is and skip the restores."""
        answer = super().execute_complete(context, event)
        records = Rollout.open(self.definition, context["run_id"]).records
        user = _user(answer)
        if answer["chosen_options"] == [self.KEEP]:
            records.add(Kind.KEPT, at=now(), user=user)
            raise AirflowSkipException(f"{user} decided to keep everything as it is")
        records.add(Kind.ARMED, at=now(), reason=f"decided by {user}")
        return user


def fenced(text: str) -> str:
    """Show text as it is in Markdown, whatever it contains."""
    return "\n".join(f"    {line}" for line in text.splitlines())


def _channel(context: Any) -> str:
    channel: str = context["ti"].task_id.rpartition(".")[0]
    return channel


def _user(answer: Any) -> str:
    user = answer.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "nobody (deadline)")
