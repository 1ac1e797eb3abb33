"""The first task of a channel: may the change come in?"""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from phased_rollout.errors import GuardError, UnreachableError
from phased_rollout.model.guards import may_enter, why_not_unchanged
from phased_rollout.model.ledger import Kind
from phased_rollout.model.merged import of_targets, shown
from phased_rollout.model.plan import how_to_retry
from phased_rollout.operators.about import fenced
from phased_rollout.operators.base import no_retry, now
from phased_rollout.operators.confirm import Doubt, doubt
from phased_rollout.operators.hold import hold_while_barred
from phased_rollout.operators.question import Question, user_of
from phased_rollout.operators.shape import hold, hold_until_its_turn, hold_while_edited
from phased_rollout.operators.unchanged import digests, hold_while_others_run, running
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout


class EnterOperator(Question):
    """Skips a bypassed or unchanged channel, refuses what must not be entered, hands out waves.

    Holds, without a worker slot, in a freeze window and while an operator holds the rollout.
    Previews the channel afresh. Holds, and asks a person, for as long as it takes, when the change
    would do something else there than what was previewed, or when a yes is too old to count.

    :param channel: the channel to enter
    :param shape: the shape of the definition when the Dag was parsed
    """

    GO_ON = "Go on"
    STOP = "Stop"

    def __init__(self, *, channel: str, shape: list[str], **kwargs: Any) -> None:
        super().__init__(
            subject=f"Let the change into {channel}, although things have changed?",
            options=[self.GO_ON, self.STOP],
            **kwargs,
        )
        self.channel = channel
        self.shape = shape

    def execute(self, context: Any, event: Any = None) -> Any:
        """Give the waves: ``[{"wave": 1, "targets": [names]}, …]``, never empty."""
        rollout = self.rollout(context)
        plan, records = rollout.plan, rollout.records
        hold_while_edited(self, rollout, self.shape, channel=self.channel)
        before = plan.before(self.channel)[-1:]
        hold_until_its_turn(self, rollout, event, before, channel=self.channel)
        with no_retry():
            may_enter(
                plan,
                records.ledger(),
                channel=self.channel,
                newer=records.newer(),
                needs_authorization=_needs_authorization(records),
            )
        if plan.is_bypassed(self.channel):
            records.add(Kind.BYPASSED, at=now(), channel=self.channel, reason=plan.bypass.reason)
            raise AirflowSkipException(f"{self.channel} is bypassed: {plan.bypass.reason}")
        hold_while_others_run(self, rollout, channel=self.channel)
        if graduated := _preview(records).get("unchanged", {}).get(self.channel):
            self._pass_unchanged(rollout, graduated=graduated)
        hold_while_barred(self, rollout, channel=self.channel)
        channel = plan.definition.channel(self.channel)
        try:
            with no_retry():
                found = doubt(rollout, channel, now=now())
        except UnreachableError as error:
            reason = f"what would change cannot be previewed: {error}"
            return hold(self, rollout, reason, channel=self.channel)
        if found.reasons:
            return self._ask_whether(context, found)
        records.add(Kind.ENTERED, at=now(), channel=self.channel)
        waves = channel.handed_out()
        return [
            {"wave": number, "targets": [t.name for t in targets]}
            for number, targets in enumerate(waves, start=1)
        ]

    def _ask_whether(self, context: Any, found: Doubt) -> Any:
        rollout = self.rollout(context)
        previewed = _preview(rollout.records)["differences"]
        rollout.records.add(
            Kind.DOUBTED,
            at=now(),
            channel=self.channel,
            targets=found.seen,
            exercises=found.exercises,
            reasons=found.reasons,
        )
        self.assigned_users = [{"id": u, "name": u} for u in self._may_answer(rollout)] or None
        self.body = "\n\n".join(
            [
                "**Why you are asked**",
                fenced(found.reasons),
                "**What would change now, where that differs**",
                fenced(shown(found.differences) or ["nothing differs"]),
                "**What was previewed for all channels**",
                fenced(shown(previewed) or ["nothing"]),
                f"**{self.GO_ON}** lets the change into {self.channel} as it is shown now. "
                f"**{self.STOP}** fails the rollout. The question waits.",
            ]
        )
        return self.ask(context)

    def _may_answer(self, rollout: Rollout) -> tuple[str, ...]:
        return next(
            (c.approval.approvers for c in rollout.plan.before(self.channel)[-1:]),
            (),
        )

    def count(self, context: Any, event: Any) -> None:
        """Record that a person has seen what would change; fails when the answer is no.

        The yes of somebody who may not give it counts for nothing: the question is asked again.
        """
        answer, rollout = self.hear(context, event), self.rollout(context)
        user = user_of(answer)
        again = how_to_retry(rollout.plan, task=f"{self.channel}.enter")
        if answer["chosen_options"] != [self.GO_ON]:
            raise AirflowFailException(f"{user} stopped the rollout before {self.channel}\n{again}")
        if objection := rollout.plan.objection_to(user, approvers=self._may_answer(rollout)):
            self.log.warning("asking again: %s", objection)
            return
        doubted = rollout.records.details(Kind.DOUBTED, channel=self.channel)[-1]
        shown = {key: doubted[key] for key in ("targets", "exercises") if key in doubted}
        rollout.records.add(Kind.CONFIRMED, at=now(), channel=self.channel, user=user, **shown)

    def proceed(self, context: Any, counted: None) -> Any:
        """Look again, and enter."""
        return self.execute(context)

    def _pass_unchanged(self, rollout: Rollout, *, graduated: str) -> None:
        """Skip the channel if all its targets still run the change that graduated here before."""
        channel, records = rollout.plan.definition.channel(self.channel), rollout.records
        found = running(rollout, channel)
        why_not = why_not_unchanged(
            rollout.plan, records.ledger(), channel=self.channel, running=found
        )
        if why_not:
            self.log.info("%s", why_not)
            return
        reason = (
            f"all {of_targets(len(found))} of {self.channel} run the change already, as it "
            f"graduated there in {graduated}: nothing is applied, nothing has to soak"
        )
        records.add(
            Kind.UNCHANGED,
            at=now(),
            channel=self.channel,
            reason=reason,
            digests=digests(rollout, channel),
        )
        raise AirflowSkipException(reason)


def _needs_authorization(records: RolloutRecords) -> bool:
    preview = _preview(records)
    if refused := preview.get("refused"):
        raise GuardError(f"the preview refused the change: {refused}")
    return bool(preview["authorize"])


def _preview(records: RolloutRecords) -> dict[str, Any]:
    previews: list[dict[str, Any]] = records.details(Kind.PREVIEWED)
    if not previews:
        raise GuardError(
            "no preview is recorded; a task that was marked success did nothing: "
            "clear preview with downstream"
        )
    return previews[-1]
