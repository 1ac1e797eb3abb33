"""The way back: each host runs again the command of what it reported before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phased_rollout.errors import RefusedError
from phased_rollout.model.target_state import Artifact, Outcome, Progress, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.ssm import attempt as attempts
from phased_rollout.substrates.ssm.attempt import Attempt
from phased_rollout.substrates.ssm.command import Command
from phased_rollout.substrates.ssm.fleet import Fleet
from phased_rollout.substrates.ssm.reports import NOTHING, Heard, hear, named, short, state_of
from phased_rollout.substrates.ssm.waves import Tally, Work, advance, tally_of


@dataclass(frozen=True, slots=True)
class Back:
    """What hosts are to be brought back to.

    :param reports: what each host reported before
    :param commands: by report, what lets a host report it again
    :param broken: hosts on which a command of this rollout failed half-way
    """

    reports: Mapping[str, str]
    commands: Mapping[str, Command]
    applied: str
    broken: frozenset[str]

    @classmethod
    def of(cls, fleet: Fleet, before: TargetState, applied: Artifact, attempt: Attempt) -> Back:
        """Read what was recorded, and what the commands of the rollout have led to."""
        nothing: Mapping[str, Any] = {"hosts": {NOTHING: fleet.hosts}}
        body = before.running.body if before.running else nothing
        reports = {host: report for report, hosts in body["hosts"].items() for host in hosts}
        known = {r: Command.of(b).marked(r) for r, b in body.get("commands", {}).items() if b}
        if applied.body["remove"]:
            known[NOTHING] = Command.of(applied.body["remove"])
        tally = tally_of(fleet, attempt.undone(fleet))
        return cls(reports, known, applied.digest, frozenset(tally.failed))

    def is_ours(self, host: str, report: str) -> bool:
        """Say whether a host runs what this rollout brought, or half of it."""
        wanted = self.reports.get(host)
        if host in self.broken and report in (wanted, self.applied, NOTHING):
            return True
        return report == self.applied != wanted

    def foreign(self, heard: Heard) -> dict[str, str]:
        """Give the hosts that somebody else has changed since."""
        return {
            host: f"reports {short(report)}"
            for host, report in heard.reports.items()
            if not self.is_ours(host, report) and report != self.reports.get(host, report)
        }

    def lost(self, heard: Heard) -> dict[str, str]:
        """Give the hosts that cannot be brought back, and what they reported."""
        return {
            host: f"reported {short(self.reports[host])}" if host in self.reports else "was silent"
            for host, report in heard.reports.items()
            if self.is_ours(host, report) and self.reports.get(host) not in self.commands
        }


def restore(
    fleet: Fleet, *, before: TargetState, applied: Artifact, token: str, mutation: Mutation
) -> Progress:
    """Take the next step back, as far as nobody else changed the hosts since."""
    attempt, heard = attempts.load(fleet), None
    if attempt is None or attempt.token != token:
        ours = attempt is not None and attempt.rollout == token.partition("-")[0]
        if attempt and attempt.is_busy(fleet):
            if not ours:
                return Progress(Outcome.LEFT_ALONE, f"{fleet}: another rollout is changing it")
            return Progress(Outcome.WAITING, f"{fleet}: what was sent is still under way")
        undoes = (attempt.token, attempt.nonce, attempt.since) if attempt and ours else None
        attempt = Attempt(token, "", undoes=undoes)
        heard = hear(fleet)
        state_of(fleet, heard)  # raises when too many do not answer
        back = Back.of(fleet, before, applied, attempt)
        if not any(back.is_ours(host, report) for host, report in heard.reports.items()):
            return _nothing_to_do(fleet, back, heard)
        with mutation():
            attempts.save(fleet, attempt)
    else:
        back = Back.of(fleet, before, applied, attempt)
    wanted = {h: back.reports.get(h) for h in fleet.hosts}
    commands = {
        h: back.commands[r] for h, r in wanted.items() if r is not None and r in back.commands
    }
    work = Work(fleet, mutation, commands, back.is_ours, strict=False)
    done = advance(work, attempt, heard)
    return done if isinstance(done, Progress) else _finish(fleet, back, done)


def _nothing_to_do(fleet: Fleet, back: Back, heard: Heard) -> Progress:
    if foreign := back.foreign(heard):
        why = f"{fleet}: somebody else changed it since: {named(foreign)}"
        return Progress(Outcome.LEFT_ALONE, why)
    return Progress(Outcome.DONE, f"{fleet}: runs what it ran before")


def _finish(fleet: Fleet, back: Back, tally: Tally) -> Progress:
    """Read back what the hosts report now."""
    heard = hear(fleet)
    state = state_of(fleet, heard)
    lost, foreign = back.lost(heard), back.foreign(heard)
    left = {host: str(outcome) for host, outcome in tally.failed.items()}
    for host, report in heard.reports.items():
        if report == back.applied != back.reports.get(host) and host not in {*lost, *left}:
            left[host] = f"reports {short(report)}"
    if lost:
        raise RefusedError(
            f"{fleet}: {len(lost)} hosts run the change still, for nothing is known that would "
            f"bring back what they ran: {named(lost)}"
        )
    if len(left) > fleet.budget:
        raise RefusedError(f"{fleet}: {len(left)} hosts were not restored: {named(left)}")
    if foreign:
        why = f"{fleet}: restored but for what somebody else changed since: {named(foreign)}"
        return Progress(Outcome.LEFT_ALONE, why)
    return Progress(Outcome.DONE, f"{fleet}: runs what it ran before: {state.detail}")
