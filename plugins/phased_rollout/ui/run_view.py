"""The view of one run, as JSON values; the page shows it and knows nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from phased_rollout.model.bypass import BypassTier
from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Plan
from phased_rollout.operators.about import gate_of
from phased_rollout.ui.cells import Cell, Stage, cells_of, stage_of, verified_at
from phased_rollout.ui.facts import Facts, Record
from phased_rollout.ui.progress import ENDED, AirflowRun, End, end_of, pace_of, standing

Json = dict[str, Any]
_SHOWN = 5
_DECISIONS = {
    Kind.AUTHORIZED: "authorized the rollout",
    Kind.APPROVED: "approved",
    Kind.REJECTED: "rejected",
    Kind.KEPT: "decided to keep everything as it is",
    Kind.RESUMED: "let the rollback go on at",
    Kind.STOPPED: "stopped the rollback at",
}
_BACK = {
    Kind.ARMED: "The rollback is armed",
    Kind.ROLLING_BACK: "Restores",
    Kind.ROLLED_BACK: "Restored",
}


def run_view(facts: Facts, run: AirflowRun, *, pace: float | None = None) -> Json:
    """Tell all about a run.

    :param pace: seconds that a target took in an earlier rollout, if that is known
    """
    plan = facts.plan
    channels = plan.channels if plan else ()
    stages = {c.name: stage_of(facts, c, over=run.state in ENDED) for c in channels}
    cells = {c.name: cells_of(facts, c, stages[c.name]) for c in channels}
    own = pace_of(plan, facts.ledger) if plan else None
    end = end_of(facts, stages=stages, cells=cells, pace=pace if own is None else own)
    at = standing(facts, run, stages=stages, cells=cells)
    return {
        "dag": run.dag_id,
        "run": run.run_id,
        "state": run.state,
        "over": run.state in ENDED,
        "began": _iso(run.began),
        "ended": _iso(run.ended),
        "plan": _plan(plan, facts.about) if plan else None,
        "standing": {
            "title": at.title,
            "detail": at.detail,
            "tone": at.tone,
            "task": at.task,
            "since": _iso(at.since),
        },
        "end": _end(end) if end and run.state not in ENDED else None,
        "channels": [_channel(facts, c, stages[c.name], cells[c.name]) for c in channels],
        "questions": run.tasks_in("awaiting_input"),
        "failures": [_failure(record) for record in facts.records(Kind.FAILED)],
        "preview": _preview(facts),
        "decisions": [_decision(record) for record in facts.records(*_DECISIONS)],
        "rollback": [_step_back(facts, record) for record in facts.records(*_BACK)],
        "evidence": _evidence(facts),
        "debts": [_debt(debt) for debt in facts.debts],
        "history": [_event(record) for record in facts.told],
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
        "emergency": plan.emergency,
        "pays": list(plan.pays),
        "bypass": None
        if bypass.tier is BypassTier.NONE
        else {"what": str(bypass), "reason": bypass.reason, "by": bypass.requested_by},
    }


def _end(end: End) -> Json:
    return {
        "since": _iso(end.since),
        "seconds": end.seconds,
        "work": end.work,
        "people": list(end.people),
    }


def _channel(facts: Facts, channel: Channel, stage: Stage, cells: Mapping[str, Cell]) -> Json:
    soaks = stage is Stage.SOAKING
    reasons = {
        r["target"]: f"{r['kind'].replace('_', ' ')}: {r['reason']}"
        for r in facts.told_of_targets[channel.name]
    }
    index = {t.name: n for n, wave in enumerate(channel.handed_out()) for t in wave}
    return {
        "name": channel.name,
        "stage": stage,
        "gate": gate_of(channel),
        "soak": channel.soak.total_seconds(),
        "soak_ends": _iso(verified_at(facts, channel.name) + channel.soak) if soaks else None,
        "max_failed": channel.max_failed,
        "counts": Counter(cell.state.value for cell in cells.values()),
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


def _failure(record: Record) -> Json:
    return {"at": record["at"], "task": record["task"], "reason": record["reason"]}


def _preview(facts: Facts) -> Json | None:
    found = facts.records(Kind.PREVIEWED)
    if not found:
        return None
    last = found[-1]
    return {"at": last["at"], "lines": last["differences"], "authorize": last["authorize"]}


def _decision(record: Record) -> Json:
    what = f"{_DECISIONS[Kind(record['kind'])]} {record['channel']}".strip()
    return {"at": record["at"], "who": record["user"], "what": what}


def _step_back(facts: Facts, record: Record) -> Json:
    kind, channel = Kind(record["kind"]), record["channel"]
    step: Json = {
        "at": record["at"],
        "what": f"{_BACK[kind]} {channel}".strip(),
        "why": record.get("reason", ""),
        "targets": [],
    }
    if kind is Kind.ROLLING_BACK:
        step["targets"] = list(_restores(facts, channel, since=record["at"]))
    return step


def _restores(facts: Facts, channel: str, *, since: str) -> Iterator[str]:
    """Say how many targets of a channel were restored, and name those that were not, and why."""
    begun = datetime.fromisoformat(since)
    history = facts.targets[channel]
    names = [e.target for e in history.entries if e.kind is Kind.RESTORED and e.at >= begun]
    if names:
        yield f"restored: {_few(names)}"
    for record in facts.told_of_targets[channel]:
        told = Kind(record["kind"])
        if told in (Kind.LEFT_ALONE, Kind.RESTORE_FAILED) and record["at"] >= since:
            what = "left alone" if told is Kind.LEFT_ALONE else "not restored"
            yield f"{what}: {record['target']}: {record['reason']}"


def _evidence(facts: Facts) -> Json | None:
    """Give what the last judgement saw; equal observations share a row, the worst come first."""
    found = facts.records(Kind.HEALTHY)
    if not found:
        return None
    rows: dict[tuple[str, str, str], list[str]] = {}
    for target, signal, health, detail in found[-1].get("evidence", []):
        rows.setdefault((health, signal, detail), []).append(target)
    return {
        "at": found[-1]["at"],
        "channel": found[-1]["channel"],
        "reason": found[-1]["reason"],
        "rows": [
            {"health": health, "signal": signal, "detail": detail, "targets": _few(targets)}
            for (health, signal, detail), targets in sorted(rows.items())
        ],
    }


def _debt(debt: Any) -> Json:
    return {
        "run": debt.run,
        "change": debt.change_name,
        "what": debt.left_out,
        "why": debt.reason,
        "by": debt.requested_by,
        "authorized_by": debt.authorized_by,
        "due": debt.due,
    }


def _event(record: Record) -> Json:
    told = record.get("reason") or record.get("user") or record.get("run") or ""
    what = str(record["kind"]).replace("_", " ")
    return {"at": record["at"], "what": what, "channel": record["channel"], "told": told}


def _few(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
