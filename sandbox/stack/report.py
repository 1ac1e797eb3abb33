"""How the demo shows a rollout: a table while it runs, lines for a pipe, a summary at its end."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sandbox.stack.progress import STEPS, Channel, Mark, Step, remaining
from sandbox.stack.story import Story

_LOOKS = {
    Mark.WAITING: ("·", "dim"),
    Mark.RUNNING: ("▶", "cyan"),
    Mark.RETRYING: ("↻", "yellow"),
    Mark.ASKING: ("?", "bold yellow"),
    Mark.DONE: ("✓", "green"),
    Mark.SKIPPED: ("–", "dim"),
    Mark.FAILED: ("✗", "bold red"),
    Mark.BLOCKED: ("■", "red"),
}
_COUNTDOWN = timedelta(seconds=5)
_OUTCOME_LOOKS = {"graduated": "green", "failed": "bold red", "NOT RESTORED": "bold red"}


def live_view(
    channels: Sequence[Channel],
    story: Story,
    *,
    run_steps: Mapping[str, Step],
    began: datetime,
    now: datetime,
) -> RenderableType:
    """Return the table that is shown while the rollout runs: a line per channel, then the ETA."""
    head = Text("  ").join(Text(f"{name} ") + _look(step) for name, step in run_steps.items())
    table = Table("channel", *STEPS, "rollback", box=None, header_style="bold", pad_edge=False)
    for channel in channels:
        cells = [_cell(channel, name, story, now=now) for name in STEPS]
        table.add_row(channel.name, *cells, _look(channel.restore))
    notes = [f"{name}: {hold}" for name, hold in _current_holds(channels, story)]
    foot = f"{clock(now - began)} elapsed, {eta(channels, story, now=now)}"
    return Group(head, table, *notes, Text(foot, style="dim"))


def plain_line(channel: Channel, story: Story, *, now: datetime) -> str:
    """Return one line about a channel, for an output that is no terminal.

    What is left of a soak is told in steps, so that the line does not change every second.
    """
    words = [f"{name} {_word(step)}" for name, step in channel.steps.items()]
    end = story.soak_ends.get(channel.name)
    if channel.steps["soak"].mark is Mark.RUNNING and end is not None and end > now:
        left = ceil((end - now) / _COUNTDOWN) * _COUNTDOWN
        words[STEPS.index("soak")] = f"soak running: less than {clock(left)} left"
    if channel.marks == {Mark.BLOCKED}:
        words = ["not entered"]
    if channel.restore.mark not in {Mark.WAITING, Mark.SKIPPED}:
        words.append(f"rollback {_word(channel.restore)}")
    hold = dict(_current_holds([channel], story)).get(channel.name)
    note = "" if hold is None else f" ({hold})"
    return f"{channel.name}: {', '.join(words)}{note}"


def run_line(run_steps: Mapping[str, Step]) -> str:
    """Return one line about the steps of the run, for an output that is no terminal."""
    return ", ".join(f"{name} {_word(step)}" for name, step in run_steps.items())


def summary(channels: Sequence[Channel], story: Story) -> RenderableType:
    """Return the table shown at the end: targets, outcome and duration of each channel."""
    table = Table("channel", "targets", "outcome", "duration", title="Summary", title_style="bold")
    for channel in channels:
        result = outcome(channel, story)
        count = story.targets.get(channel.name)
        spent = channel.ended - channel.began if channel.began and channel.ended else None
        table.add_row(
            channel.name,
            "?" if count is None else str(count),
            Text(result, style=_OUTCOME_LOOKS.get(result, "")),
            "" if spent is None or not _was_entered(channel) else clock(spent),
        )
    return table


def failure_report(story: Story) -> list[str]:
    """Return the lines that say what failed where and why, and what was rolled back."""
    lines = [
        f"failed: {' '.join(word for word in (f.channel, f.step, f.target) if word)}: {f.reason}"
        for f in story.failures
    ]
    lines += [
        f"{r.outcome}: {r.channel} {r.target}" + (f": {r.reason}" if r.reason else "")
        for r in story.restored
    ]
    return lines or ["no reason was recorded"]


def outcome(channel: Channel, story: Story) -> str:
    """Say in a word or two what became of a channel."""
    restores = {r.outcome for r in story.restored if r.channel == channel.name}
    restored = channel.name in story.rolled_back or channel.restore.mark is Mark.DONE
    rules = (
        ("NOT RESTORED", "NOT RESTORED" in restores or channel.restore.mark is Mark.FAILED),
        ("rolled back", restored),
        ("bypassed", channel.name in story.bypassed),
        ("failed", Mark.FAILED in channel.marks),
        ("graduated", channel.steps["gate"].mark is Mark.DONE),
        ("runs it already", story.unchanged),
        ("skipped", channel.steps["enter"].mark is Mark.SKIPPED),
        ("stopped", _was_entered(channel)),
    )
    return next((word for word, holds in rules if holds), "untouched")


def clock(span: timedelta) -> str:
    """Write a duration as a person reads it: 0:07, 12:30, 3:00:00."""
    seconds = max(0, round(span.total_seconds()))
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds % 60:02}"
    return f"{minutes}:{seconds % 60:02}"


def _was_entered(channel: Channel) -> bool:
    return channel.steps["enter"].mark not in {Mark.WAITING, Mark.SKIPPED, Mark.BLOCKED}


def _cell(channel: Channel, name: str, story: Story, *, now: datetime) -> Text:
    step = channel.steps[name]
    end = story.soak_ends.get(channel.name)
    if name == "soak" and step.mark is Mark.RUNNING and end is not None:
        return Text(f"▶ {clock(end - now)}", style="cyan")
    return _look(step)


def _look(step: Step) -> Text:
    sign, style = _LOOKS[step.mark]
    count = f" {step.done}/{step.total}" if step.total else ""
    return Text(sign + count, style=style)


def _word(step: Step) -> str:
    return f"{step.mark} {step.done}/{step.total}" if step.total else str(step.mark)


def _current_holds(channels: Sequence[Channel], story: Story) -> list[tuple[str, str]]:
    busy = [c.name for c in channels if c.marks & {Mark.RUNNING, Mark.RETRYING, Mark.ASKING}]
    return [(name, story.holds[name]) for name in busy if name in story.holds]


def eta(channels: Sequence[Channel], story: Story, *, now: datetime) -> str:
    """Say how long the rollout still takes, if that can be told."""
    if all(channel.is_over for channel in channels):
        return "ending"
    left = remaining(channels, soaks=story.soaks, soak_ends=story.soak_ends, now=now)
    return "no end in sight" if left is None else f"about {clock(left)} to go"
