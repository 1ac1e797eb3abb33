"""The first task: resolves the change and freezes what later tasks obey."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout import changes, sources, substrates
from phased_rollout.debts import made_good_by, owed
from phased_rollout.errors import ChangeError, ConfigError, GuardError, RefusedError
from phased_rollout.model.boundary_check import Boundaries
from phased_rollout.model.bypass import Bypass, make_bypass
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Definition
from phased_rollout.model.guards import in_flight
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import (
    Plan,
    describe,
    refuse_expired_holds,
    refuse_lonely_approvals,
    refuse_vain_gates,
)
from phased_rollout.model.representativeness import unlike
from phased_rollout.notify import problems_of
from phased_rollout.operators.announce import tell_started
from phased_rollout.operators.base import RolloutOperator, now, refuse_unknown_conf
from phased_rollout.operators.discovery import find_targets
from phased_rollout.present import boundaries_of
from phased_rollout.records import RolloutRecords

LOOK_AGAIN = timedelta(seconds=10)
PATIENCE = timedelta(minutes=10)
"""How long an emergency waits for targets that the regular rollout is changing. Then it begins:
what is still in flight may not mutate any more, and a target that is busy is waited for."""


class PlanOperator(RolloutOperator):
    """Checks the run's conf, finds the targets, resolves the change and freezes the plan.

    Touches no target: asks the inventory, if there is one, the records, and the substrate for
    hosts of slices. A second run of the task keeps the first plan.

    :param planned: the definition as the file had it when the Dag was parsed
    :param base: folder that a relative change is resolved against
    :param emergency: supersede the regular rollout, once none of its targets is being changed
    :param why_not: why no rollout may begin; empty when one may
    """

    def __init__(
        self,
        *,
        planned: Definition,
        base: str,
        emergency: bool = False,
        why_not: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(definition=planned.name, **kwargs)
        self.planned = planned
        self.base = base
        self.emergency = emergency
        self.why_not = why_not

    def execute(self, context: Any, event: Any = None) -> dict[str, Any]:
        """Give the plan's digest and shortest duration in seconds."""
        records = self.rollout(context).records
        try:
            if self.why_not:
                raise GuardError(self.why_not)
            plan, change = self._plan(context)
        except (ChangeError, ConfigError, GuardError, RefusedError) as error:
            raise AirflowFailException(f"nothing was touched:\n{error}") from error
        if self.emergency:
            self._supersede(records)
        plan = records.freeze(plan, change)
        if plan.emergency != self.emergency:
            raise AirflowFailException("the run id is taken by another rollout: trigger a new run")
        self.log.info("%s", describe(plan))
        for line in unlike(plan.definition, without=plan.bypass.channels):
            self.log.warning("%s", line)
        self._tell(context)
        return {"change": plan.change, "seconds": plan.shortest_duration.total_seconds()}

    def _tell(self, context: Any) -> None:
        rollout = self.rollout(context)
        for number, why in problems_of(rollout.plan.definition.notify).items():
            path = rollout.plan.definition.notify[number].path
            self.log.warning("nobody will be told by notifier %s: it %s", path, why)
        tell_started(rollout, context)

    def _plan(self, context: Any) -> tuple[Plan, Change]:
        run, params = context["dag_run"], context["params"]
        refuse_unknown_conf(self, context)
        bypass = make_bypass(
            tier=params["bypass"],
            channels=params["bypass_channels"] or [],
            reason=params["bypass_reason"] or "",
            requested_by=run.triggering_user_name,
            known=[c.name for c in self.planned.channels],
        )
        records = self.rollout(context).records
        definition, origin = find_targets(
            self._under(params.get("policy")), records, without=bypass.channels
        )
        refuse_expired_holds(definition, today=now().date())
        change = self._change(params, definition, bypass)
        plan = Plan(
            definition=bypass.applied_to(definition),
            run_id=run.run_id,
            change=change.digest,
            change_name=change.name,
            made_at=now(),
            bypass=bypass,
            shape=tuple(self.planned.shape),
            emergency=self.emergency,
            pays=made_good_by(owed(records), change=change.digest, tier=bypass.tier),
            origin=origin,
            boundaries=self._beside(boundaries_of(records, definition, bypass, change)),
        )
        refuse_lonely_approvals(plan)
        refuse_vain_gates(plan)
        if plan.pays and definition.policy != self.planned.policy:
            usual = self.planned.policy
            raise GuardError(f"policy: what a bypass left out is made good under {usual!r} only")
        return plan, change

    def _beside(self, found: Boundaries | None) -> Boundaries | None:
        """Stop a change that would not work beside what runs now; what cannot wait is asked."""
        if found and self.emergency:
            return found.asking()
        if found and found.stops:
            raise GuardError("\n".join(found.stops))
        return found

    def _change(self, params: Any, definition: Definition, bypass: Bypass) -> Change:
        source = params["change"] or self.planned.change
        if not source:
            raise GuardError("no change: name its folder or URL in the Dag param 'change'")
        with sources.opened(source, base=Path(self.base)) as folder:
            change = changes.load(
                str(folder),
                base=folder,
                given=params["parameters"] or {},
                templates=changes.templates_of(self.planned),
            )
        included = [c for c in definition.channels if c.name not in bypass.channels]
        problems = changes.check_against(change, definition) or substrates.problems_of(
            definition.substrate, change, included
        )
        if problems:
            raise ChangeError("\n".join(problems))
        return change

    def _under(self, policy: str | None) -> Definition:
        """Give the definition under the policy of this run, which may not change the Dag."""
        if not self.planned.policies:
            return self.planned
        chosen = policy or self.planned.policy
        if chosen not in self.planned.policies:
            allowed = ", ".join(self.planned.policies)
            raise GuardError(f"policy: {chosen!r} is not allowed here; choose from: {allowed}")
        planned = self.planned.under(chosen)
        if planned.shape != self.planned.shape:
            raise GuardError(f"policy: {chosen!r} would bring or take an approval")
        return planned

    def _supersede(self, records: RolloutRecords) -> None:
        """Wait until no apply and no restore is in flight, then end the regular rollout's right."""
        earlier = [run for run in records.begun() if run != records.run_id]
        busy = in_flight_of(records.of(earlier[-1])) if earlier else []
        waits = [datetime.fromisoformat(held["at"]) for held in records.details(Kind.HELD)]
        if busy and (not waits or now() < waits[0] + PATIENCE):
            reason = f"{earlier[-1]} is changing {', '.join(busy)}: waiting, {PATIENCE} at most"
            self.log.warning("%s", reason)
            records.hold(reason, at=now(), channel="")
            self.defer(trigger=DateTimeTrigger(moment=now() + LOOK_AGAIN), method_name="execute")
        if earlier and not records.ledger().happened(Kind.SUPERSEDES):
            records.add(Kind.SUPERSEDES, at=now(), run=earlier[-1])


def in_flight_of(records: RolloutRecords) -> list[str]:
    """Name the targets that a rollout is applying to, or restoring."""
    ledger = records.ledger()
    return [
        name
        for channel in records.plan().names
        for name in in_flight(
            ledger,
            records.of_targets(channel),
            channel=channel,
            captured=records.captured(channel),
        )
    ]
