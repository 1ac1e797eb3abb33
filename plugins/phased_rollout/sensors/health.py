"""The judgement at the end of a soak: graduate, roll back, or hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.model.decision import Verdict, judge
from phased_rollout.model.guards import may_judge
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import how_to_retry
from phased_rollout.model.target_state import Observation
from phased_rollout.operators.announce import graduate
from phased_rollout.operators.base import no_retry, now
from phased_rollout.rollout import Rollout
from phased_rollout.triggers.watch import Watch, evidence_of, keep

_FOREVER = timedelta(days=365)


class HealthSensor(BaseSensorOperator):
    """Judges a channel after its whole soak, and looks again at the channels before it.

    Harm fails. What cannot be known holds: it is asked again, without a worker slot, until it is
    known or a person ends the run; it never passes. Records the evidence, and the graduation where
    no person has to approve it.

    :param definition: name of the rollout definition
    :param channel: the channel to judge
    """

    def __init__(self, *, definition: str, channel: str, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", timeout=_FOREVER.total_seconds(), **kwargs)
        self.definition = definition
        self.channel = channel

    def poke(self, context: Any) -> bool:
        """Give True when the channel is healthy; raises AirflowFailException on harm."""
        rollout = Rollout.open(self.definition, context["run_id"])
        plan, records = rollout.plan, rollout.records
        channel, ledger = plan.definition.channel(self.channel), records.ledger()
        with no_retry():
            may_judge(
                plan,
                ledger,
                records.of_targets(self.channel),
                channel=self.channel,
                newer=records.newer(),
            )
        verified = records.of_targets(self.channel).last_of_any(Kind.VERIFIED)
        until = max(ledger.last(Kind.APPLIED, channel=self.channel), verified) + channel.soak
        if now() < until:
            self.log.info("holding: %s soaks until %s", self.channel, until.isoformat())
            return False
        observations = _observe(rollout, self.channel)
        decision = judge(observations)
        self.log.info("%s: %s", decision.verdict, decision.reason)
        if decision.verdict is not Verdict.PROMOTE:
            keep(records, observations, channel=self.channel, at=now())
        if decision.verdict is Verdict.ROLL_BACK:
            again = how_to_retry(plan, task=f"{self.channel}.health")
            raise AirflowFailException(
                f"harm in {self.channel} or before it: {decision.reason}\n{again}"
            )
        if decision.verdict is Verdict.HOLD:
            records.hold(decision.reason, at=now(), channel=self.channel)
            return False
        records.add(
            Kind.HEALTHY,
            at=now(),
            channel=self.channel,
            reason=decision.reason,
            evidence=evidence_of(observations),
        )
        if not channel.needs_approval:
            graduate(rollout, self.channel, reason=decision.reason, context=context)
        return True


def _observe(rollout: Rollout, channel: str) -> list[Observation]:
    earlier = [c.name for c in rollout.plan.before(channel) if not rollout.plan.is_bypassed(c.name)]
    watches = (Watch.of(rollout, name) for name in [*earlier, channel])
    return [observation for watch in watches for observation in watch.look(now())]
