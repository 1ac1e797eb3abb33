"""Why a person is asked again before a channel is entered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import NEVER, Kind
from phased_rollout.model.merged import merge, of_targets
from phased_rollout.model.target_state import Preview
from phased_rollout.operators.previews import Previews, digests_of, previews_of
from phased_rollout.operators.untested import anew, changes_of
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout

FRESH = timedelta(minutes=10)
"""How long what was previewed or confirmed is taken for what would change. An apply is held to it
in any case; a fresh preview only lets a person be asked before the channel is entered."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why the channel is not entered without a person.

    :param reasons: in words; none is no doubt
    :param differences: what would change now, where that differs from what was seen
    :param seen: target name to the digest of what would change now
    :param exercises: what would change now, as it is recorded
    """

    reasons: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    exercises: list[dict[str, Any]] = field(default_factory=list)


def doubt(rollout: Rollout, channel: Channel, *, now: datetime) -> Doubt:
    """Preview a channel afresh, and see whether what was said yes to still holds.

    A channel that is entered once more is looked at in any case: its apply may have found more.
    """
    reasons = _expired(rollout, channel, now=now)
    last = _last_seen(rollout.records, channel)
    seen = last.get("targets") if last else None
    looked = datetime.fromisoformat(last["at"]) if last else NEVER
    again = rollout.records.ledger().last(Kind.ENTERED, channel=channel.name) > looked
    if seen is None or (now < looked + FRESH and not again):  # earlier versions recorded none
        return Doubt(reasons, [], seen or {})
    fresh = previews_of(rollout, [channel], attempt="enter")
    found = digests_of(fresh)
    other = sorted(n for n, digest in found.items() if digest and digest != seen.get(n))
    if other:
        changed: Previews = {name: fresh[name] for name in other}
        differences = merge({name: p for name, p in changed.items() if p is not None})
        reasons.append(
            f"on {of_targets(len(other))} of {channel.name} the change would do something else "
            f"than what was previewed: {', '.join(other[:5])}"
        )
        reasons += anew(rollout, channel.name, fresh)
        return Doubt(reasons, differences, found, changes_of(fresh))
    return Doubt(reasons, [], found)


def expected(records: RolloutRecords, channel: Channel) -> dict[str, str]:
    """Give the digests of the previews that people have seen, by target; nothing if unknown."""
    seen = (_last_seen(records, channel) or {}).get("targets") or {}
    return {name: digest or Preview().digest for name, digest in seen.items()}


def _last_seen(records: RolloutRecords, channel: Channel) -> dict[str, Any] | None:
    confirmed = records.details(Kind.CONFIRMED, channel=channel.name)
    previewed = records.details(Kind.PREVIEWED)
    found = sorted([*previewed[-1:], *confirmed[-1:]], key=lambda record: str(record["at"]))
    return found[-1] if found else None


def _expired(rollout: Rollout, channel: Channel, *, now: datetime) -> list[str]:
    """Say which yes is too old to count; a confirmation renews it."""
    plan, ledger = rollout.plan, rollout.records.ledger()
    confirmed = ledger.last(Kind.CONFIRMED, channel=channel.name)
    authorized = max(ledger.last(Kind.AUTHORIZED), confirmed)
    reasons = []
    valid = plan.definition.authorized_for
    if ledger.happened(Kind.AUTHORIZED) and authorized + valid < now:
        reasons.append(f"the authorization is older than {valid}")
    for earlier in plan.before(channel.name)[-1:]:
        approved = ledger.last(Kind.APPROVED, channel=earlier.name)
        valid = earlier.approval.valid_for
        if earlier.needs_approval and approved > NEVER and max(approved, confirmed) + valid < now:
            reasons.append(f"the approval of {earlier.name} is older than {valid}")
    return reasons
