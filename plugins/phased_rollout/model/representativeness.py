"""How like production the channels before it are, by their targets and what changes there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from phased_rollout.model.definition import Channel, Definition
from phased_rollout.model.merged import of_targets
from phased_rollout.model.plan import Plan
from phased_rollout.model.target_state import Preview
from phased_rollout.model.targets import few
from phased_rollout.model.traits import compared, traits_of
from phased_rollout.model.untested import (
    Exercised,
    Remainder,
    Representativeness,
    Untested,
    compare,
    exercised,
)


def kinds_of(preview: Preview | None) -> list[str]:
    """Name the kinds of change in a preview, each once; those that are destructive in capitals."""
    return sorted(
        {
            f"{d.action.upper() if d.destructive else d.action.lower()} {d.kind}".strip()
            for d in (preview.differences if preview else ())
        }
    )


def exercised_by(
    channel: Channel, changes: Mapping[str, Collection[str]], names: Sequence[str]
) -> Exercised:
    """Sum up what a change does in a channel.

    :param changes: target name to its kinds of change; targets of other channels do not count
    :param names: of the traits that are compared
    """
    return exercised(
        {t.name: changes.get(t.name, ()) for t in channel.targets},
        {t.name: traits_of(t, names) for t in channel.targets},
    )


def unlike(definition: Definition, *, without: Collection[str] = ()) -> list[str]:
    """Say, before anything is previewed, which traits only later channels have.

    Nothing while targets have still to be found: then no channel is known as a whole.

    :param without: the channels that a run bypasses
    """
    if any(channel.select for channel in definition.channels):
        return []
    names = compared(definition)
    channels = [c for c in definition.channels if c.name not in without]
    # As if each target had the same change: then nothing but the traits can differ.
    alike = {t.name: ("a change",) for c in channels for t in c.targets}
    found = compare({c.name: exercised_by(c, alike, names) for c in channels})
    lines = [line for each in found.remainders for line in _of_traits(each)]
    return [*lines, *_strangers(definition, names)]


def _strangers(definition: Definition, names: Iterable[str]) -> Iterator[str]:
    """A misspelt trait would be compared with nothing, for ever, without a word."""
    if definition.compare_traits is None:
        return
    targets = [t for c in definition.channels for t in c.targets]
    for name in names:
        if targets and not any(traits_of(target, [name]) for target in targets):
            yield f"WARNING: compare_traits: no target has the trait {name!r}: correct or remove it"


def policy_of(plan: Plan) -> tuple[Untested, str]:
    """Give what an untested remainder does to a rollout, and why that is less than the policy."""
    wanted = plan.definition.untested
    if plan.emergency and wanted is not Untested.WARN:
        return Untested.WARN, f"untested: {wanted} only warns in an emergency"
    if wanted is Untested.BLOCK and plan.bypass.tier.needs_second_person:
        return Untested.ASK, "untested: block asks a person when a run bypasses something"
    return wanted, ""


def missing(found: Representativeness) -> list[str]:
    """Say what no earlier channel exercises, channel by channel; nothing when all is covered."""
    return [line for each in found.remainders for line in _missing(each)]


def in_words(found: Representativeness) -> list[str]:
    """Say what no earlier channel exercises, and which channels are no evidence."""
    return [*(f"{name} is no evidence: {why}" for name, why in found.idle.items()), *missing(found)]


def as_json(found: Representativeness) -> dict[str, Any]:
    """Give what is recorded: for each later channel the figures, and its remainder."""
    return {
        each.channel: {
            "covered": each.covered,
            "of": each.of,
            "changes": dict(each.changes),
            "traits": dict(each.traits),
        }
        for each in found.remainders
    }


def _missing(each: Remainder) -> Iterator[str]:
    if each.changes:
        share = f"{each.covered} of {each.of} kinds of change ({each.score:.0%})"
        yield (
            f"{each.channel}: {share} are exercised before it; untested: {_listed(each.changes)}"
        )
    yield from _of_traits(each)


def _of_traits(each: Remainder) -> Iterator[str]:
    if each.traits:
        what = "no channel before it changes a target with"
        yield f"{each.channel}: {what} {_listed(each.traits)}"


def _listed(counts: Mapping[str, int]) -> str:
    return few(f"{word} ({of_targets(count)})" for word, count in counts.items())
