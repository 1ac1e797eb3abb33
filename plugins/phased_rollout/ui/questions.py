"""What a person is asked: why, until when, and who may answer. Airflow takes the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import NEVER, Kind
from phased_rollout.model.plan import Plan
from phased_rollout.ui.facts import AirflowRun, Facts

AWAITS, WATCHES = "awaiting_input", "deferred"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that waits for a person.

    :param task: that asks; its *required action* in Airflow takes the answer
    :param until: from then on no answer counts; None: it waits as long as it takes
    :param who: may answer; nobody named is everybody with the right to
    :param barred: whose yes does not count; empty: nobody's
    """

    task: str
    title: str
    why: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    who: tuple[str, ...] = ()
    barred: str = ""


def questions_of(facts: Facts, run: AirflowRun) -> list[Asked]:
    """Give the questions that wait for a person; a gate watches its channel while it waits."""
    watched = [task for task in run.tasks_in(WATCHES) if task.endswith(".gate")]
    return [_question(facts, task) for task in (*run.tasks_in(AWAITS), *watched)]


def _question(facts: Facts, task: str) -> Asked:
    title, why = _content(facts, task)
    asked = facts.ledger.last(Kind.ASKED, channel=task)
    within, who = _terms(facts.plan, task)
    since = None if asked is NEVER else asked
    until = since + within if since and within else None
    return Asked(task, title, why, since, until, who, _barred(facts.plan, task))


def _content(facts: Facts, task: str) -> tuple[str, list[str]]:
    group, _, word = task.rpartition(".")
    if task == "authorize":
        return "Asks for an authorization of this rollout", _last(
            facts, Kind.PREVIEWED, "authorize"
        )
    if task == "rollback.decide":
        return "Asks whether to roll back", _last(facts, Kind.FAILED, "reason")
    if group == "rollback":
        failed = [
            f"{record['target']}: {record['reason']}"
            for record in facts.told_of_targets.get(word, ())
            if record["kind"] == Kind.RESTORE_FAILED
        ]
        return f"The rollback of {word} has paused and asks whether to go on", failed[-5:]
    if word == "gate":
        unknown = facts.ledger.is_left_to_a_person(group)
        judged = Kind.INCONCLUSIVE if unknown else Kind.HEALTHY
        doubt = ", whose health nobody knows" if unknown else ""
        why = _last(facts, judged, "reason", channel=group)
        return f"Asks for an approval to graduate from {group}{doubt}", why
    if word == "enter":
        why = _last(facts, Kind.DOUBTED, "reasons", channel=group)
        return f"Asks whether to enter {group}, although things have changed", why
    return f"Waits for a person: {task}", []


def _terms(plan: Plan | None, task: str) -> tuple[timedelta | None, tuple[str, ...]]:
    """Give how long the question waits, and who may answer it."""
    group, _, word = task.rpartition(".")
    if plan is None:
        return None, ()
    if task == "authorize":
        return plan.definition.authorize_within, ()
    if task == "rollback.decide":
        return plan.definition.decide_within, ()
    if word == "gate":
        approval = plan.definition.channel(group).approval
        return approval.deadline, approval.approvers
    if word == "enter":
        before: Sequence[Channel] = plan.before(group)[-1:]
        return None, next((channel.approval.approvers for channel in before), ())
    return None, ()


def _barred(plan: Plan | None, task: str) -> str:
    """Name whoever started the run where that is no second pair of eyes."""
    asker = plan.bypass.requested_by if plan else None
    if plan is None or asker is None or task.startswith("rollback."):
        return ""
    return asker if plan.objection_to(asker) else ""


def _last(facts: Facts, kind: Kind, key: str, *, channel: str = "") -> list[str]:
    found = [r for r in facts.records(kind) if channel in ("", r["channel"])]
    told = found[-1].get(key, []) if found else []
    return [told] if isinstance(told, str) else list(told)
