"""What people read in the UI: about the Dag, its groups and its tasks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from textwrap import wrap

from phased_rollout.model.definition import (
    Channel,
    Definition,
    GateKind,
    OnFailure,
    RollbackScope,
)

FOUND_LATER = "found when the plan is made"
WIDTH = 90
"""Columns of a text block that fit beside the grid."""

ABOUT = {
    "plan": "Fixes what this run rolls out, and where: later edits of the files do not change it. "
    "Asks the inventory which targets there are, and refuses when one has disappeared. Touches no "
    "target. **Its log is the plan.**",
    "preview": "Asks every target what would change, and changes nothing. **Its log is the "
    "difference.** When all targets already run the change, the run ends here, green.",
    "authorize": "Asks a person, under *Required Action*, when the change destroys something or "
    "the run bypasses a channel; else skipped. Nothing was touched so far.",
    "enter": "Lets the change into the channel; skips one that the run bypasses, and one in which "
    "nothing changes because the change has graduated there before.",
    "apply": "Brings the change to the targets; each map index bears its target's name. Green: the "
    "target was asked afterwards, and runs the change. A target that already did is left alone.",
    "soak": "Waits, counted from the moment the last target was verified, and watches the health "
    "signals meanwhile: it fails at once when they tell of harm.",
    "health": "Judges the whole soak by its signals and metrics, and looks again at the channels "
    "before it. No data is never good: then it waits, and in the end **gate** asks a person.",
    "gate": "The change leaves the channel: at once after **health**, or when a person says so. It "
    "asks where the policy wants it, and where **health** could not know.",
    "outcome": "Green only when every channel has a recorded graduation or bypass, or nothing to "
    "change in it.",
    "trip": "Runs when anything has failed: the rollback begins. Skipped when all went well.",
    "settled": "Waits until no target is being changed any more.",
    "armed": "Starts the restores.",
    "decide": "Asks a person whether to roll back; no answer in time means yes.",
    "restore": "Restores what the targets of this channel ran before, and verifies it. Skipped "
    "when none of them was touched.",
    "after": "Lets the next channel be restored even when this one could not be.",
    "rollback": "Restores what ran before, last channel first. Green with all channels skipped: "
    "nothing had to be. Red: the rollout failed; the rows show which channels were restored, the "
    "log of **verdict** says why.",
    "verdict": "The last word, whatever happened before. Green: the rollout is complete. Red: it "
    "failed; **its log begins with what failed and says what became of each target.**",
}
"""What people read about a task when they ask for its documentation; by the last word of its id."""

_ROLLOUT = """{description}

A run rolls one **change** out, channel by channel, in this order:

{channels}

A change enters a channel only after it has graduated from the one before: applied to every target,
soaked, judged healthy, let through by the gate. It takes {shortest} at least.

#### When something fails
{on_failure}

#### Where to look
- the log of **plan**: what the run is going to do
- the log of **preview**: what would change
- the map indexes of **apply**: the targets, by name
- the log of **rollback.verdict**: why a run is red, and what became of each target
- **Browse → Required Actions**: what waits for a person
"""


def fenced(lines: Iterable[str]) -> str:
    """Show lines as they are in Markdown, whatever they contain; long ones go on, indented.

    Only a block with a language keeps its line breaks in Airflow's UI. The fence is longer than
    any in the text, so nothing in there can end it.
    """
    text = "\n".join(
        "\n".join(wrap("".join(map(_visible, line)), WIDTH, subsequent_indent="    "))
        for part in lines
        for line in part.split("\n")
    )
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}"


def _visible(character: str) -> str:
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def summary(channel: Channel) -> str:
    """Say in one line how many targets a channel has and what lets a change leave it."""
    targets = f"{len(channel.targets)} targets"
    targets += f" and {len(channel.on_hold)} on hold" if channel.on_hold else ""
    if channel.select:
        named = channel.targets or channel.on_hold
        targets = f"{targets}, and those {FOUND_LATER}" if named else f"targets {FOUND_LATER}"
    return f"{targets}, soak {channel.soak}, gate {gate_of(channel)}"


_NAMED = 20
"""Targets that the text of a channel names: it is part of the Dag, which must stay small."""


def about_channel(channel: Channel) -> str:
    """Describe a channel, as Markdown."""
    names = [target.name for target in channel.targets]
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    targets = [f"targets: {', '.join([*names[:_NAMED], *more])}"] if names else []
    targets += [f"{FOUND_LATER}: {channel.select}"] if channel.select else []
    held = [f"frozen in {window}" for window in channel.freeze]
    held += [f"on hold: {target.hold_in_words}" for target in channel.on_hold]
    return fenced([summary(channel), *targets, *held])


_EMERGENCY = """**For what cannot wait.** A run of this Dag supersedes a rollout of `{name}` that is
under way: it waits until no target is being changed, then that rollout stands down. Soaks are
{soak} at most, unless more is left out. What is left out is owed: a full rollout of the same
change, by `{name}`, has to make it good within {owed}; until then no other change is rolled out.

"""


def about_rollout(definition: Definition, *, emergency: bool = False) -> str:
    """Describe the Dag of a definition, as Markdown."""
    channels = [f"{n}. {c.name}: {summary(c)}" for n, c in enumerate(definition.channels, start=1)]
    restored = (
        "The channel that failed gets back what it ran before"
        if definition.rollback_scope is RollbackScope.FAILED_CHANNEL
        else "Every channel that was touched gets back what it ran before, last channel first"
    )
    asked = (
        f", unless a person who is asked first says no within {definition.decide_within}"
        if definition.on_failure is OnFailure.HOLD
        else ""
    )
    urgent = _EMERGENCY.format(
        name=definition.name,
        soak=definition.emergency.soak,
        owed=definition.emergency.owed_within,
    )
    return (urgent if emergency else "") + _ROLLOUT.format(
        description=definition.description,
        channels=fenced(channels),
        shortest=sum((c.soak for c in definition.channels), start=timedelta()),
        on_failure=f"{restored}{asked}. The run ends red.",
    )


def gate_of(channel: Channel) -> str:
    """Say what lets a change leave the channel, e.g. ``approval by ann or bob + health``."""
    approvers = channel.approval.approvers if channel.needs_approval else ()
    who = f" by {' or '.join(approvers)}" if approvers else ""
    return " + ".join(f"{k}{who if k is GateKind.APPROVAL else ''}" for k in sorted(channel.gate))
