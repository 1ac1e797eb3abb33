"""Tells the world what a task has just recorded: people, other Dags, and Airflow's statistics.

Nothing in here fails a task: what it tells of has happened already, and is on record.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from airflow.sdk import Asset, AssetAlias

from phased_rollout import metrics
from phased_rollout.certificates import certify
from phased_rollout.debts import owed
from phased_rollout.errors import RecordError
from phased_rollout.model import notices
from phased_rollout.model.certificate import Certificate
from phased_rollout.model.guards import may_graduate
from phased_rollout.model.ledger import NEVER, Kind
from phased_rollout.model.notices import Notice
from phased_rollout.model.plan import again_after_rollback
from phased_rollout.notify import harmless, tell
from phased_rollout.operators.base import no_retry, now
from phased_rollout.operators.untested import at_graduation
from phased_rollout.record_names import stamp
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout

_log = logging.getLogger(__name__)

_ENDS = "rollback.verdict"
"""The task that fails because something else did."""


def outlet(definition: str, channel: str) -> AssetAlias:
    """Give what a task declares that may graduate a channel: an event only when it does."""
    return AssetAlias(_uri(definition, channel))


def graduate(rollout: Rollout, channel: str, *, reason: str, context: Any) -> None:
    """Record that the change has left a channel, with a certificate, then tell of it.

    Where it has been recorded already, and nothing of the channel since, it is told only. Raises
    AirflowFailException, and tells nobody, when the channel was rolled back meanwhile.

    :param reason: how the channel was judged
    """
    records, at = rollout.records, now()
    with no_retry():
        may_graduate(records.ledger(), channel=channel)
    certificate = _certified(rollout, channel, at=at)
    _log.info("certificate of %s: %s", channel, certificate)
    with harmless("the graduation"):
        entered = records.ledger().last(Kind.ENTERED, channel=channel)
        history = records.of_targets(channel)
        planned = [t.name for t in rollout.plan.definition.channel(channel).targets]
        verified = [n for n in planned if history.last(Kind.VERIFIED, target=n) > entered]
        metrics.time_in_channel(records.definition, channel, at - entered)
        _emit(rollout, channel, targets=verified, certificate=certificate, context=context)
        reasons = f"{reason}\ncertificate {certificate}"
        notice = notices.graduated(rollout.plan, channel, targets=verified, reason=reasons)
        announce(rollout, replace(notice, occurrence=(stamp(entered),)), context)


def announce(rollout: Rollout, notice: Notice, context: Any) -> None:
    """Tell everybody whom the plan names."""
    tell(rollout.records, rollout.plan.definition.notify, notice, context)


def tell_started(rollout: Rollout, context: Any) -> None:
    """Tell of a frozen plan, and of what it leaves out."""
    with harmless("the start"):
        announce(rollout, notices.started(rollout.plan), context)
        if bypassed := notices.bypassed(rollout.plan):
            announce(rollout, bypassed, context)


def tell_finished(rollout: Rollout, *, said: str, context: Any) -> None:
    """Tell that a rollout is complete, what it owes and what it has made good."""
    with harmless("the end"):
        entered = rollout.records.ledger().last_of_any(Kind.ENTERED)
        notice = notices.finished(rollout.plan, said=said)
        announce(rollout, replace(notice, occurrence=(stamp(entered),)), context)
        tell_debts(rollout, context)
        if rollout.plan.pays:
            announce(
                rollout, notices.debt_paid(rollout.records.definition, rollout.plan.pays), context
            )


def tell_debts(rollout: Rollout, context: Any) -> None:
    """Tell what this run owes."""
    with harmless("what is owed"):
        for debt in owed(rollout.records) if rollout.plan.definition.notify else []:
            if debt.run == rollout.records.run_id:
                announce(rollout, notices.debt_owed(rollout.records.definition, str(debt)), context)


def tell_failures(
    records: RolloutRecords, context: Any, failures: Iterable[Mapping[str, Any]] | None = None
) -> None:
    """Tell of each task that failed, as far as nobody was told.

    Called by the callback, and again by the verdict, because Airflow may not call it: once all is
    restored, since no message may keep a rollback waiting.

    :param failures: records of kind ``failed``; unless given, all of the run
    """
    with harmless("the failure"):
        plan = _plan(records)
        notifiers = plan.definition.notify if plan else _planned(context)
        if not notifiers:
            return
        entered = [e.at for e in records.ledger().entries if e.kind is Kind.ENTERED]
        told: dict[tuple[str, ...], Notice] = {}
        for record in records.details(Kind.FAILED) if failures is None else failures:
            if record["task"] == _ENDS:
                continue
            at = datetime.fromisoformat(record["at"])
            life = max((e for e in entered if e <= at), default=NEVER)
            attempt = record["attempt"].rpartition(" try ")[2]
            notice = notices.failed(
                records.definition, plan, task=record["task"], reason=record["reason"]
            )
            # Not for each wave: they fail together, and the end of the rollback names them all.
            occurrence = (record["task"], attempt, stamp(life))
            told.setdefault(occurrence, replace(notice, occurrence=occurrence))
        for notice in told.values():
            tell(records, notifiers, notice, context)


def tell_lost_failure(rollout: Rollout, context: Any) -> None:
    """Tell of a rollback for which no failure is on record."""
    tell_failures(rollout.records, context)
    with harmless("the failure"):
        ledger = rollout.records.ledger()
        entered = ledger.last_of_any(Kind.ENTERED)
        if rollout.plan.definition.notify and ledger.last_of_any(Kind.FAILED) <= entered:
            notice = notices.failed(
                rollout.records.definition,
                rollout.plan,
                task=f"{ledger.last_entered()}.*" if ledger.last_entered() else "preview",
                reason="no failure was recorded: a task was marked failed, or its process was lost",
            )
            announce(rollout, replace(notice, occurrence=("lost", stamp(entered))), context)


def tell_rolled_back(rollout: Rollout, *, summary: str, context: Any) -> None:
    """Tell how a rollback ended; nothing when there was nothing to restore.

    :param summary: what failed, and what became of each target
    """
    with harmless("the rollback"):
        records, plan, restored, left = rollout.records, rollout.plan, 0, []
        ledger = records.ledger()
        for name in plan.names:
            since = ledger.last(Kind.ENTERED, channel=name)
            history = records.of_targets(name)
            ended = [e for e in history.entries if e.at > since and e.kind is Kind.RESTORED]
            restored += len({e.target for e in ended})
            missing = sorted(history.unrestored_targets(since=since))
            left += [f"not restored: {target} of {name}" for target in missing]
        if not restored and not left:
            return
        metrics.count("rollouts.rolled_back", records.definition)
        again = again_after_rollback(plan, channel=ledger.last_entered() or plan.names[0])
        notice = notices.rolled_back(
            plan, summary=summary, restored=restored, left=left, again=again
        )
        entered = stamp(ledger.last_of_any(Kind.ENTERED))
        announce(rollout, replace(notice, occurrence=(entered, *left)), context)


def _certified(rollout: Rollout, channel: str, *, at: datetime) -> str:
    """Record a graduation, once, with its certificate; gives the certificate's digest."""
    records = rollout.records
    own = [e for e in records.ledger().entries if e.channel == channel]
    if own and own[-1].kind is Kind.GRADUATED:
        found = Certificate.of(records.latest(Kind.GRADUATED, channel=channel))
        return found.digest if found else "none: an earlier version recorded the graduation"
    facts = at_graduation(rollout, channel)
    certificate = certify(records, channel, at=at, facts=facts)
    records.add(Kind.GRADUATED, at=at, channel=channel, **facts, certificate=certificate.as_json())
    return certificate.digest


def _emit(
    rollout: Rollout, channel: str, *, targets: list[str], certificate: str, context: Any
) -> None:
    """Let Airflow make an event of the channel's asset when this task succeeds."""
    accessors = context.get("outlet_events")
    if accessors is None:
        return
    definition, plan = rollout.records.definition, rollout.plan
    accessors[outlet(definition, channel)].add(
        Asset(_uri(definition, channel)),
        extra={
            "digest": plan.change,
            "change": plan.change_name,
            "run_id": plan.run_id,
            "rollout": definition,
            "channel": channel,
            "targets": list(targets),
            "certificate": certificate,
        },
    )


def _uri(definition: str, channel: str) -> str:
    return f"rollout://{definition}/{channel}"


def _plan(records: RolloutRecords) -> Any:
    try:
        return records.plan()
    except RecordError:
        return None


def _planned(context: Any) -> Any:
    """Give whom the file names: for the task that fails before a plan is frozen."""
    planned = getattr(context.get("task"), "planned", None)
    return planned.notify if planned else ()
