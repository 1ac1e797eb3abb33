"""Records that claim to be older than a graduation, which does not know them.

Either somebody slipped them in, or the process that wrote them was held up between the moment that
it took for its record and the writing: Airflow may believe that a process is lost, start its task
once more, and both go on. What such a twin writes repeats what is known already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from phased_rollout.model.kept import Finding, Kept, Record
from phased_rollout.model.ledger import Entry

_PASSES = frozenset({"graduated", "bypassed", "unchanged"})
_SPEAKS_FOR = _PASSES | {
    *("previewed", "authorized", "entered", "applied"),
    *("verified", "healthy", "inconclusive", "approved"),
}
"""Kinds that speak for a change; by strings, as a later version may have more than this one."""


def came_late(
    kept: Kept, graduation: Record, covered: Mapping[str, str]
) -> Iterator[tuple[Finding, bool]]:
    """Give what claims to be older than a graduation that does not cover it, and whether it counts.

    Of later channels nothing is asked, nor of the targets of other ones: their own graduations do.

    :param covered: what the graduation's certificate covers: path to digest
    """
    entry = graduation.entry
    if entry is None or kept.plan is None or entry.channel not in kept.plan.names:
        return
    reached = {"", entry.channel, *(c.name for c in kept.plan.before(entry.channel))}
    known = [kept.records[path] for path in covered if path in kept.records]
    for path in sorted(kept.records.keys() - covered.keys()):
        record = kept.records[path]
        if record is graduation or record.at is None or record.at >= entry.at:
            continue
        folder, _, rest = path.partition("/")
        own = folder == "ledger" or unquote(rest.partition("/")[0]) == entry.channel
        if not own or (record.entry and record.entry.channel not in reached):
            continue
        what = "it claims to be older than a graduation that does not know it"
        if _matters(record, known, graduated=entry):
            yield Finding(path, f"slipped in: {what}"), True
        else:
            yield Finding(path, f"late: {what}, and says nothing that was not known"), False


def _matters(record: Record, known: list[Record], *, graduated: Entry) -> bool:
    """Whether it says something for the change that is not known without it."""
    if record.entry is None:
        return _is_of_this_life(record, known)
    kind, channel = record.entry.kind, record.entry.channel
    if kind not in _SPEAKS_FOR:
        return False
    if kind in _PASSES and channel == graduated.channel:
        return False
    return not any(
        each.entry
        and each.entry.channel == channel
        and (_said(each) == _said(record) or {kind, each.entry.kind} <= _PASSES)
        for each in known
    )


def _said(record: Record) -> tuple[object, ...]:
    """Give what counts of a record: not when, nor in which words."""
    value, entry = record.value or {}, record.entry
    named = (entry.kind, entry.channel, entry.target) if entry else ()
    return (*named, value.get("digest"), value.get("user"))


def _is_of_this_life(before: Record, known: list[Record]) -> bool:
    """Whether it tells what a target ran before the entry that graduated, not an earlier one."""
    life = before.path.rpartition("/")[0]
    lives = [p for each in known if (p := each.path.rpartition("/")[0]).startswith("before/")]
    own = [p for p in lives if p.rpartition("/")[0] == life.rpartition("/")[0]]
    return not own or _number(life) >= max(map(_number, own))


def _number(life: str) -> int:
    found = life.rpartition("/")[2]
    return int(found) if found.isdecimal() else 0
