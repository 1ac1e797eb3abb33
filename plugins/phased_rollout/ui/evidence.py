"""How the targets fared: what the last judgement saw, and every signal over time, to be drawn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import NEVER, Kind
from phased_rollout.model.target_state import Health
from phased_rollout.model.targets import few
from phased_rollout.ui.cells import is_applied, verified_at
from phased_rollout.ui.facts import Facts, Record

Json = dict[str, Any]
_WORST = (Health.HARM, Health.UNKNOWN, Health.OK)
_SEEN = (Kind.HEALTHY, Kind.INCONCLUSIVE, Kind.OBSERVED, Kind.JUDGED)
_MEANS = {"fail": Health.HARM, "inconclusive": Health.UNKNOWN, "pass": Health.OK}
_SHOWN = 5
_MOST_LANES = 40


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment.

    :param health: the worst of what was seen
    :param text: in words
    """

    at: str
    health: str
    text: str


@dataclass(frozen=True, slots=True)
class Series:
    """One signal of one channel, or of one target that was not always well, over time."""

    channel: str
    signal: str
    target: str
    looks: tuple[Look, ...]


def series_of(records: Sequence[Record], channels: Mapping[str, str]) -> list[Series]:
    """Turn recorded evidence into series: of each signal by channel, then of unwell targets.

    Evidence are observations ``[target, signal, health, detail]``, at the moment of their record;
    whatever kind of record has some.

    :param channels: target name to the name of its channel
    """
    seen: dict[tuple[str, str, str], dict[str, list[Sequence[str]]]] = defaultdict(dict)
    unwell: dict[tuple[str, str, str], None] = {}
    for record in records:
        for observed in record.get("evidence", ()):
            target, signal, health, _ = observed
            channel = channels.get(target, "")
            for key in ((channel, signal, ""), (channel, signal, target)):
                seen[key].setdefault(record["at"], []).append(observed)
            if health != Health.OK:
                unwell[channel, signal, target] = None
    whole = [key for key in seen if not key[2]]
    lanes = sorted([*whole, *list(unwell)[:_MOST_LANES]], key=_order(list(channels.values())))
    return [Series(*key, tuple(_look(at, o) for at, o in seen[key].items())) for key in lanes]


def _order(channels: Sequence[str]) -> Any:
    place = {name: number for number, name in enumerate(dict.fromkeys(channels))}
    return lambda key: (place.get(key[0], len(place)), key[1], key[2])


def _look(at: str, observed: Sequence[Sequence[str]]) -> Look:
    found = {health: [o for o in observed if o[2] == health] for health in _WORST}
    worst = next((health for health in _WORST if found[health]), Health.UNKNOWN)
    if len(observed) == 1:
        return Look(at, worst, f"{worst}: {observed[0][3]}")
    counts = ", ".join(f"{len(found[health])} {health}" for health in _WORST if found[health])
    named = "" if worst is Health.OK else f": {few([o[0] for o in found[worst]], _SHOWN)}"
    return Look(at, worst, counts + named)


def charts(facts: Facts) -> Json | None:
    """Give what there is to draw: the soak of each channel, and the series; None for nothing."""
    channels = facts.plan.channels if facts.plan else ()
    owners = {target.name: channel.name for channel in channels for target in channel.targets}
    series = series_of(facts.told, owners)
    soaks = [soak for channel in channels if (soak := _soak(facts, channel))]
    if not soaks:
        return None
    return {
        "soaks": soaks,
        "series": [
            {
                "channel": one.channel,
                "signal": one.signal,
                "target": one.target,
                "looks": [[look.at, look.health, look.text] for look in one.looks],
            }
            for one in series
        ],
    }


def _soak(facts: Facts, channel: Channel) -> Json | None:
    """Say from when to when a channel was observed, and how that ended; None when it was not."""
    name, ledger = channel.name, facts.ledger
    entered = ledger.last(Kind.ENTERED, channel=name)
    if entered is NEVER or not is_applied(facts, channel, entered):
        return None
    begun = verified_at(facts, name)
    healthy = ledger.last(Kind.HEALTHY, channel=name)
    failed = ledger.last(Kind.FAILED, channel=name)
    unknown = ledger.last(Kind.INCONCLUSIVE, channel=name)
    ended, health = max(
        (healthy, Health.OK), (failed, Health.HARM), (unknown, Health.UNKNOWN), key=lambda e: e[0]
    )
    over = ended > begun
    return {
        "channel": name,
        "from": begun.isoformat(),
        "planned": (begun + channel.soak).isoformat(),
        "to": ended.isoformat() if over else None,
        "health": health if over else None,
    }


def last_judgement(facts: Facts) -> Json | None:
    """Give what the last judgement saw; equal observations share a row, the worst come first."""
    found = facts.records(*_SEEN)
    if not found:
        return None
    last = found[-1]
    channel = last["channel"]
    observed = [r for r in found if r["channel"] == channel and r.get("evidence")][-1:]
    judged = [r for r in found if r["channel"] == channel and r.get("metrics")][-1:]
    rows = [*_metrics(judged), *(row for r in observed for row in _rows(r["evidence"]))]
    return {
        "at": last["at"],
        "channel": channel,
        "reason": last.get("reason", ""),
        "rows": sorted(rows, key=lambda row: _WORST.index(row["health"])),
    }


def _metrics(judged: Sequence[Record]) -> Iterator[Json]:
    """Give the metrics of the last judgement as rows like those of signals."""
    for record in judged:
        for metric in record["metrics"]:
            yield {
                "health": _MEANS[metric["verdict"]],
                "signal": f"metric {metric['name']}",
                "detail": metric["said"],
                "targets": few(metric["drivers"], _SHOWN) or record["channel"],
            }


def _rows(evidence: Sequence[Sequence[str]]) -> Iterator[Json]:
    rows: dict[tuple[str, str, str], list[str]] = {}
    for target, signal, health, detail in evidence:
        rows.setdefault((health, signal, detail), []).append(target)
    worst: dict[str, int] = {health: number for number, health in enumerate(_WORST)}
    for (health, signal, detail), targets in sorted(
        rows.items(), key=lambda row: (worst.get(row[0][0], 0), row[0])
    ):
        yield {
            "health": health,
            "signal": signal,
            "detail": detail,
            "targets": few(targets, _SHOWN),
        }
