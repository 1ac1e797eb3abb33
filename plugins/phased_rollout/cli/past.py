"""What the command line tells of past rollouts. Reads the record store, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from phased_rollout.cli.tables import Json, duration, write, write_table
from phased_rollout.config.problems import did_you_mean
from phased_rollout.errors import RecordError, RolloutError
from phased_rollout.model.bypass import BypassTier
from phased_rollout.model.ledger import Kind
from phased_rollout.model.past import PastRun, Share, Typical, figures_of, looked_back
from phased_rollout.record_names import stamp
from phased_rollout.records import ENVIRONMENT, RecordStore


@dataclass(frozen=True, slots=True)
class Past:
    """The rollouts of some definitions, newest first, and those that cannot be read."""

    runs: dict[str, list[PastRun]] = field(default_factory=dict)
    unreadable: list[Json] = field(default_factory=list)


def past_of(
    rollout: str | None, *, since: datetime | None = None, limit: int | None = None
) -> Past:
    """Read the rollouts of one definition, or of all on record; raises RecordError without any.

    Reads two names and one file for each run that is asked for.
    """
    store, past = RecordStore.from_environment(), Past()
    for name in _recorded(store, rollout):
        found = past.runs.setdefault(name, [])
        for run_id in _begun(store, name, since=since)[:limit]:
            try:
                records = store.rollout(name, run_id)
                found.append(looked_back(records.plan(), records.ledger()))
            except (RolloutError, ValueError, KeyError, TypeError) as error:
                why = str(error).partition("\n")[0] or type(error).__name__
                past.unreadable.append({"rollout": name, "run": run_id, "why": why})
    return past


def _recorded(store: RecordStore, rollout: str | None) -> list[str]:
    known = [unquote(name) for name in store.names(store.root / "rollouts")]
    if rollout is None:
        return known
    if rollout not in known:
        close = did_you_mean(rollout, known) or f": recorded are {', '.join(known) or 'none'}"
        raise RecordError(f"no rollout of {rollout!r} is recorded{close}")
    return [rollout]


def _begun(store: RecordStore, name: str, *, since: datetime | None) -> list[str]:
    """Name the runs since a moment, newest first, from the names of their records alone."""
    names = store.names(store.rollout(name, "").shared / "started")
    first = stamp(since) if since else ""
    parts = [each.removesuffix(".json").partition("~") for each in names]
    return [unquote(run) for at, _, run in reversed(parts) if at >= first]


def history_as_json(past: Past) -> Json:
    """Give what ``history --json`` writes."""
    runs = [_as_json(name, run) for name, runs in past.runs.items() for run in runs]
    return {"runs": runs, "unreadable": past.unreadable}


def _as_json(name: str, run: PastRun) -> Json:
    plan, bypass = run.plan, run.plan.bypass
    return {
        "rollout": name,
        "run": plan.run_id,
        "began": plan.made_at.isoformat(),
        "ended": run.ended.isoformat() if run.ended else None,
        "seconds": run.took.total_seconds() if run.took else None,
        "change": {"name": plan.change_name, "digest": plan.change},
        "requested_by": bypass.requested_by,
        "emergency": plan.emergency,
        "bypass": None if bypass.tier is BypassTier.NONE else bypass.tier.value,
        "bypass_reason": bypass.reason or None,
        "result": run.result.value,
    }


def write_history(past: Past) -> None:
    """Show the runs as tables, one for each definition."""
    for name, runs in past.runs.items():
        write(f"{name}: {len(runs)} rollout{'' if len(runs) == 1 else 's'}")
        rows = [_row(_as_json(name, run), run) for run in runs]
        if rows:
            write_table(["began (UTC), run", "change", "who", "result", "took"], rows)
    write_unreadable(past)


def _row(shown: Json, run: PastRun) -> list[str]:
    bypass = [f"bypass: {shown['bypass']}"] if shown["bypass"] else []
    return [
        f"{shown['began'][:16].replace('T', ' ')}\n{shown['run']}",
        f"{shown['change']['name']}\n{shown['change']['digest'][:12]}",
        shown["requested_by"] or "the schedule",
        "\n".join([shown["result"], *(["emergency"] if shown["emergency"] else []), *bypass]),
        _time(run.took),
    ]


def write_unreadable(past: Past) -> None:
    """Name the runs whose records cannot be read, and say when there are none at all."""
    if not past.runs and not past.unreadable:
        root = RecordStore.from_environment().root
        write(f"no rollout is recorded in {root}; {ENVIRONMENT} names another record store")
    write(
        *(
            f"not readable: {one['run']} of {one['rollout']}: {one['why']}"
            for one in past.unreadable
        )
    )


def report_as_json(past: Past, *, since: datetime) -> Json:
    """Give what ``report --json`` writes."""
    rollouts = []
    for name, runs in past.runs.items():
        found = figures_of(runs)
        rollouts.append(
            {
                "rollout": name,
                "began": found.began,
                "under_way": found.under_way,
                "lead_time": _typical(found.lead_time),
                "change_failure_rate": _share(found.change_failure_rate),
                "time_to_restore": _typical(found.time_to_restore),
                "bypass_rate": _share(found.bypass_rate),
                "untested": _untested(name, runs),
            }
        )
    return {"since": since.isoformat(), "rollouts": rollouts, "unreadable": past.unreadable}


def _untested(name: str, runs: list[PastRun]) -> list[str]:
    """Read what no earlier channel exercised in the newest rollout."""
    if not runs:
        return []
    records = RecordStore.from_environment().rollout(name, runs[0].plan.run_id)
    preview = records.latest(Kind.PREVIEWED, channel="") or {}
    return list(preview.get("untested", {}).get("lines", []))


def _typical(value: Typical) -> Json:
    seconds = None if value.median is None else value.median.total_seconds()
    return {"median_seconds": seconds, "count": value.count}


def _share(value: Share) -> Json:
    return {"rate": value.rate, "count": value.count, "of": value.of}


def write_report(past: Past, *, since: datetime) -> None:
    """Show the figures as tables, one for each definition."""
    for name, runs in past.runs.items():
        found = figures_of(runs)
        began = f"{found.began} rollout{'' if found.began == 1 else 's'}"
        write(f"{name}: {began} since {since:%Y-%m-%d %H:%M} UTC, {found.under_way} under way")
        write_table(["figure", "value", "counted"], list(_figures(found)))
        write(*(f"newest rollout: {line}" for line in _untested(name, runs)))
    write_unreadable(past)


def _figures(found: Any) -> Iterator[list[str]]:
    yield ["lead time (median)", _time(found.lead_time.median), f"{found.lead_time.count} finished"]
    yield ["change failure rate", *_rate(found.change_failure_rate, "failed, of {} that ended")]
    count = found.time_to_restore.count
    restored = f"{count} complete rollback{'' if count == 1 else 's'}"
    yield ["time to restore (median)", _time(found.time_to_restore.median), restored]
    yield ["bypass rate", *_rate(found.bypass_rate, "with a bypass, of {}")]


def _rate(share: Share, words: str) -> tuple[str, str]:
    value = "n/a" if share.rate is None else f"{share.rate:.0%}"
    return value, f"{share.count} {words.format(share.of)}"


def _time(value: timedelta | None) -> str:
    return "n/a" if value is None else duration(int(value.total_seconds()))
