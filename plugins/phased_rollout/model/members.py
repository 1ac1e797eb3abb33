"""What targets consist of, such as the hosts of a slice, against the last graduated plan."""

from __future__ import annotations

from collections.abc import Iterator

from phased_rollout.model.definition import Definition
from phased_rollout.model.target_guard import Comparison
from phased_rollout.model.targets import few

_KEPT = 0.9
"""Share of its members that a target keeps without a word; machines come and go."""


def shared(definition: Definition) -> list[str]:
    """Say which members are of two targets: a change would reach them in the wrong channel."""
    seen: dict[str, str] = {}
    twice: dict[tuple[str, str], list[str]] = {}
    for channel in definition.channels:
        for target in channel.targets:
            for member in target.members:
                if (first := seen.setdefault(member, target.name)) != target.name:
                    twice.setdefault((first, target.name), []).append(member)
    return [
        f"{len(found)} are of {first} and of {second}: {few(found)}: each has to be of one target"
        for (first, second), found in twice.items()
    ]


def compare(last: Definition, now: Definition) -> Comparison:
    """Compare the members of targets that were there before: fewer, moved, gone, new."""
    before = {t.name: set(t.members) for c in last.channels for t in c.targets if t.members}
    authorize, notes = list(_moved(last, now)), []
    for target in (t for c in now.channels for t in c.targets if t.members):
        members = set(target.members)
        was = before.get(target.name, members)
        gone, new = sorted(was - members), sorted(members - was)
        if len(members) < _KEPT * len(was):
            authorize.append(
                f"{target.name} has {len(members)} members, and had {len(was)} in the last "
                f"graduated plan; gone: {few(gone)}"
            )
        elif gone:
            notes.append(f"{target.name}: gone since then: {few(gone)}")
        if new:
            notes.append(f"{target.name}: new since then: {few(new)}")
    return Comparison(authorize=tuple(authorize), notes=tuple(notes))


def _moved(last: Definition, now: Definition) -> Iterator[str]:
    was = {m: c.name for c in last.channels for t in c.targets for m in t.members}
    moves: dict[tuple[str, str], list[str]] = {}
    for channel in now.channels:
        for member in (m for t in channel.targets for m in t.members):
            if (source := was.get(member, channel.name)) != channel.name:
                moves.setdefault((source, channel.name), []).append(member)
    for (source, into), found in moves.items():
        yield f"{len(found)} members moved from {source} to {into}: {few(found)}"
