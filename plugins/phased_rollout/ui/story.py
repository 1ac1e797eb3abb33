"""What has happened to a run, in the words of its records: decisions, exceptions, the rollback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from phased_rollout.model.definition import EMERGENCY
from phased_rollout.model.ledger import Kind
from phased_rollout.model.targets import few
from phased_rollout.ui.cells import State
from phased_rollout.ui.facts import Facts, Record
from phased_rollout.ui.survey import Survey

Json = dict[str, Any]
_DECISIONS = {
    Kind.AUTHORIZED: "authorized the rollout",
    Kind.CONFIRMED: "let the change, as it is now, into",
    Kind.APPROVED: "approved",
    Kind.REJECTED: "rejected",
    Kind.OPERATOR_HOLD: "held the rollout",
    Kind.OPERATOR_RESUME: "resumed the rollout",
    Kind.ABORTED: "aborted the rollout, to be rolled back",
    Kind.ABANDONED: "aborted the rollout, to be left as it is",
    Kind.KEPT: "decided to keep everything as it is",
    Kind.RESUMED: "let the rollback go on at",
    Kind.STOPPED: "stopped the rollback at",
}
_BACK = {
    Kind.ABORTED: "Aborted",
    Kind.WITHDRAWN: "Withdrew the graduation of",
    Kind.ARMED: "The rollback is armed",
    Kind.ROLLING_BACK: "Restores",
    Kind.RESUMED: "Paused, and goes on at",
    Kind.STOPPED: "Paused, and was stopped at",
    Kind.ROLLED_BACK: "Restored",
    Kind.CONCLUDED: "Over",
}
_BACK_ON_TARGETS = {Kind.LEFT_ALONE: "left alone", Kind.RESTORE_FAILED: "not restored"}


def decisions(facts: Facts) -> list[Json]:
    """Tell who decided what, oldest first."""
    return [
        {
            "at": record["at"],
            "who": record["user"],
            "what": f"{_DECISIONS[Kind(record['kind'])]} {record['channel']}".strip(),
            "why": record.get("reason", ""),
        }
        for record in facts.records(*_DECISIONS)
    ]


def rollback(facts: Facts) -> list[Json]:
    """Tell the rollback as it happened, oldest step first; nothing when there was none."""
    if not facts.ledger.happened(Kind.ARMED, Kind.ABORTED) and not facts.records(Kind.ROLLING_BACK):
        return []
    return [_step_back(facts, record) for record in facts.records(*_BACK)]


def exceptions(facts: Facts, found: Survey) -> list[Json]:
    """Name the targets that failed within the tolerance of their channel, and why."""
    excepted = {
        (channel, name)
        for channel, cells in found.cells.items()
        for name, cell in cells.items()
        if cell.state is State.EXCEPTED
    }
    why = {
        (channel, record["target"]): record
        for channel, told in facts.told_of_targets.items()
        for record in told
        if record["kind"] == Kind.REFUSED
    }
    return [
        {"channel": channel, "target": name, "at": record["at"], "reason": record["reason"]}
        for (channel, name), record in why.items()
        if (channel, name) in excepted
    ]


def notices(facts: Facts, definition: str) -> list[Json]:
    """Tell how the run is bound up with others, and that it is overdue."""
    told = [
        _of_other(f"Supersedes {record['run']}.", definition, record["run"])
        for record in facts.records(Kind.SUPERSEDES)
    ]
    if (after := facts.next) and after.supersedes:
        dag = definition + (EMERGENCY if after.emergency else "")
        told.append(_of_other(f"Superseded by {after.run}: this one stands down.", dag, after.run))
    stuck = facts.records(Kind.STUCK)[-1:]
    if not facts.ledger.happened(Kind.FINISHED, Kind.CONCLUDED):
        told += [{"text": f"Overdue: {record['reason']}", "run": None} for record in stuck]
    return told


def _of_other(text: str, dag: str, run: str) -> Json:
    return {"text": text, "run": {"dag": dag, "run": run}}


def history(facts: Facts) -> list[Json]:
    """Tell everything that is recorded of the run and its channels."""
    return [
        {
            "at": record["at"],
            "what": str(record["kind"]).replace("_", " "),
            "channel": record["channel"],
            "told": "; ".join(str(record[k]) for k in ("user", "reason", "run") if record.get(k)),
        }
        for record in facts.told
    ]


def _step_back(facts: Facts, record: Record) -> Json:
    kind, channel = Kind(record["kind"]), record["channel"]
    who = f" by {record['user']}" if "user" in record else ""
    restores = _restores(facts, channel, since=record["at"]) if kind is Kind.ROLLING_BACK else ()
    return {
        "at": record["at"],
        "what": f"{_BACK[kind]} {channel}".strip() + who,
        "why": record.get("reason", ""),
        "targets": list(restores),
    }


def _restores(facts: Facts, channel: str, *, since: str) -> Iterator[str]:
    """Say how many targets of a channel were restored, and name those that were not, and why.

    Up to when the channel was entered again: what came then belongs to another rollback.
    """
    begun = datetime.fromisoformat(since)
    again = (e.at for e in facts.ledger.entries if e.kind is Kind.ENTERED and e.channel == channel)
    until = min(
        (at for at in again if at > begun), default=datetime.max.replace(tzinfo=begun.tzinfo)
    )
    restored = [
        entry.target
        for entry in facts.targets[channel].entries
        if entry.kind is Kind.RESTORED and begun <= entry.at < until
    ]
    if restored:
        yield f"restored: {few(restored)}"
    for record in facts.told_of_targets[channel]:
        told = _BACK_ON_TARGETS.get(Kind(record["kind"]))
        if told and begun <= datetime.fromisoformat(record["at"]) < until:
            yield f"{told}: {record['target']}: {record['reason']}"
