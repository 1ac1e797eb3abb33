"""The first task of a channel: may the change come in?"""

from __future__ import annotations

from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from phased_rollout.errors import GuardError
from phased_rollout.model.guards import may_enter
from phased_rollout.model.ledger import Kind
from phased_rollout.operators.base import RolloutOperator, no_retry, now
from phased_rollout.operators.shape import hold_while_edited
from phased_rollout.records import RolloutRecords


class EnterOperator(RolloutOperator):
    """Skips a bypassed channel, refuses one that must not be entered, else hands out the waves.

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
        records.add(Kind.ENTERED, at=now(), channel=self.channel)
        waves = plan.definition.channel(self.channel).handed_out()
        return [
            {"wave": number, "targets": [t.name for t in targets]}
            for number, targets in enumerate(waves, start=1)
        ]


def _needs_authorization(records: RolloutRecords) -> bool:
    previews = records.details(Kind.PREVIEWED)
    if not previews:
        raise GuardError(
            "no preview is recorded; a task that was marked success did nothing: "
            "clear preview with downstream"
        )
    return bool(previews[-1]["authorize"])
