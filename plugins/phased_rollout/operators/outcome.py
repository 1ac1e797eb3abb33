"""How a run ends: green when every channel has graduated, else restored and failed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.debts import owe, pay
from phased_rollout.errors import GuardError, PausedError, RecordError
from phased_rollout.model.guards import channels_to_restore, may_finish
from phased_rollout.model.ledger import Kind
from phased_rollout.operators.announce import (
    tell_debts,
    tell_finished,
    tell_lost_failure,
    tell_rolled_back,
)
from phased_rollout.operators.base import RolloutOperator, no_retry, now
from phased_rollout.operators.restore import Failures, in_words, restore
from phased_rollout.operators.shape import hold_until_its_turn, hold_while_edited
from phased_rollout.operators.tolerance import failed_targets
from phased_rollout.rollout import Rollout


class OutcomeOperator(RolloutOperator):
    """Succeeds only on a recorded graduation or bypass of every planned channel.

    Task states do not count here, so marking the last gate as success ends nothing green.

    :param shape: the shape of the definition when the Dag was parsed
    """

    def __init__(self, *, shape: list[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = shape

    def execute(self, context: Any, event: Any = None) -> str:
        """Say what was rolled out."""
        rollout = self.rollout(context)
        hold_while_edited(self, rollout, self.shape)
        plan, records = rollout.plan, rollout.records
        hold_until_its_turn(self, rollout, event, plan.channels)
        with no_retry():
            may_finish(plan, records.ledger())
        records.add(Kind.FINISHED, at=now())
        owe(records, plan, at=now())
        pay(records, plan.pays, at=now())
        excepted = [n for c in plan.names for n in sorted(failed_targets(rollout, c))]
        exceptions = f" with {len(excepted)} exceptions: {', '.join(excepted)}" if excepted else ""
        held = [f"\non hold: {t.hold_in_words}" for c in plan.channels for t in c.on_hold]
        said = f"{plan.change_name} ({plan.change[:12]}) graduated{exceptions}{''.join(held)}"
        tell_finished(rollout, said=said, context=context)
        return said


class VerdictOperator(RolloutOperator):
    """The last word on a run, and the sweep of last resort.

    Runs whatever happened before, even when a user marked the whole run: no other rollback task is
    left to run then. Restores what still runs the change, last channel first, and fails.
    """

    def execute(self, context: Any) -> str:
        """Return only when the run is complete in the records; else restore, and fail."""
        return self._judge(context, begun=now(), failed={})

    def resume(self, context: Any, event: Any, begun: str, failed: Failures) -> str:
        """Go on with the sweep."""
        moment = datetime.fromisoformat(begun)
        return self._judge(context, begun=moment, failed=failed)

    def _judge(self, context: Any, *, begun: datetime, failed: Failures) -> str:
        rollout = self.rollout(context)
        try:
            unfinished = _why_unfinished(rollout)
        except RecordError as error:
            raise AirflowFailException("no plan was frozen: no target was touched") from error
        if unfinished is None:
            return "complete"
        ledger = rollout.records.ledger()
        undecided = (Kind.ENTERED, Kind.APPLIED, Kind.FAILED, Kind.ARMED)
        if ledger.last(Kind.KEPT) <= ledger.last_of_any(*undecided):
            unfinished = self._sweep(rollout, begun=begun, failed=failed) or unfinished
        else:
            owe(rollout.records, rollout.plan, at=now())
            tell_debts(rollout, context)
        rollout.records.add(Kind.CONCLUDED, at=now())
        said = f"{_summary(rollout)}\n{in_words(failed)}\n{unfinished}".strip()
        tell_lost_failure(rollout, context)
        tell_rolled_back(rollout, summary=said, context=context)
        raise AirflowFailException(said)

    def _sweep(self, rollout: Rollout, *, begun: datetime, failed: Failures) -> str | None:
        """Restore what is left; says why not everything was looked at."""
        for channel in channels_to_restore(rollout.plan, rollout.records.ledger()):
            try:
                restore(self, rollout, channel.name, begun=begun, failed=failed)
            except PausedError as paused:
                again = f"clear rollback.{channel.name} with downstream"
                return f"the rollback paused: {paused}; to go on, {again}"
            except GuardError as error:
                return str(error)
        return None


def _why_unfinished(rollout: Rollout) -> str | None:
    plan, ledger = rollout.plan, rollout.records.ledger()
    try:
        may_finish(plan, ledger)
    except GuardError as error:
        return str(error)
    if ledger.last(Kind.FINISHED) <= ledger.last_of_any(Kind.ENTERED, Kind.PREVIEWED):
        return "every channel has graduated, but the outcome was never recorded"
    return None


def _summary(rollout: Rollout) -> str:
    records = rollout.records
    lines = [
        f"{r['kind']} by {r['user']}: {r['reason']}"
        for r in records.details(Kind.ABORTED, Kind.ABANDONED)
    ]
    lines += [f"failed: {r['task']}: {r['reason']}" for r in records.details(Kind.FAILED)]
    if not lines:
        lines = ["no failure was recorded: a task was marked failed, or its process was killed"]
    for channel in rollout.plan.names:
        for record in records.details(
            Kind.RESTORED, Kind.LEFT_ALONE, channel=channel, targets=True
        ):
            what = record["kind"].replace("_", " ")
            lines.append(f"{what}: {record['target']} of {channel}: {record['reason']}")
    lines.extend(f"on hold: {t.hold_in_words}" for c in rollout.plan.channels for t in c.on_hold)
    return "\n".join(lines)
