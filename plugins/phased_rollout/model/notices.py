"""What people are told of a rollout: what happened, where, what was restored, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from phased_rollout.model.bypass import BypassTier
from phased_rollout.model.definition import OnFailure
from phased_rollout.model.merged import of_targets
from phased_rollout.model.notifier import Event
from phased_rollout.model.plan import Plan

_SHOWN = 10
_LINES = 60
_BEFORE_CHANNELS = ("plan", "preview", "authorize")


@dataclass(frozen=True, slots=True)
class Notice:
    """One message.

    :param occurrence: what tells it from another notice of this event in the same run
    :param lines: the first one says it all; then details and what to do
    """

    event: Event
    lines: tuple[str, ...]
    occurrence: tuple[str, ...] = ()
    channel: str = ""

    @property
    def title(self) -> str:
        """Give the first line."""
        return self.lines[0]

    @property
    def message(self) -> str:
        """Give the whole text; what is very long is cut."""
        lines = [line for part in self.lines for line in part.splitlines()]
        more = len(lines) - _LINES
        kept = lines if more <= 0 else [*lines[:_LINES], f"… and {more} more lines: see the log"]
        return "\n".join(kept)


def started(plan: Plan) -> Notice:
    """Tell that a plan was frozen."""
    way = " → ".join(f"{c.name} ({of_targets(len(c.targets))})" for c in plan.channels)
    return Notice(
        Event.STARTED,
        (
            f"{plan.definition.name}: the rollout of {_change(plan)} has started",
            f"started by {plan.bypass.requested_by or 'the schedule'}",
            f"way: {way}",
            f"it takes {plan.shortest_duration} at least",
        ),
    )


def bypassed(plan: Plan) -> Notice | None:
    """Tell what a run leaves out; None when that is nothing."""
    bypass = plan.bypass
    if bypass.tier is BypassTier.NONE:
        return None
    who = "somebody else has to authorize it, before any target is touched"
    return Notice(
        Event.BYPASSED,
        (
            f"{plan.definition.name}: the rollout of {_change(plan)} leaves something out: "
            f"{bypass}",
            f"asked for by {bypass.requested_by or 'nobody by name'}: {bypass.reason}",
            who if bypass.tier.needs_second_person else "no second person is asked",
            "what is left out is owed: a full rollout of the same change has to make it good",
        ),
    )


def waiting(
    definition: str, *, task: str, question: str, body: str, asked: Sequence[str], deadline: str
) -> Notice:
    """Tell that a person is asked.

    :param asked: names of those who may answer; none is everybody with the right to
    :param deadline: how long an answer is awaited; empty: for as long as it takes
    """
    return Notice(
        Event.WAITING,
        (
            f"{definition}: waits for a person: {question}",
            f"answer under Required Actions of the run (task {task})"
            + (f", within {deadline}" if deadline else "; the question waits"),
            *([f"who may answer: {', '.join(asked)}"] if asked else []),
            body,
        ),
        channel=task.rpartition(".")[0],
    )


def graduated(plan: Plan, channel: str, *, targets: Sequence[str], reason: str) -> Notice:
    """Tell that the change has left a channel.

    :param targets: names of those that were verified
    :param reason: how the channel was judged
    """
    later = plan.names[plan.names.index(channel) + 1 :]
    following = next((n for n in later if not plan.is_bypassed(n)), None)
    return Notice(
        Event.GRADUATED,
        (
            f"{plan.definition.name}: {_change(plan)} has graduated from {channel}",
            f"{of_targets(len(targets))} run it: {_few(targets)}",
            *([reason] if reason else []),
            f"next: {following}" if following else "that was the last channel",
        ),
        channel=channel,
    )


def failed(definition: str, plan: Plan | None, *, task: str, reason: str) -> Notice:
    """Tell that a task failed.

    :param plan: None when none was frozen
    :param reason: what the system said; names the targets, and what to clear
    """
    change = f" of {_change(plan)}" if plan else ""
    lines = [f"{definition}: the rollout{change} failed in {task}", reason]
    channel, _, _ = task.rpartition(".")
    if plan is None or task in _BEFORE_CHANNELS:
        lines.append(f"no target was touched; once it is mended, clear {task} with downstream")
    elif channel == "rollback":
        lines.append("not all was restored; the earlier channels are restored nevertheless")
    elif plan.definition.on_failure is OnFailure.HOLD:
        lines.append(
            "nothing was rolled back so far: rollback.decide asks a person, "
            f"{plan.definition.decide_within} at most"
        )
    else:
        lines.append("the rollback has begun; what was restored is told when it has ended")
    return Notice(Event.FAILED, tuple(lines), channel="" if channel == "rollback" else channel)


def rolled_back(
    plan: Plan, *, summary: str, restored: int, left: Iterable[str], again: str
) -> Notice:
    """Tell how a rollback ended.

    :param summary: what failed, and what became of each target
    :param restored: how many targets were
    :param left: targets that could not be restored, each with its reason
    :param again: what to do next
    """
    not_restored = list(left)
    how = f"in part only: {of_targets(len(not_restored))} not restored" if not_restored else "fully"
    return Notice(
        Event.ROLLED_BACK,
        (
            f"{plan.definition.name}: the rollout of {_change(plan)} was rolled back, {how}",
            f"{of_targets(restored)} restored to what ran before",
            *not_restored,
            again,
            summary,
        ),
    )


def debt_owed(definition: str, debt: str) -> Notice:
    """Tell what a run owes."""
    return Notice(
        Event.DEBT,
        (
            f"{definition}: a bypass is owed: {debt}",
            f"until then no other change is rolled out: trigger {definition} with the same change",
        ),
        occurrence=("owed",),
    )


def debt_paid(definition: str, runs: Sequence[str]) -> Notice:
    """Tell what a run has made good."""
    return Notice(
        Event.DEBT,
        (f"{definition}: made good is what was left out by {', '.join(runs)}",),
        occurrence=("paid",),
    )


def finished(plan: Plan, *, said: str) -> Notice:
    """Tell that a rollout is complete.

    :param said: what the outcome says of it
    """
    first = f"{plan.definition.name}: the rollout of {_change(plan)} has finished"
    return Notice(Event.FINISHED, (first, said))


def _change(plan: Plan) -> str:
    return f"{plan.change_name} ({plan.change[:12]})"


def _few(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
