"""The first task: resolves the change and freezes what later tasks obey."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from phased_rollout import changes
from phased_rollout.errors import ChangeError, GuardError
from phased_rollout.model.definition import Definition
from phased_rollout.model.plan import Plan, describe, make_bypass
from phased_rollout.operators.base import RolloutOperator, now


class PlanOperator(RolloutOperator):
    """Checks the run's conf, resolves the change to immutable content and freezes the plan.

    Touches no target. A second run of the task keeps the first plan.

    :param planned: the definition as the file had it when the Dag was parsed
    :param base: folder that a relative change is resolved against
    """

    def __init__(self, *, planned: Definition, base: str, **kwargs: Any) -> None:
        super().__init__(definition=planned.name, **kwargs)
        self.planned = planned
        self.base = base

    def execute(self, context: Any) -> dict[str, Any]:
        """Give the plan's digest and shortest duration in seconds."""
        try:
            plan = self._plan(context)
        except (ChangeError, GuardError) as error:
            raise AirflowFailException(f"nothing was touched:\n{error}") from error
        self.log.info("%s", describe(plan))
        return {"change": plan.change, "seconds": plan.shortest_duration.total_seconds()}

    def _plan(self, context: Any) -> Plan:
        run, params = context["dag_run"], context["params"]
        known = set(self.dag.params) if self.dag else set()
        if unknown := set(run.conf or {}) - known:
            raise GuardError(
                f"unknown conf keys: {', '.join(sorted(unknown))}; "
                f"known: {', '.join(sorted(known))}"
            )
        bypass = make_bypass(
            tier=params["bypass"],
            channels=params["bypass_channels"] or [],
            reason=params["bypass_reason"] or "",
            requested_by=run.triggering_user_name,
            known=[c.name for c in self.planned.channels],
        )
        source = params["change"] or self.planned.change
        if not source:
            raise GuardError("no change: name its folder in the Dag param 'change'")
        change = changes.load(
            source,
            base=Path(self.base),
            given=params["parameters"] or {},
            templates=changes.templates_of(self.planned),
        )
        if problems := changes.check_against(change, self.planned):
            raise ChangeError("\n".join(problems))
        plan = Plan(
            definition=self.planned,
            run_id=run.run_id,
            change=change.digest,
            change_name=change.name,
            made_at=now(),
            bypass=bypass,
        )
        return self.rollout(context).records.freeze(plan, change)
