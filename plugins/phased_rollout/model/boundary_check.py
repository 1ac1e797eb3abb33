"""What is said of the mixed states of a rollout: which stop it, which a person is asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from phased_rollout.model.boundaries import (
    Meeting,
    Phase,
    Place,
    Running,
    Side,
    Unmet,
    count,
    not_known,
    unmet,
)
from phased_rollout.model.definition import RollbackScope
from phased_rollout.model.targets import few


@dataclass(frozen=True, slots=True)
class Boundaries:
    """What the check has found.

    :param checked: mixed states that were looked at
    :param stops: counterexamples that come about even when all goes well
    :param authorize: those that only a failing restore brings about, and what cannot be known
    """

    checked: int
    stops: tuple[str, ...] = ()
    authorize: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def asking(self) -> Boundaries:
        """Ask a person about what would stop the rollout: for what cannot wait."""
        return replace(self, stops=(), authorize=(*self.stops, *self.authorize))

    def in_words(self) -> list[str]:
        """Tell what was checked, a line each."""
        found = [*self.stops, *self.authorize]
        well = "" if found else ", and the change works in all that are known"
        checked = f"boundaries: {self.checked} mixed states of neighbouring channels checked{well}"
        return [checked, *found, *self.notes]


def checked(new: Running, sides: Sequence[Side], scope: RollbackScope) -> Boundaries | None:
    """Judge every mixed state that the order can produce; None when no change declares anything."""
    known = [new, *(each for side in sides for each in (*side.runs, *side.held))]
    if not any(each.declares for each in known):
        return None
    found = unmet(new, sides, scope).values()
    stops = [each for each in found if each[0].is_known and not each[0].meeting.stuck]
    asked = [each for each in found if each not in stops]
    notes = [
        f"what runs in {few(names)} is {running}, which declares nothing: it may require what "
        f"{new} does not provide"
        for running, names in not_known(new, sides, scope)
    ]
    return Boundaries(
        checked=count(sides, scope),
        stops=tuple(_told(each, new) for each in stops),
        authorize=tuple(_told(each, new) for each in asked),
        notes=tuple(notes),
    )


def _told(found: Sequence[Unmet], new: Running) -> str:
    """Tell a counterexample: the first state in which a requirement is not met, and how to mend it.

    :param found: that state and all others
    """
    first, more = found[0], len(found) - 1
    meeting, condition = first.meeting, first.user.requires[first.interface]
    wanted = f"{first.interface} {condition}"
    user = f"{_runs(meeting, meeting.user, first.user, new)}, which requires {wanted}"
    provider = _runs(meeting, meeting.provider, first.provider, new)
    again = f" (and in {more} more states)" if more else ""
    mends = ", or ".join(_mends(first, wanted, new))
    return (
        f"mixed state: {_step(meeting)}, {user}, and {provider}, {_provided(first)}{again}: {mends}"
    )


def _step(meeting: Meeting) -> str:
    if meeting.stuck:
        first, second = sorted((meeting.user, meeting.provider), key=lambda p: p.position)
        return (
            f"in a rollback that restores {first.side.name} and cannot restore {second.side.name}"
        )
    place = meeting.changing
    name = place.side.name
    return f"while {name} is changed" if place.phase is Phase.MIXED else f"once {name} is changed"


def _runs(meeting: Meeting, place: Place, running: Running, new: Running) -> str:
    why = _why_old(meeting, place) if running.digest != new.digest else ""
    return f"{place.side.name}{f' ({why})' if why else ''} runs {running}"


_LIFTED = {
    "bypassed": "do not bypass {}",
    "on hold": "end the hold in {}",
    "failed within its tolerance": "tolerate no failure in {}",
}
"""What to do about a channel of which some targets do not get the change, by the reason."""


def _why_old(meeting: Meeting, place: Place) -> str:
    """Say why the channel still runs what it ran, although the change has passed it."""
    if place.side.bypassed:
        return "bypassed"
    if place.phase is Phase.NEW:
        return "on hold"
    is_over = place != meeting.changing and not meeting.stuck
    return "failed within its tolerance" if place.phase is Phase.MIXED and is_over else ""


def _provided(found: Unmet) -> str:
    if not found.is_known:
        silent = "which does not say what it provides"
        return silent if found.provider.digest else "of which it is not known what it provides"
    versions = found.provider.provides.get(found.interface)
    return (
        f"which provides {found.interface} {', '.join(versions)}"
        if versions
        else (f"which provides no {found.interface}")
    )


def _mends(found: Unmet, wanted: str, new: Running) -> Iterator[str]:
    user, provider = found.meeting.user, found.meeting.provider
    is_new = [each.digest == new.digest for each in (found.user, found.provider)]
    if all(is_new):
        yield f"let {new.name} provide it"
        yield f"say in talks_to of {user.side.name} which channels it talks to"
    elif is_new[0]:
        yield f"first roll out a change that provides {wanted} and does not require it yet"
    else:
        yield f"let {new.name} provide {wanted} as well"
        yield "first roll out a change that does without it"
    for place in (user, provider):
        if lifted := _LIFTED.get(
            "" if is_new[place is provider] else _why_old(found.meeting, place)
        ):
            yield lifted.format(place.side.name)
