"""What a run may leave out in an emergency, and what it may not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from phased_rollout.errors import GuardError
from phased_rollout.model.definition import Channel, Concurrency, Definition, GateKind


class BypassTier(StrEnum):
    """How much of the way a run leaves out; never the rollback.

    SHORTEN_SOAK: every channel and every check stays, soaks are those for emergencies.
    SKIP_CHANNELS: the named channels, never all.
    FLEET_WIDE: every channel without soak or gate, as fast as it can be applied.
    """

    NONE = "none"
    SHORTEN_SOAK = "shorten_soak"
    SKIP_CHANNELS = "skip_channels"
    FLEET_WIDE = "fleet_wide"

    @property
    def needs_second_person(self) -> bool:
        """Whether somebody else than who asked for it has to authorize it."""
        return self in (BypassTier.SKIP_CHANNELS, BypassTier.FLEET_WIDE)


@dataclass(frozen=True, slots=True)
class Bypass:
    """An audited shortening of the way; it is owed afterwards (see debts.py).

    :param requested_by: the user who triggered the run; None when the schedule did
    """

    tier: BypassTier = BypassTier.NONE
    channels: tuple[str, ...] = ()
    reason: str = ""
    requested_by: str | None = None

    def __str__(self) -> str:
        """Say what is left out."""
        return {
            BypassTier.NONE: "nothing is bypassed",
            BypassTier.SHORTEN_SOAK: "soaks are shortened",
            BypassTier.SKIP_CHANNELS: f"bypasses {', '.join(self.channels)}",
            BypassTier.FLEET_WIDE: "goes to every channel without soak or gate",
        }[self.tier]

    def applied_to(self, definition: Definition) -> Definition:
        """Give the definition as a run with this bypass obeys it."""
        shortest = definition.emergency.soak

        def shortened(channel: Channel) -> Channel:
            waits = channel.on_inconclusive
            holds = replace(waits, hold_for=min(waits.hold_for, shortest))
            return replace(channel, soak=min(channel.soak, shortest), on_inconclusive=holds)

        def unhindered(channel: Channel) -> Channel:
            size = max(channel.waves.size, -(-len(channel.targets) // channel.waves.at_once))
            waves = replace(channel.waves, size=size, concurrency=Concurrency.SOFT)
            gate = frozenset({GateKind.TIMER})
            return replace(channel, soak=timedelta(), gate=gate, waves=waves)

        change = {BypassTier.SHORTEN_SOAK: shortened, BypassTier.FLEET_WIDE: unhindered}
        if self.tier not in change:
            return definition
        return replace(definition, channels=tuple(map(change[self.tier], definition.channels)))


NO_BYPASS = Bypass()


def make_bypass(
    *,
    tier: str,
    channels: Sequence[str],
    reason: str,
    requested_by: str | None,
    known: Collection[str],
) -> Bypass:
    """Check what a run asks to leave out; raises GuardError with every problem."""
    problems = []
    if tier not in list(BypassTier):
        problems.append(f"bypass: unknown tier {tier!r}; use one of: {', '.join(BypassTier)}")
    if unknown := [c for c in channels if c not in known]:
        problems.append(
            f"bypass_channels: unknown channel {', '.join(map(repr, unknown))}; "
            f"the channels are: {', '.join(known)}"
        )
    if tier != BypassTier.SKIP_CHANNELS and channels:
        problems.append("bypass_channels: needs bypass 'skip_channels'; nothing was bypassed")
    if tier == BypassTier.SKIP_CHANNELS:
        if not channels:
            problems.append("bypass_channels: name the channels to skip")
        if set(known) <= set(channels):
            problems.append(
                "bypass_channels: every channel would be skipped, which is a rollout of nothing; "
                "leave at least one"
            )
    if tier != BypassTier.NONE and not reason.strip():
        problems.append("bypass_reason: a bypass needs a reason; it is recorded")
    if problems:
        raise GuardError("\n".join(problems))
    return Bypass(
        tier=BypassTier(tier),
        channels=tuple(dict.fromkeys(channels)),
        reason=reason.strip(),
        requested_by=requested_by,
    )
