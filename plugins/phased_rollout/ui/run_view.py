"""The view of one run, as JSON values; the page shows it and knows nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Any

from phased_rollout.debts import Debt
from phased_rollout.model.bypass import BypassTier
from phased_rollout.model.definition import Channel, definition_of
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Plan
from phased_rollout.operators.about import gate_of
from phased_rollout.ui import evidence, story
from phased_rollout.ui.cells import Stage, verified_at
from phased_rollout.ui.ending import end_of, pace_of
from phased_rollout.ui.facts import AirflowRun, Facts
from phased_rollout.ui.progress import standing
from phased_rollout.ui.questions import questions_of
from phased_rollout.ui.survey import Survey, survey

Json = dict[str, Any]


def run_view(facts: Facts, run: AirflowRun, *, now: datetime, pace: float | None = None) -> Json:
    """Tell all about a run.

    :param pace: seconds that a target took in an earlier rollout, if that is known
    """
    found = survey(facts, over=run.is_over, now=now)
    channels = facts.plan.channels if facts.plan else ()
    return summary(facts, run, found, now=now, pace=pace) | {
        "channels": [_channel(facts, channel, found) for channel in channels],
        "questions": [_told(asked) for asked in questions_of(facts, run)],
        "notices": story.notices(facts, definition_of(run.dag_id)),
        "failures": [_failure(record) for record in facts.records(Kind.FAILED)],
        "exceptions": story.exceptions(facts, found),
        "preview": _preview(facts),
        "decisions": story.decisions(facts),
        "rollback": story.rollback(facts),
        "evidence": evidence.last_judgement(facts),
        "charts": evidence.charts(facts),
        "debts": [_debt(debt) for debt in facts.debts],
        "history": story.history(facts),
    }


def summary(
    facts: Facts, run: AirflowRun, found: Survey, *, now: datetime, pace: float | None
) -> Json:
    """Tell in short where a run is, channel by channel, without its targets."""
    plan = facts.plan
    own = pace_of(plan, facts.ledger) if plan else None
    end = end_of(facts, found, pace=pace if own is None else own, now=now)
    return {
        "dag": run.dag_id,
        "run": run.run_id,
        "state": run.state,
        "over": run.is_over,
        "began": _iso(run.began),
        "ended": _iso(run.ended),
        "plan": _plan(plan, facts.about) if plan else None,
        "standing": _told(standing(facts, run, found)),
        "end": _told(end) if end and not run.is_over else None,
        "holds": [_told(hold) for hold in found.holds],
        "channels": [_head(facts, channel, found) for channel in (plan.channels if plan else ())],
    }


def _plan(plan: Plan, about: str) -> Json:
    bypass = plan.bypass
    return {
        "definition": plan.definition.name,
        "change": plan.change_name,
        "digest": plan.change,
        "about": about,
        "made_at": plan.made_at.isoformat(),
        "shortest": plan.shortest_duration.total_seconds(),
        "policy": plan.definition.policy,
        "emergency": plan.emergency,
        "pays": list(plan.pays),
        "bypass": None
        if bypass.tier is BypassTier.NONE
        else {"what": str(bypass), "reason": bypass.reason, "by": bypass.requested_by},
    }


def _head(facts: Facts, channel: Channel, found: Survey) -> Json:
    stage, cells = found.stages[channel.name], found.cells[channel.name]
    soaks = stage is Stage.SOAKING
    return {
        "name": channel.name,
        "stage": stage,
        "gate": gate_of(channel),
        "soak": channel.soak.total_seconds(),
        "soak_ends": _iso(verified_at(facts, channel.name) + channel.soak) if soaks else None,
        "max_failed": channel.max_failed,
        "counts": Counter(cell.state.value for cell in cells.values()),
    }


def _channel(facts: Facts, channel: Channel, found: Survey) -> Json:
    cells = found.cells[channel.name]
    reasons = {
        r["target"]: f"{r['kind'].replace('_', ' ')}: {r['reason']}"
        for r in facts.told_of_targets[channel.name]
    }
    index = {t.name: n for n, wave in enumerate(channel.handed_out()) for t in wave}
    return _head(facts, channel, found) | {
        "targets": [
            {
                "name": target.name,
                "state": cells[target.name].state,
                "at": _iso(cells[target.name].at),
                "failed": cells[target.name].failed,
                "address": " ".join(target.address.values()),
                "map_index": index.get(target.name),
                "reason": target.hold_in_words or reasons.get(target.name, ""),
            }
            for target in (*channel.targets, *channel.on_hold)
        ],
    }


def _failure(record: Any) -> Json:
    return {"at": record["at"], "task": record["task"], "reason": record["reason"]}


def _preview(facts: Facts) -> Json | None:
    found = facts.records(Kind.PREVIEWED)
    if not found:
        return None
    last = found[-1]
    return {
        "at": last["at"],
        "lines": last["differences"],
        "authorize": last["authorize"],
        "untested": last.get("untested", {}).get("lines", []),
        "refused": last.get("refused", ""),
    }


def _debt(debt: Debt) -> Json:
    return {
        "run": debt.run,
        "change": debt.change_name,
        "what": debt.left_out,
        "why": debt.reason,
        "by": debt.requested_by,
        "authorized_by": debt.authorized_by,
        "due": debt.due,
    }


def _told(value: Any) -> Json:
    """Give a dataclass as JSON values."""

    def plain(each: Any) -> Any:
        moment = isinstance(each, datetime)
        return each.isoformat() if moment else list(each) if isinstance(each, tuple) else each

    return {name: plain(each) for name, each in asdict(value).items()}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
