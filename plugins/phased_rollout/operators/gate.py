"""What lets a change leave a channel: nothing more after a good judgement, or a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from phased_rollout.model.decision import Verdict, judge
from phased_rollout.model.definition import Channel, OnFailure
from phased_rollout.model.ledger import Kind
from phased_rollout.model.merged import shown
from phased_rollout.model.plan import Plan, describe, how_to_retry
from phased_rollout.operators.about import fenced
from phased_rollout.operators.announce import graduate
from phased_rollout.operators.approval import RecordedApproval, given, last_of, untested_in
from phased_rollout.operators.base import now
from phased_rollout.operators.untested import ahead
from phased_rollout.rollout import Rollout
from phased_rollout.triggers.approval import ApprovalTrigger
from phased_rollout.triggers.soak import interval_of
from phased_rollout.triggers.watch import Watch, keep

_EVERY = 5.0
"""Seconds between two looks while a person is awaited, at least."""
_JUDGED = (Kind.HEALTHY, Kind.INCONCLUSIVE)


class ApprovalGate(RecordedApproval):
    """Lets a channel graduate, on a person's word where the policy or the judgement asks for one.

    A channel whose health could not be known is left to a person whatever its policy: the gate
    shows what is known and what is missing, and the answer is bound to that. The channel is watched
    until there is an answer.
    """

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
        asked = self._asked_for(rollout)
        if asked is None:
            bypass = rollout.plan.bypass
            return f"no approval is asked: {bypass}" if bypass.reason else "no approval is asked"
        self.response_timeout = rollout.plan.definition.channel(self.channel).approval.deadline
        mend = f"clear {self.channel}.health with downstream"
        last_of(rollout, asked, channel=self.channel, mend=mend)
        if self.already(rollout, asked=asked, yes=Kind.APPROVED, channel=self.channel):
            return self._graduate(rollout, context)
        return self.put(context)

    def _asked_for(self, rollout: Rollout) -> Kind | None:
        """Name the judgement that a person has to confirm; None when there is none."""
        if rollout.records.ledger().is_left_to_a_person(self.channel):
            return Kind.INCONCLUSIVE
        planned = rollout.plan.definition.channel(self.channel)
        return Kind.HEALTHY if planned.needs_approval else None

    def body_of(self, rollout: Rollout) -> str:
        """Show the evidence of the health task, what changes on the way, and the plan."""
        plan, records = rollout.plan, rollout.records
        judged = records.details(*_JUDGED, channel=self.channel)[-1]
        differences = [d for r in records.details(Kind.PREVIEWED)[-1:] for d in r["differences"]]
        holds = plan.definition.on_failure is OnFailure.HOLD
        return "\n\n".join(
            [
                *_unknown(judged),
                f"**How {self.channel} has fared**",
                fenced([judged["reason"], *judged.get("lines", ())]),
                "**What the rollout changes**",
                fenced(shown(differences) or ["nothing"]),
                *untested_in(ahead(rollout, self.channel)),
                "**The plan**",
                fenced([describe(plan), given(rollout), _still_to_come(plan, self.channel)]),
                "**Approve** lets the change go on. **Reject** fails the rollout, and so does no "
                f"answer within {self.response_timeout}: then "
                + ("a person is asked whether to roll back." if holds else "it is rolled back."),
            ]
        )

    def approvers(self, rollout: Rollout) -> tuple[str, ...]:
        """Name the approvers of the plan, whoever the file names by now."""
        return rollout.plan.definition.channel(self.channel).approval.approvers

    def again(self, rollout: Rollout) -> str:
        """Tell how the channel is judged again, on which the gate asks again."""
        return how_to_retry(rollout.plan, task=f"{self.channel}.health")

    def count(self, context: Any, event: Any) -> Any:
        """Record the approval and the graduation, unless harm has shown since it was asked for."""
        rollout = self.rollout(context)
        self._end_early(rollout, event)
        user = self.yes(context, event)
        if user is None:
            return None
        self._look_again(rollout)
        rollout.records.add(Kind.APPROVED, at=now(), channel=self.channel, user=user)
        return self._graduate(rollout, context)

    def ask(self, context: Any, *, shown: str = "") -> Any:
        """Ask, and watch the channel in the triggerer meanwhile."""
        try:
            return super().ask(context, shown=shown)
        except TaskAwaitingInput:
            self._watch(context)

    def _watch(self, context: Any) -> None:
        rollout = self.rollout(context)
        planned = rollout.plan.definition.channel(self.channel)
        trigger = ApprovalTrigger(
            ti_id=str(context["ti"].id),
            definition=rollout.records.definition,
            run_id=rollout.records.run_id,
            channel=self.channel,
            until=(now() + planned.approval.deadline).isoformat(),
            interval=max(interval_of(planned.soak), _EVERY),
        )
        self.defer(trigger=trigger, method_name="execute_complete")

    def _end_early(self, rollout: Rollout, event: Any) -> None:
        """Fail on what has ended the wait for an answer."""
        if newer := event.get("newer"):
            raise AirflowFailException(f"a newer rollout has begun ({newer}): this one stands down")
        what = f"while an approval of {self.channel} was awaited"
        if event.get("aborted"):
            raise AirflowFailException(f"aborted by an operator {what}")
        if harm := event.get("harm"):
            raise AirflowFailException(f"harm {what}: {harm}\n{self.again(rollout)}")

    def _look_again(self, rollout: Rollout) -> None:
        """Fail on harm since the last look of the watch."""
        observations = Watch.of(rollout, self.channel).look(now())
        decision = judge(observations)
        if decision.verdict is Verdict.ROLL_BACK:
            keep(rollout.records, observations, channel=self.channel, at=now())
            self._end_early(rollout, {"harm": decision.reason})

    def _graduate(self, rollout: Rollout, context: Any) -> str:
        user = rollout.records.details(Kind.APPROVED, channel=self.channel)[-1]["user"]
        graduate(rollout, self.channel, reason=f"approved by {user}", context=context)
        return f"{self.channel} graduated"


def _unknown(judged: Any) -> list[str]:
    if judged["kind"] != Kind.INCONCLUSIVE:
        return []
    return [
        "**Nobody knows whether this channel is healthy.** What is missing is said below. Look for "
        "yourself before you approve: your word stands in for the evidence."
    ]


def _still_to_come(plan: Plan, channel: str) -> str:
    after = plan.channels[plan.names.index(channel) + 1 :]
    soaks = sum((c.soak for c in after if not plan.is_bypassed(c.name)), timedelta())
    return f"after {channel} it takes at least {soaks} (the soaks of {len(after)} channels)"
