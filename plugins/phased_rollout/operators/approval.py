"""Where a person decides: authorization of a plan, approval of a channel, rollback or not."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from phased_rollout.model.definition import Channel, OnFailure
from phased_rollout.model.ledger import Kind
from phased_rollout.model.merged import shown
from phased_rollout.model.plan import describe, how_to_retry
from phased_rollout.operators.about import fenced
from phased_rollout.operators.announce import graduate
from phased_rollout.operators.base import now
from phased_rollout.operators.question import NOBODY, Question, user_of
from phased_rollout.operators.tolerance import is_mended
from phased_rollout.rollout import Rollout


class RecordedApproval(Question, ApprovalOperator):
    """An approval that is recorded with who gave it; a no, or no answer in time, fails for good."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fail_on_reject=True, **kwargs)

    def already(self, rollout: Rollout, *, asked: Kind, yes: Kind, channel: str = "") -> str | None:
        """Give who said yes since the question arose; raises AirflowFailException after a no.

        :param asked: the record that the question is about
        :param yes: the record of a yes
        """
        ledger, records = rollout.records.ledger(), rollout.records
        since = ledger.last(asked, channel=channel)
        if ledger.last(Kind.REJECTED, channel=channel) > since:
            user = records.details(Kind.REJECTED, channel=channel)[-1]["user"]
            again = self.again(rollout)
            raise AirflowFailException(f"rejected by {user}; a no is not asked again\n{again}")
        if ledger.last(yes, channel=channel) > since:
            return str(records.details(yes, channel=channel)[-1]["user"])
        return None

    def objection(self, rollout: Rollout, user: str) -> str | None:
        """Say why this user's yes does not count; None when it does."""
        raise NotImplementedError

    def again(self, rollout: Rollout) -> str:
        """Tell what to clear so that a person is asked again."""
        raise NotImplementedError

    def answered(self, context: Any, event: Any) -> str:
        """Give the name of the user who approved; raises AirflowFailException on anything else."""
        rollout = self.rollout(context)
        try:
            answer = self.hear(context, event)
        except HITLRejectException as error:
            user = user_of(event)
            rollout.records.add(Kind.REJECTED, at=now(), channel=_channel(context), user=user)
            raise AirflowFailException(f"rejected by {user}\n{self.again(rollout)}") from error
        except HITLTimeoutError as error:
            what = f"nobody answered within {self.response_timeout}: not approved"
            raise AirflowFailException(f"{what}\n{self.again(rollout)}") from error
        user = user_of(answer)
        if objection := self.objection(rollout, user):
            raise AirflowFailException(f"not approved: {objection}\n{self.again(rollout)}")
        return user


