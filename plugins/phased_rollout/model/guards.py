"""The rules that let a rollout take its next step, or stop it with the reason.

Each compares times in the ledger, because task states are not reliable: users clear tasks, mark
them, and kill their processes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from phased_rollout.errors import GuardError
from phased_rollout.model.definition import Channel, RollbackScope
from phased_rollout.model.ledger import NEVER, Kind, Ledger
from phased_rollout.model.plan import Plan


def may_enter(
    plan: Plan, ledger: Ledger, *, channel: str, newer: str | None, needs_authorization: bool
) -> None:
    """Let a channel be entered only on the recorded graduation or bypass of the one before."""
    _no_newer(newer)
    _not_given_up(ledger)
    _no_earlier_rollback(plan, ledger, channel=channel)
    if ledger.last(Kind.ARMED) > ledger.last(Kind.CONCLUDED):
        raise GuardError(
            f"{channel} is not entered: a rollback is armed and not over yet; to apply again, "
            f"clear {plan.names[0]}.enter with downstream once rollback.verdict has ended"
        )
    if needs_authorization and ledger.last(Kind.AUTHORIZED) <= ledger.last(Kind.PREVIEWED):
        raise GuardError(
            "no authorization is recorded since the last preview; a task that was marked success "
            "is none: clear authorize with downstream"
        )
    for earlier in plan.before(channel)[-1:]:
        reason = why_not_passed(plan, ledger, earlier)
        if reason:
            raise GuardError(
                f"{channel} is not entered: {reason}; a task that was marked success is no "
                f"evidence: clear {earlier.name}.health with downstream to judge it again"
            )


def may_mutate(plan: Plan, ledger: Ledger, *, channel: str, newer: str | None) -> None:
    """Let a target be changed only while no rollback is armed. Asked right before each call."""
    _no_newer(newer)
    _not_given_up(ledger)
    entered = ledger.last(Kind.ENTERED, channel=channel)
    if entered is NEVER:
        raise GuardError(f"{channel} was never entered")
    _no_earlier_rollback(plan, ledger, channel=channel)
    if ledger.last(Kind.ROLLED_BACK, channel=channel) > entered:
        raise GuardError(_rolled_back_text(channel))
    fence = max(ledger.last(Kind.ARMED), _rolled_back(ledger, channel))
    if fence > entered:
        raise GuardError(
            f"a rollback is armed since {fence:%H:%M:%S} UTC, {channel} was entered before: "
            f"nothing more is applied"
        )


def may_judge(
    plan: Plan, ledger: Ledger, targets: Ledger, *, channel: str, newer: str | None
) -> None:
    """Let a channel be judged only when each target was verified, or excepted, since the entry.

    :param targets: what has happened to the targets of the channel
    """
    _no_newer(newer)
    _not_given_up(ledger)
    _no_earlier_rollback(plan, ledger, channel=channel)
    if not ledger.entered_since_rollback(channel):
        raise GuardError(_rolled_back_text(channel))
    entered = ledger.last(Kind.ENTERED, channel=channel)
    if ledger.last(Kind.APPLIED, channel=channel) <= entered:
        raise GuardError(f"{channel}: no wave was applied since it was entered")
    names = [t.name for t in plan.definition.channel(channel).targets]
    counted = (Kind.VERIFIED, Kind.EXCEPTED)
    missing = [n for n in names if targets.last(*counted, target=n) <= entered]
    if missing:
        raise GuardError(
            f"{channel}: not verified since it was entered: {', '.join(missing)}; a task that was "
            f"marked success is no evidence: clear {channel}.apply with downstream"
        )


def may_graduate(ledger: Ledger, *, channel: str) -> None:
    """Let a channel graduate unless it was rolled back: a lost process may go on."""
    if _rolled_back(ledger, channel) > ledger.last(Kind.ENTERED, channel=channel):
        raise GuardError(_rolled_back_text(channel))


def why_not_passed(plan: Plan, ledger: Ledger, channel: Channel) -> str | None:
    """Say why the channel counts as none of graduated, bypassed, unchanged; None if it does."""
    name = channel.name
    bypassed = plan.is_bypassed(name) and ledger.happened(Kind.BYPASSED, channel=name)
    if bypassed or ledger.is_unchanged(name):
        return None
    if not ledger.entered_since_rollback(name):
        entered = ledger.happened(Kind.ENTERED, channel=name)
        return f"{name} was rolled back" if entered else f"{name} was never entered"
    applied = ledger.last(Kind.APPLIED, channel=name)
    judged, asked = ledger.judged(name), ledger.is_left_to_a_person(name)
    if applied is NEVER or judged <= max(applied, ledger.last(Kind.ENTERED, channel=name)):
        return f"{name} has no recorded health since its last verified apply"
    if (channel.needs_approval or asked) and ledger.last(Kind.APPROVED, channel=name) <= judged:
        found = "found inconclusive" if asked else "judged healthy"
        return f"{name} has no recorded approval since it was {found}"
    withdrawn = ledger.last(Kind.WITHDRAWN, channel=name)
    if ledger.last(Kind.GRADUATED, channel=name) < max(judged, withdrawn):
        what = (
            "had its graduation withdrawn" if withdrawn > judged else "has no recorded graduation"
        )
        return f"{name} {what}"
    return None


def why_not_unchanged(
    plan: Plan, ledger: Ledger, *, channel: str, running: Collection[str]
) -> str | None:
    """Say why a channel may not pass without apply, soak and judgement; None if it may.

    :param running: names of the targets that have just read back that they run the change
    """
    if ledger.happened(Kind.ENTERED, channel=channel):
        return f"this rollout has entered {channel}: what it applied there is to be observed"
    names = [target.name for target in plan.definition.channel(channel).targets]
    missing = [name for name in names if name not in running]
    if missing or not names:
        return f"not every target of {channel} runs the change: {', '.join(missing) or 'none'}"
    return None


def may_finish(plan: Plan, ledger: Ledger) -> None:
    """Let a rollout end green only when every channel has graduated, or was rightly left out."""
    _not_given_up(ledger)
    unchanged = ledger.last(Kind.NOTHING_TO_CHANGE) > ledger.last(Kind.PREVIEWED)
    if unchanged and ledger.last_entered() is None:
        return
    reasons = [why_not_passed(plan, ledger, channel) for channel in plan.channels]
    missing = [reason for reason in reasons if reason]
    if missing:
        raise GuardError("the rollout is not complete: " + "; ".join(missing))


def channels_to_restore(plan: Plan, ledger: Ledger) -> list[Channel]:
    """Name the channels that a rollback restores, last one first: those that were entered.

    One of the failed channel alone begins with the first whose graduation was withdrawn.
    """
    last = ledger.last_entered()
    if last is None or ledger.is_left_as_it_is:
        return []
    names = plan.names
    if plan.definition.rollback_scope is RollbackScope.FAILED_CHANNEL:
        first = next((name for name in names if ledger.is_withdrawn(name)), last)
        names = names[names.index(first) : names.index(last) + 1]
    return [
        plan.definition.channel(name)
        for name in reversed(names)
        if ledger.happened(Kind.ENTERED, channel=name)
    ]


def may_restore(*, newer: str | None) -> None:
    """Let targets be restored unless a newer rollout of the definition owns them by now."""
    _no_newer(newer)


def in_flight(
    ledger: Ledger, targets: Ledger, *, channel: str, captured: Iterable[str]
) -> list[str]:
    """Name the targets of a channel that are being applied to, or restored.

    :param targets: what has happened to the targets of the channel
    :param captured: the targets that were touched since the channel's last rollback
    """
    since = ledger.last(Kind.ENTERED, Kind.ROLLING_BACK, channel=channel)
    restored = (Kind.RESTORED, Kind.LEFT_ALONE, Kind.RESTORE_FAILED)
    applied = (Kind.VERIFIED, Kind.REFUSED, Kind.EXCEPTED)
    ends = restored + applied if ledger.entered_since_rollback(channel) else restored
    return [name for name in captured if targets.last(*ends, target=name) <= since]


def _no_newer(newer: str | None) -> None:
    if newer:
        raise GuardError(f"a newer rollout of this definition has begun ({newer}): this one ends")


def _not_given_up(ledger: Ledger) -> None:
    if ledger.is_given_up:
        raise GuardError("an operator has aborted this rollout: it ends; start a new run instead")


def _rolled_back(ledger: Ledger, channel: str) -> datetime:
    return ledger.last(Kind.ROLLING_BACK, Kind.ROLLED_BACK, channel=channel)


def _rolled_back_text(channel: str) -> str:
    return (
        f"{channel} was rolled back after it was entered: "
        f"clear {channel}.enter with downstream to apply it again from there"
    )


def _no_earlier_rollback(plan: Plan, ledger: Ledger, *, channel: str) -> None:
    for earlier in plan.before(channel):
        undone = ledger.last(Kind.ROLLING_BACK, Kind.ROLLED_BACK, channel=earlier.name)
        if undone > ledger.last(Kind.ENTERED, channel=earlier.name):
            raise GuardError(_rolled_back_text(earlier.name))
