"""Sends commands in waves and follows them. Looks first, so that a killed process may resume."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from phased_rollout.aws_errors import RefusedByAwsError
from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Outcome as Ending
from phased_rollout.model.target_state import Progress
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.ssm.attempt import Attempt, now, save
from phased_rollout.substrates.ssm.command import Command
from phased_rollout.substrates.ssm.fleet import HOSTS, ONLINE, Fleet, Outcome, Sent, chunks, until
from phased_rollout.substrates.ssm.reports import Heard, hear, named

STEP = 1.0
"""Seconds that one step waits for hosts before it says WAITING."""

AGAIN = timedelta(minutes=5)
"""After which a command that was not delivered is sent to its host again, if it is needed."""


@dataclass(frozen=True, slots=True)
class Work:
    """What hosts shall do.

    :param commands: what each host shall run
    :param needs: whether a host that reports this still has to run it
    :param strict: stop once more hosts have failed than the budget has; else go on to the last
    """

    fleet: Fleet
    mutation: Mutation
    commands: Mapping[str, Command]
    needs: Callable[[str, str], bool]
    strict: bool = True


@dataclass(slots=True)
class Tally:
    """What has become of the hosts so far; the last command of each host counts.

    :param absent: why each host was not sent anything
    """

    outcomes: dict[str, tuple[Outcome, Sent]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> dict[str, Outcome]:
        """The hosts that ran it, and not well."""
        return {
            host: outcome
            for host, (outcome, _) in self.outcomes.items()
            if not outcome.is_success and not outcome.was_not_run
        }

    @property
    def missed(self) -> dict[str, str]:
        """The hosts that never ran it, and why."""
        not_run = {
            h: str(outcome) for h, (outcome, _) in self.outcomes.items() if outcome.was_not_run
        }
        return {**not_run, **self.absent}

    def may_be_sent(self, host: str) -> bool:
        """Say whether a host is still to be sent the command, for the first time or again."""
        if host not in self.outcomes:
            return True
        outcome, sent = self.outcomes[host]
        return outcome.was_not_run and now() > sent.at + AGAIN


def tally_of(fleet: Fleet, sent: Sequence[Sent]) -> Tally:
    """Ask what became of commands on each host."""
    tally = Tally()
    for each in sorted(sent, key=lambda each: each.at):
        for host, outcome in fleet.outcomes(each.id).items():
            tally.outcomes[host] = (outcome, each)
    return tally


def advance(work: Work, attempt: Attempt, heard: Heard | None = None) -> Progress | Tally:
    """Take the next step: follow what was sent, and send what may be sent next.

    :param heard: what the hosts have just reported
    :returns: how it goes, or the tally once there is nothing left to be sent
    """
    fleet = work.fleet
    if attempt.reason:
        raise RefusedError(attempt.reason)
    sent = _followed(fleet, attempt)
    if isinstance(sent, Progress):
        return sent
    tally = tally_of(fleet, list(sent.values()))
    if work.strict and len(tally.failed) > fleet.budget:
        raise _refused(work, attempt, _failure(fleet, tally, work.commands))
    batch = _batch(work, tally, heard, first=not sent)
    if not batch:
        return tally
    next_wave = max([attempt.last, *(wave + 1 for wave in sent)])
    waves = _send(work, attempt, batch, tally, first=next_wave)
    count = sum(len(hosts) for _, hosts in batch)
    return Progress(Ending.WAITING, f"{fleet}: sent to {count} of them, wave {waves}")


def _followed(fleet: Fleet, attempt: Attempt) -> dict[int, Sent] | Progress:
    """Give all commands once they have ended; says what is waited for while they have not."""
    if not attempt.last:
        return {}
    sent = attempt.sent(fleet)
    if unclear := attempt.unclear(sent):
        waves = ", ".join(map(str, unclear))
        raise UnreachableError(
            f"{fleet}: whether wave {waves} was sent cannot be told: no list shows it yet, so "
            "nothing is sent again for now"
        )
    if any(each.is_open for each in sent.values()):
        sent = until(
            lambda: attempt.sent(fleet),
            lambda found: not any(each.is_open for each in found.values()),
            seconds=STEP,
        )
    if running := [wave for wave, each in sent.items() if each.is_open]:
        waves = ", ".join(map(str, sorted(running)))
        return Progress(Ending.WAITING, f"{fleet}: wave {waves} is under way")
    return sent


def _batch(
    work: Work, tally: Tally, heard: Heard | None, *, first: bool
) -> list[tuple[Command, list[str]]]:
    """Choose the hosts of the next commands: those that answer, and do not yet run it.

    The very first command goes alone. Hosts that were not reached are tried again only when the
    budget does not bear them.
    """
    fleet, size = work.fleet, HOSTS * (1 if first else work.fleet.at_once)
    nodes = fleet.nodes()
    for host in work.commands:
        if host not in tally.outcomes and nodes.get(host) != ONLINE:
            tally.absent[host] = nodes.get(host, "gone, or without its tags")
    exceeded = len(tally.failed) + len(tally.missed) > fleet.budget
    todo = [
        host
        for host in work.commands
        if nodes.get(host) == ONLINE
        and tally.may_be_sent(host)
        and (exceeded or host not in tally.outcomes)
    ]
    for some in chunks(todo, size):
        now_heard = heard or hear(fleet, some)
        tally.absent |= {host: why for host, why in now_heard.silent.items() if host in some}
        needed = [h for h in some if h in now_heard.reports and work.needs(h, now_heard.reports[h])]
        if needed:
            return _by_command(work.commands, needed)
    return []


def _by_command(
    commands: Mapping[str, Command], hosts: Sequence[str]
) -> list[tuple[Command, list[str]]]:
    """Put hosts that run the same into commands of at most 50."""
    alike: list[tuple[Command, list[str]]] = []
    for host in hosts:
        known = next((hosts for command, hosts in alike if command == commands[host]), None)
        if known is None:
            alike.append((commands[host], [host]))
        else:
            known.append(host)
    return [(command, some) for command, all_of in alike for some in chunks(all_of, HOSTS)]


def _send(
    work: Work,
    attempt: Attempt,
    batch: Sequence[tuple[Command, list[str]]],
    tally: Tally,
    *,
    first: int,
) -> str:
    """Send a batch: the attempt first tells which waves it may be found to have sent."""
    fleet = work.fleet
    errors = str(fleet.budget - len(tally.failed)) if work.strict else "100%"
    begun = replace(attempt, first=first, last=first + len(batch), at=now().isoformat())
    with work.mutation():
        save(fleet, begun)
        for wave, (command, hosts) in enumerate(batch, start=first):
            try:
                fleet.send(
                    command,
                    hosts,
                    comment=begun.comment(wave),
                    errors=errors,
                    at_once=str(fleet.hosts_at_once),
                )
            except UnreachableError:
                _reconcile(fleet, begun, wave)
            except RefusedByAwsError as error:
                raise _refused(work, begun, str(error), inside=True) from error
    return " to ".join(dict.fromkeys([str(first), str(begun.last - 1)]))


def _reconcile(fleet: Fleet, attempt: Attempt, wave: int) -> None:
    """Look whether a command whose reply was lost is listed; raises when it is not."""
    found = until(lambda: attempt.sent(fleet), lambda sent: wave in sent, seconds=STEP)
    if wave not in found:
        raise UnreachableError(
            f"{fleet}: whether wave {wave} was sent cannot be told: the reply was lost, and no "
            "list shows it yet"
        )


def _refused(work: Work, attempt: Attempt, why: str, *, inside: bool = False) -> RefusedError:
    """Note that an attempt was refused, so that nothing more is sent for it."""
    failed = replace(attempt, reason=why)
    if inside:
        save(work.fleet, failed)
    else:
        with work.mutation():
            save(work.fleet, failed)
    return RefusedError(why)


def _failure(fleet: Fleet, tally: Tally, hosts: Mapping[str, Command]) -> str:
    left = len(hosts) - sum(not o.was_not_run for o, _ in tally.outcomes.values())
    others = f", so it was not run on {left} others" if left else ""
    return (
        f"{fleet}: failed on {len(tally.failed)}, and at most {fleet.budget} may{others}: "
        f"{named(tally.failed)}"
    )