class AuthorizeOperator(RecordedApproval):
    """Asks for an authorization when the preview found that the plan needs one; else skips."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Authorize this rollout?", **kwargs)

    def execute(self, context: Any) -> Any:
        """Ask, showing the plan, the merged preview and what needs the authorization."""
        rollout = self.rollout(context)
        preview = _last(rollout, Kind.PREVIEWED, mend="clear preview with downstream")
        if not preview["authorize"]:
            raise AirflowSkipException("nothing in this plan needs an authorization")
        if user := self.already(rollout, asked=Kind.PREVIEWED, yes=Kind.AUTHORIZED):
            return user
        bypass = rollout.plan.bypass
        who = bypass.requested_by or "nobody by name: the schedule, or another Dag"
        who += (
            ", who may not authorize it"
            if bypass.tier.needs_second_person and bypass.requested_by
            else ""
        )
        self.body = "\n\n".join(
            [
                "**Why you are asked**",
                fenced([*preview["authorize"], f"requested by {who}"]),
                "**What would change**",
                fenced(shown(preview["differences"]) or ["nothing"]),
                "**The plan**",
                fenced([describe(rollout.plan), _given(rollout)]),
                "**Approve** starts with the first channel. **Reject** ends the run, failed, and "
                f"so does no answer within {self.response_timeout}. No target was touched so far.",
            ]
        )
        return self.ask(context)

    def objection(self, rollout: Rollout, user: str) -> str | None:
        """Who asked for a bypass may not authorize it (four eyes)."""
        bypass = rollout.plan.bypass
        if bypass.tier.needs_second_person and user == bypass.requested_by:
            return f"{user} asked for the bypass, so somebody else has to authorize it"
        return None

    def again(self, rollout: Rollout) -> str:
        """Tell how to be asked again; nothing was touched so far."""
        return "no target was touched; to be asked again, clear preview with downstream"

    def count(self, context: Any, event: Any) -> Any:
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
            **kwargs,
        )
        self.channel = channel.name

    def execute(self, context: Any) -> Any:
        """Ask, showing the evidence of the health task."""
        rollout = self.rollout(context)
        if not rollout.plan.definition.channel(self.channel).needs_approval:
            return f"no approval is asked: {rollout.plan.bypass}"
        mend = f"clear {self.channel}.health with downstream"
        healthy = _last(rollout, Kind.HEALTHY, channel=self.channel, mend=mend)
        if self.already(rollout, asked=Kind.HEALTHY, yes=Kind.APPROVED, channel=self.channel):
            return self._graduate(rollout, context)
        self.assigned_users = [{"id": u, "name": u} for u in self._approvers(rollout)] or None
        holds = rollout.plan.definition.on_failure is OnFailure.HOLD
        self.body = "\n\n".join(
            [
                f"**How {self.channel} has fared**",
                fenced([healthy["reason"]]),
                "**The plan**",
                fenced([describe(rollout.plan), _given(rollout)]),
                "**Approve** lets the change go on. **Reject** fails the rollout, and so does no "
                f"answer within {self.response_timeout}: then "
                + ("a person is asked whether to roll back." if holds else "it is rolled back."),
            ]
        )
        return self.ask(context)

    def _approvers(self, rollout: Rollout) -> tuple[str, ...]:
        return rollout.plan.definition.channel(self.channel).approval.approvers

    def objection(self, rollout: Rollout, user: str) -> str | None:
        """Only the approvers of the plan may approve, whoever the file names by now."""
        approvers = self._approvers(rollout)
        if approvers and user not in approvers:
            return f"{user} is none of the approvers of {self.channel}: {', '.join(approvers)}"
        return None

    def again(self, rollout: Rollout) -> str:
        """Tell how the channel is judged again, on which the gate asks again."""
        return how_to_retry(rollout.plan, task=f"{self.channel}.health")

    def count(self, context: Any, event: Any) -> Any:
        """Record the approval and the graduation."""
        user, rollout = self.answered(context, event), self.rollout(context)
        rollout.records.add(Kind.APPROVED, at=now(), channel=self.channel, user=user)
        return self._graduate(rollout, context)

    def _graduate(self, rollout: Rollout, context: Any) -> str:
        user = rollout.records.details(Kind.APPROVED, channel=self.channel)[-1]["user"]
        graduate(rollout, self.channel, reason=f"approved by {user}", context=context)
        return f"{self.channel} graduated"


class DecideOperator(Question):
    """Stands before the restores of a definition that holds on failure; silence rolls back."""

    ROLL_BACK = "Roll back"
    KEEP = "Keep as it is"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            subject="The rollout failed. Roll back?",
            options=[self.ROLL_BACK, self.KEEP],
            defaults=[self.ROLL_BACK],
            **kwargs,
        )

    def execute(self, context: Any) -> Any:
        """Ask, showing what failed, unless the answer was recorded already."""
        records = self.rollout(context).records
        ledger = records.ledger()
        since = ledger.last_of_any(Kind.ENTERED, Kind.APPLIED, Kind.FAILED)
        if ledger.last(Kind.KEPT) > since or ledger.is_left_as_it_is:
            raise AirflowSkipException("it was decided to keep everything as it is")
        if ledger.last(Kind.ARMED) > since or ledger.is_given_up:
            return "it was decided to roll back"
        failures = [f"{r['task']}: {r['reason']}" for r in records.details(Kind.FAILED)]
        self.body = "\n\n".join(
            [
                "**What failed**",
                fenced(failures or ["a task was marked failed, or its process was lost"]),
                f"**{self.ROLL_BACK}** restores what the targets ran before; so does no answer "
                f"within {self.response_timeout}. **{self.KEEP}** leaves them as they are, and the "
                "run ends failed.",
                "Or mend it before you answer: to retry what failed, clear **apply**; to judge "
                "again, clear **health** with downstream. After the rollback neither is possible.",
            ]
        )
        return self.ask(context)

    def count(self, context: Any, event: Any) -> Any:
        """Arm the rollback, or record that all is kept as it is and skip the restores."""
        answer = self.hear(context, event)
        rollout = self.rollout(context)
        records, user = rollout.records, user_of(answer)
        if user == NOBODY and is_mended(rollout):
            raise AirflowSkipException("the failure was mended meanwhile, the rollout goes on")
        if answer["chosen_options"] == [self.KEEP]:
            records.add(Kind.KEPT, at=now(), user=user)
            raise AirflowSkipException(f"{user} decided to keep everything as it is")
        records.add(Kind.ARMED, at=now(), reason=f"decided by {user}")
        return user


def _given(rollout: Rollout) -> str:
    given = ", ".join(f"{name}={value}" for name, value in sorted(rollout.change.given.items()))
    return f"parameters of this run: {given or 'none, those of the change hold'}"


def _channel(context: Any) -> str:
    channel: str = context["ti"].task_id.rpartition(".")[0]
    return channel


def _last(rollout: Rollout, kind: Kind, *, channel: str = "", mend: str) -> Any:
    found = rollout.records.details(kind, channel=channel)
    if not found:
        raise AirflowFailException(
            f"nothing was {kind} here; a task that was marked success did nothing: {mend}"
        )
    return found[-1]
