"""The first task of a channel: may the change come in?"""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from phased_rollout.errors import GuardError
from phased_rollout.model.guards import may_enter, why_not_unchanged
from phased_rollout.model.ledger import Kind
from phased_rollout.model.merged import of_targets
from phased_rollout.operators.base import RolloutOperator, no_retry, now
from phased_rollout.operators.hold import hold_while_barred
from phased_rollout.operators.shape import hold_while_edited
from phased_rollout.operators.unchanged import digests, hold_while_others_run, running
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout


class EnterOperator(RolloutOperator):
    """Skips a bypassed or unchanged channel, refuses what must not be entered, hands out waves.

    Holds, without a worker slot, in a freeze window and while an operator holds the rollout.

    :param channel: the channel to enter
    :param shape: the shape of the definition when the Dag was parsed
    """

    def __init__(self, *, channel: str, shape: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channel = channel
        self.shape = shape

    def execute(self, context: Any, event: Any = None) -> list[dict[str, Any]]:
        """Give the waves: ``[{"wave": 1, "targets": [names]}, …]``, never empty."""
        rollout = self.rollout(context)
        plan, records = rollout.plan, rollout.records
        hold_while_edited(self, rollout, self.shape, channel=self.channel)
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
        records.add(Kind.ENTERED, at=now(), channel=self.channel)
        waves = plan.definition.channel(self.channel).handed_out()
        return [
            {"wave": number, "targets": [t.name for t in targets]}
            for number, targets in enumerate(waves, start=1)
        ]

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
