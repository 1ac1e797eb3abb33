"""The contract of a substrate, kept by Systems Manager's Run Command on the hosts of a slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phased_rollout.errors import (
    ConfigError,
    DriftedError,
    GuardError,
    RefusedError,
    UnreachableError,
)
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Artifact, Outcome, Preview, Progress, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.ssm import attempt as attempts
from phased_rollout.substrates.ssm.attempt import Attempt
from phased_rollout.substrates.ssm.command import Command, render
from phased_rollout.substrates.ssm.fleet import Fleet
from phased_rollout.substrates.ssm.preview import preview_of
from phased_rollout.substrates.ssm.reports import Heard, hear, named, short, state_of
from phased_rollout.substrates.ssm.restore import restore
from phased_rollout.substrates.ssm.waves import Work, advance


class FleetSubstrate:
    """Rolls a command out to the hosts of slices: those of an account that have all of some tags.

    A target's ``members`` are the hosts that its plan froze; no other is ever touched.

    :param options: ``connection``, ``record`` and ``reports``, the command whose output tells what
        a host runs; optionally ``role``, ``external_id``, ``via``, ``region``,
        ``max_failed_hosts``, ``hosts_at_once`` and ``commands_at_once``
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        needed = ("connection", "record", "reports")
        if missing := [key for key in needed if not options.get(key)]:
            raise ConfigError([f"ssm: options.{key} is missing" for key in missing])
        self._options = options

    def _fleet(self, target: Target) -> Fleet:
        if not target.members:
            raise GuardError(f"{target.name} has no hosts: its plan has to find them")
        return Fleet(self._options, target)

    def members(self, target: Target) -> tuple[str, ...]:
        """Find the hosts that have the tags now, those that do not answer as well.

        Raises RefusedError when there are none, or too few for the hosts that may fail.
        """
        found = tuple(sorted(Fleet(self._options, target).nodes()))
        tags = ", ".join(f"{k}={v}" for k, v in sorted(target.address.items()) if ":" in k)
        if not found:
            raise RefusedError(f"{target.name}: no host has {tags}: correct the tags, or tag hosts")
        fleet = Fleet(self._options, Target(target.name, target.address, members=found))
        if 2 * fleet.budget >= len(found):
            raise RefusedError(
                f"{target.name}: {fleet.budget} of {len(found)} hosts may fail, so a failure of "
                "half of them would not count: lower max_failed_hosts"
            )
        return found

    def render(self, change: Change, *, channel: str, target: Target) -> Artifact:  # noqa: ARG002  # the same for all
        """Give the command of the change; needs no network. Raises ChangeError."""
        return render(change)

    def check(self, change: Change, targets: Sequence[Target]) -> list[str]:  # noqa: ARG002  # render says it all
        """Say nothing more than ``render`` does: the preview asks for the documents."""
        return []

    def read(self, target: Target) -> TargetState:
        """Ask all hosts what they run, by the command of ``reports``; they change nothing."""
        fleet = self._fleet(target)
        return state_of(fleet, hear(fleet), busy=_is_busy(fleet))

    def preview(self, target: Target, artifact: Artifact, *, token: str) -> Preview:  # noqa: ARG002  # leaves nothing
        """Ask the hosts what they run, and whether the documents are there; nothing is sent."""
        fleet = self._fleet(target)
        heard = hear(fleet)
        found = preview_of(heard, state_of(fleet, heard), artifact)
        if found.differences:
            fleet.check(Command.of(artifact.body["command"]))
            if artifact.body["remove"]:
                fleet.check(Command.of(artifact.body["remove"]))
        return found

    def apply(
        self,
        target: Target,
        artifact: Artifact,
        *,
        token: str,
        mutation: Mutation,
        expected: str | None = None,
    ) -> Progress:
        """Take the next step: the next commands, at most 50 hosts each, as long as few fail.

        ``expected`` is compared before anything is sent. An attempt that was begun goes on. Hosts
        that do not answer, or are gone, hold it when they are more than the budget has.
        """
        fleet = self._fleet(target)
        attempt, heard = attempts.load(fleet), None
        if attempt is None or (attempt.token, attempt.digest) != (token, artifact.digest):
            if attempt and attempt.is_busy(fleet):
                return Progress(Outcome.WAITING, f"{fleet}: somebody's commands are under way")
            heard = hear(fleet)
            state = state_of(fleet, heard)
            if state.digest == artifact.digest:
                return Progress(Outcome.DONE, f"{fleet}: {state.detail}")
            _compare(fleet, heard, state, artifact, expected=expected)
            attempt = Attempt(token, artifact.digest)
            with mutation():
                fleet.keep(artifact.digest, artifact.body["command"], anew=False)
                attempts.save(fleet, attempt)
        command = Command.of(artifact.body["command"]).marked(artifact.digest)
        work = Work(
            fleet,
            mutation,
            dict.fromkeys(fleet.hosts, command),
            needs=lambda _, report: report != artifact.digest,
        )
        done = advance(work, attempt, heard)
        if isinstance(done, Progress):
            return done
        bad = {**done.missed, **{host: str(why) for host, why in done.failed.items()}}
        if len(bad) > fleet.budget:
            raise UnreachableError(
                f"{fleet}: {len(bad)} hosts did not run it, and at most {fleet.budget} may fail: "
                f"{named(bad)}"
            )
        left = f", but for {named(bad)}" if bad else ""
        return Progress(Outcome.DONE, f"{fleet}: all have run it{left}")

    def settled(self, target: Target, *, token: str) -> bool:  # noqa: ARG002  # whoever sent it
        """Say whether the commands of the last attempt have ended: two calls, or a few more."""
        return not _is_busy(self._fleet(target))

    def verify(self, target: Target, artifact: Artifact) -> TargetState:
        """Read back that all hosts report the change, but for as many as the budget has."""
        fleet = self._fleet(target)
        heard = hear(fleet)
        state = state_of(fleet, heard, busy=_is_busy(fleet))
        if state.digest == artifact.digest:
            return state
        others = {
            host: f"reports {short(report)}"
            for host, report in heard.reports.items()
            if report != artifact.digest
        }
        raise RefusedError(
            f"{fleet}: {len(others)} do not report the change {artifact.digest[:12]}, and at most "
            f"{fleet.budget} may fail: {named(others)}"
        )

    def restore(
        self,
        target: Target,
        *,
        before: TargetState,
        applied: Artifact,
        token: str,
        mutation: Mutation,
    ) -> Progress:
        """Take the next step back to ``before``; call again until it is not WAITING."""
        return restore(
            self._fleet(target), before=before, applied=applied, token=token, mutation=mutation
        )


def _is_busy(fleet: Fleet) -> bool:
    attempt = attempts.load(fleet)
    return attempt is not None and attempt.is_busy(fleet)


def _compare(
    fleet: Fleet, heard: Heard, state: TargetState, artifact: Artifact, *, expected: str | None
) -> None:
    """Raise when this would not be what people saw."""
    found = preview_of(heard, state, artifact)
    if expected in (None, found.digest):
        return
    would = "; ".join(f"{d.action} {d.kind} {d.resource} ({d.detail})" for d in found.differences)
    raise DriftedError(
        f"{fleet} would do something else now than was previewed, so nothing was sent: {would}"
    )
