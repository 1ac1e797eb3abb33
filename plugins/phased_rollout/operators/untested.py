"""What earlier channels exercise of a change, and what they leave untested, from the previews."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import NEVER, Kind
from phased_rollout.model.representativeness import (
    as_json,
    exercised_by,
    in_words,
    kinds_of,
    missing,
    policy_of,
)
from phased_rollout.model.traits import compared
from phased_rollout.model.untested import Exercised, Representativeness, Untested, compare
from phased_rollout.operators.previews import Previews
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the previews say of the targets.

    :param changes: target name to its kinds of change; none of a target that runs the change
    :param inherited: of channels in which nothing changes: what the rollout exercised by which the
        change has graduated there
    """

    changes: Mapping[str, Collection[str]]
    inherited: Mapping[str, Exercised]

    def as_json(self) -> Json:
        """Give what is recorded: targets of the same changes share an entry."""
        inherited = {name: _told(found) for name, found in self.inherited.items()}
        return {"targets": grouped(self.changes), "inherited": inherited}


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the task preview makes of it.

    :param lines: for people
    :param authorize: what a person must authorize
    :param refused: why the change goes no further; empty: it does
    :param record: what is kept of it
    """

    lines: list[str] = field(default_factory=list)
    authorize: list[str] = field(default_factory=list)
    refused: str = ""
    record: Json = field(default_factory=dict)


def assess(rollout: Rollout, previews: Previews, unchanged: Mapping[str, str | None]) -> Assessment:
    """Compare what would change in each channel with what would in those before it.

    :param unchanged: channels without a change, each with the rollout that graduated there, if any
    """
    seen = _previewed(rollout, previews, unchanged)
    found = compare(_channels(rollout, seen))
    left = missing(found)
    policy, why = policy_of(rollout.plan)
    lines = [*in_words(found), *([why] if why and left else [])]
    return Assessment(
        lines=lines,
        authorize=left if policy is Untested.ASK else [],
        refused=_blocked(rollout, left) if policy is Untested.BLOCK and left else "",
        record={
            "exercises": seen.as_json(),
            "untested": {"policy": policy, "lines": lines, "channels": as_json(found)},
        },
    )


def ahead(rollout: Rollout, channel: str) -> list[str]:
    """Say what no channel so far has exercised, this one included, of what is still to come."""
    seen = _seen(rollout.records)
    return in_words(_after(rollout, compare(_channels(rollout, seen)), channel)) if seen else []


def at_graduation(rollout: Rollout, channel: str) -> Json:
    """Give what a channel has really exercised, and what stays untested; for its record.

    A target that failed within the tolerance has exercised nothing.
    """
    if (seen := _seen(rollout.records)) is None:
        return {}  # previewed by an earlier version
    found = _channels(rollout, seen)
    left = _after(rollout, compare(found), channel)
    return {"exercised": _told(found[channel]), "untested": as_json(left)}


def anew(rollout: Rollout, channel: str, fresh: Previews) -> list[str]:
    """Say what is untested of a channel by fresh previews, as far as nobody was told before."""
    if (seen := _seen(rollout.records)) is None:
        return []
    told = rollout.records.details(Kind.PREVIEWED)[-1]["untested"]["lines"]
    changed = replace(seen, changes={**seen.changes, **_changes(fresh)})
    found = compare(_channels(rollout, changed))
    own = [each for each in found.remainders if each.channel == channel]
    return [line for line in missing(Representativeness(tuple(own))) if line not in told]


def grouped(changes: Mapping[str, Collection[str]]) -> list[Json]:
    """Give what targets would change, for a record: those of the same changes together."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, kinds in changes.items():
        groups.setdefault(tuple(kinds), []).append(name)
    return [{"changes": list(kinds), "targets": names} for kinds, names in groups.items()]


def changes_of(previews: Previews) -> list[Json]:
    """Give what fresh previews say, for a record."""
    return grouped(_changes(previews))


def _changes(previews: Previews) -> dict[str, list[str]]:
    """Leave out the targets that run the change: what it did there was previewed before."""
    return {name: kinds_of(found) for name, found in previews.items() if found is not None}


def _blocked(rollout: Rollout, left: list[str]) -> str:
    name = rollout.plan.definition.name
    return (
        f"no earlier channel exercises all that later ones would change, and untested of {name} is "
        "block: give an earlier channel targets like theirs, or let a person decide by "
        f"`untested: ask` in channels.yaml: {'; '.join(left)}"
    )


def _previewed(rollout: Rollout, previews: Previews, unchanged: Mapping[str, str | None]) -> Seen:
    changes, records = _changes(previews), rollout.records
    if before := _seen(records):
        # Previewed once more under way: what this rollout has applied since is no less evidence.
        ledger = records.ledger()
        entered = [c for c in rollout.plan.channels if ledger.entered_since_rollback(c.name)]
        kept = {t.name for c in entered for t in c.targets if previews.get(t.name) is None}
        changes |= {name: list(kinds) for name, kinds in before.changes.items() if name in kept}
    found = {
        name: inherited
        for name, run in unchanged.items()
        if run and (inherited := _graduated(records.of(run), name))
    }
    return Seen(changes, found)


def _graduated(records: RolloutRecords, channel: str) -> Exercised | None:
    """Give what a rollout exercised in a channel, or inherited itself; None if unknown."""
    graduated = records.latest(Kind.GRADUATED, channel=channel) or {}
    if "exercised" in graduated:
        return _exercised(graduated["exercised"])
    seen = _seen(records)
    return seen.inherited.get(channel) if seen else None


def _seen(records: RolloutRecords) -> Seen | None:
    """Read what was previewed last, with what a person let in since; None without a record."""
    told = records.details(Kind.PREVIEWED, Kind.CONFIRMED)
    last = max((n for n, r in enumerate(told) if r["kind"] == Kind.PREVIEWED), default=None)
    if last is None or (exercises := told[last].get("exercises")) is None:
        return None
    groups = [*exercises["targets"], *(g for r in told[last + 1 :] for g in r.get("exercises", ()))]
    return Seen(
        {name: group["changes"] for group in groups for name in group["targets"]},
        {name: _exercised(found) for name, found in exercises["inherited"].items()},
    )


def _told(found: Exercised) -> Json:
    return {"changes": dict(found.changes), "traits": dict(found.traits)}


def _exercised(told: Json) -> Exercised:
    return Exercised(told["changes"], told["traits"])


def _channels(rollout: Rollout, seen: Seen) -> dict[str, Exercised]:
    names, ledger = compared(rollout.plan.definition), rollout.records.ledger()

    def exercised(channel: Channel) -> Exercised:
        if rollout.plan.is_bypassed(channel.name):
            return Exercised(idle="this run bypasses it")
        entered, failed = ledger.last(Kind.ENTERED, channel=channel.name), set[str]()
        if entered is not NEVER:
            failed = rollout.records.of_targets(channel.name).failed_targets(since=entered)
        left = [t.name for t in channel.targets if t.name not in failed]
        found = exercised_by(channel, {name: seen.changes.get(name, ()) for name in left}, names)
        return found if found.changes else seen.inherited.get(channel.name, found)

    return {channel.name: exercised(channel) for channel in rollout.plan.channels}


def _after(rollout: Rollout, found: Representativeness, channel: str) -> Representativeness:
    later = rollout.plan.names[rollout.plan.names.index(channel) + 1 :]
    remainders = tuple(each for each in found.remainders if each.channel in later)
    return Representativeness(remainders, found.idle if remainders else {})
