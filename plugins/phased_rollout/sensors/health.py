"""The judgement at the end of a soak: graduate, roll back, hold, or leave it to a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.model.decision import Decision, Verdict, judge, worst_of
from phased_rollout.model.definition import Channel
from phased_rollout.model.guards import may_judge
from phased_rollout.model.inconclusive import Then
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import how_to_retry
from phased_rollout.model.target_state import Observation
from phased_rollout.operators.announce import graduate
from phased_rollout.operators.base import no_retry, now
from phased_rollout.rollout import Rollout
from phased_rollout.sensors.judging import is_judged, judge_again, judge_soak, soak_of
from phased_rollout.triggers.watch import Watch, evidence_of, keep

_FOREVER = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a channel and those before it.

    :param lines: what the metrics of the channel say
    :param withdrawn: earlier channel to the harm in it, the earliest first
    """

    decision: Decision
    observations: list[Observation]
    lines: tuple[str, ...]
    withdrawn: dict[str, str]


class HealthSensor(BaseSensorOperator):
    """Judges a channel after its whole soak, and looks again at the channels before it.

    Harm fails; harm in an earlier channel withdraws its graduation, too. What cannot be known
    holds: it is asked again, without a worker slot, until it is known or a deadline has come; then
    a person is asked at the gate, or as the plan says. It never passes. Records the evidence, and
    the graduation where no person has to approve it.

    :param definition: name of the rollout definition
    :param channel: the channel to judge
    """

    def __init__(self, *, definition: str, channel: str, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", timeout=_FOREVER.total_seconds(), **kwargs)
        self.definition = definition
        self.channel = channel

    def poke(self, context: Any) -> bool:
        """Give True when the channel is judged; raises AirflowFailException on harm."""
        rollout = Rollout.open(self.definition, context["run_id"])
        plan, records = rollout.plan, rollout.records
        channel = plan.definition.channel(self.channel)
        with no_retry():
            may_judge(
                plan,
                records.ledger(),
                records.of_targets(self.channel),
                channel=self.channel,
                newer=records.newer(),
            )
        until = soak_of(rollout, channel).end
        if now() < until:
            self.log.info("holding: %s soaks until %s", self.channel, until.isoformat())
            return False
        found = _find(rollout, channel)
        decision = found.decision
        self.log.info("%s: %s", decision.verdict, decision.reason)
        if decision.verdict is not Verdict.PROMOTE:
            keep(records, found.observations, channel=self.channel, at=now())
        if decision.verdict is Verdict.ROLL_BACK:
            self._fail(rollout, found)
        if decision.verdict is Verdict.HOLD:
            return self._hold(rollout, channel, found, until=until)
        self._record(rollout, Kind.HEALTHY, found)
        if not channel.needs_approval:
            graduate(rollout, self.channel, reason=decision.reason, context=context)
        return True

    def _fail(self, rollout: Rollout, found: Finding) -> None:
        for name, reason in found.withdrawn.items():
            rollout.records.add(
                Kind.WITHDRAWN, at=now(), channel=name, reason=reason, by=self.channel
            )
        first = next(iter(found.withdrawn), self.channel)
        again = how_to_retry(rollout.plan, task=f"{first}.health")
        raise AirflowFailException(
            f"harm in {self.channel} or before it: {found.decision.reason}\n{again}"
        )

    def _hold(self, rollout: Rollout, channel: Channel, found: Finding, *, until: datetime) -> bool:
        """Hold until the deadline; then do as the plan says. Gives whether this task is done."""
        terms, reason = channel.on_inconclusive, found.decision.reason
        deadline = until + terms.hold_for
        if terms.then is Then.HOLD or now() < deadline:
            after = {Then.ASK: "a person is asked", Then.FAIL: "it fails"}.get(terms.then)
            when = f"; at {deadline:%Y-%m-%d %H:%M:%S} UTC {after}" if after else ""
            rollout.records.hold(reason + when, at=now(), channel=self.channel)
            return False
        if terms.then is Then.FAIL:
            again = how_to_retry(rollout.plan, task=f"{self.channel}.health")
            what = f"{self.channel} could not be judged within {terms.hold_for}"
            raise AirflowFailException(f"{what}: {reason}\n{again}")
        self.log.warning("nobody knows whether %s is healthy: its gate asks a person", self.channel)
        self._record(rollout, Kind.INCONCLUSIVE, found)
        return True

    def _record(self, rollout: Rollout, kind: Kind, found: Finding) -> None:
        rollout.records.add(
            kind,
            at=now(),
            channel=self.channel,
            reason=found.decision.reason,
            evidence=evidence_of(found.observations),
            lines=list(found.lines),
        )


def _find(rollout: Rollout, channel: Channel) -> Finding:
    """Observe the channel and those before it; judge their metrics unless there is harm already."""
    before = rollout.plan.before(channel.name)
    earlier = [c for c in before if not rollout.plan.is_bypassed(c.name)]
    seen = {c.name: Watch.of(rollout, c.name).look(now()) for c in [*earlier, channel]}
    hard = {name: judge(observations) for name, observations in seen.items() if observations}
    harmed = {n: d.reason for n, d in hard.items() if d.verdict is Verdict.ROLL_BACK}
    observations = [o for found in seen.values() for o in found]
    decisions = [judge(observations)]
    lines: tuple[str, ...] = ()
    if not harmed:
        if is_judged(rollout, channel):
            opinion = judge_soak(rollout, channel, at=now())
            decisions, lines = [*decisions, opinion.decision], opinion.lines
        for each in [one for one in earlier if is_judged(rollout, one)]:
            again = judge_again(rollout, each, by=channel, at=now())
            if again and again.decision.verdict is Verdict.ROLL_BACK:
                harmed[each.name] = again.decision.reason
                decisions.append(
                    Decision(Verdict.ROLL_BACK, f"{each.name}: {again.decision.reason}")
                )
    withdrawn = {c.name: harmed[c.name] for c in earlier if c.name in harmed}
    return Finding(worst_of(*decisions), observations, lines, withdrawn)
