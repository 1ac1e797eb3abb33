"""Where a person decides: authorization of a plan, rollback or not; gate.py has the channels."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from phased_rollout.model.digest import digest_of
from phased_rollout.model.ledger import Kind
from phased_rollout.model.merged import shown
from phased_rollout.model.plan import describe
from phased_rollout.operators.about import fenced
from phased_rollout.operators.base import now
from phased_rollout.operators.question import NOBODY, Question, user_of
from phased_rollout.operators.tolerance import is_mended
from phased_rollout.rollout import Rollout


class RecordedApproval(Question, ApprovalOperator):
    """An approval that is recorded with who gave it; a no, or no answer in time, fails for good."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fail_on_reject=True, **kwargs)
        self._instead: str | None = None

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

    def body_of(self, rollout: Rollout) -> str:
        """Give what a person is to say yes to, as Markdown."""
        raise NotImplementedError

    def approvers(self, rollout: Rollout) -> tuple[str, ...]:
        """Name who may say yes; nobody is everybody with the right to answer."""
        return ()

    def again(self, rollout: Rollout) -> str:
        """Tell what to clear so that a person is asked again."""
        raise NotImplementedError

    def put(self, context: Any, *, instead: str | None = None) -> Any:
        """Ask; the question and its answer are bound to the digest of what is shown.

        :param instead: why an earlier answer did not count
        """
        rollout = self.rollout(context)
        self.assigned_users = [{"id": u, "name": u} for u in self.approvers(rollout)] or None
        body = self.body_of(rollout)
        self.body = f"{fenced([instead])}\n\n{body}" if instead else body
        return self.ask(context, shown=digest_of(body))

    def yes(self, context: Any, event: Any) -> str | None:
        """Give the name of the user who approved; None when that yes does not count.

        Raises AirflowFailException on a no, and when nobody answered.
        """
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
        self._instead = rollout.plan.objection_to(user, approvers=self.approvers(rollout))
        if self.shown(context) not in ("", digest_of(self.body_of(rollout))):
            self._instead = f"what {user} approved has changed since it was shown"
        if self._instead:
            self.log.warning("asking again: %s", self._instead)
            return None
        return user

    def proceed(self, context: Any, counted: Any) -> Any:
        """Ask again after a yes that does not count."""
        return self.put(context, instead=self._instead) if counted is None else counted


class AuthorizeOperator(RecordedApproval):
    """Asks for an authorization when the preview found that the plan needs one; else skips."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(subject="Authorize this rollout?", **kwargs)

    def execute(self, context: Any) -> Any:
        """Ask, showing the plan, the merged preview and what needs the authorization."""
        rollout = self.rollout(context)
        preview = last_of(rollout, Kind.PREVIEWED, mend="clear preview with downstream")
        if not preview["authorize"]:
            raise AirflowSkipException("nothing in this plan needs an authorization")
        if user := self.already(rollout, asked=Kind.PREVIEWED, yes=Kind.AUTHORIZED):
            return user
        return self.put(context)

    def body_of(self, rollout: Rollout) -> str:
        """Show the plan, the merged preview and what needs the authorization."""
        plan, preview = rollout.plan, rollout.records.details(Kind.PREVIEWED)[-1]
        who = plan.bypass.requested_by or "nobody by name: the schedule, or another Dag"
        who += ", who may not authorize it" if plan.objection_to(who) else ""
        return "\n\n".join(
            [
                "**Why you are asked**",
                fenced([*preview["authorize"], f"requested by {who}"]),
                "**What would change**",
                fenced(shown(preview["differences"]) or ["nothing"]),
                *untested_in(preview.get("untested", {}).get("lines", [])),
                "**The plan**",
                fenced([describe(plan), given(rollout)]),
                "**Approve** starts with the first channel. **Reject** ends the run, failed, and "
                f"so does no answer within {self.response_timeout}. No target was touched so far.",
            ]
        )

    def again(self, rollout: Rollout) -> str:
        """Tell how to be asked again; nothing was touched so far."""
        return "no target was touched; to be asked again, clear preview with downstream"

    def count(self, context: Any, event: Any) -> Any:
        """Record who authorized."""
        if user := self.yes(context, event):
            self.rollout(context).records.add(Kind.AUTHORIZED, at=now(), user=user)
        return user


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


def untested_in(lines: list[str]) -> list[str]:
    """Show what no earlier channel exercises, if there is anything."""
    return ["**What no earlier channel exercises**", fenced(lines)] if lines else []


def given(rollout: Rollout) -> str:
    """Tell the parameters that this run was given."""
    given = ", ".join(f"{name}={value}" for name, value in sorted(rollout.change.given.items()))
    return f"parameters of this run: {given or 'none, those of the change hold'}"


def _channel(context: Any) -> str:
    channel: str = context["ti"].task_id.rpartition(".")[0]
    return channel


def last_of(rollout: Rollout, kind: Kind, *, channel: str = "", mend: str) -> Any:
    """Give the last record of a kind; raises AirflowFailException without any."""
    found = rollout.records.details(kind, channel=channel)
    if not found:
        raise AirflowFailException(
            f"nothing was {kind} here; a task that was marked success did nothing: {mend}"
        )
    return found[-1]
