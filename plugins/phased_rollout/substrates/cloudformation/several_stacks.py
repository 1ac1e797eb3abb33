"""Several stacks that are one target: applied in order, restored in the reverse order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from phased_rollout.errors import RefusedError
from phased_rollout.model.digest import digest_of
from phased_rollout.model.target_state import (
    Artifact,
    Difference,
    Outcome,
    Preview,
    Progress,
    TargetState,
)
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.cloudformation.binding import UNSEEN, roughly
from phased_rollout.substrates.cloudformation.one_stack import OneStack
from phased_rollout.substrates.cloudformation.stack import Stack
from phased_rollout.substrates.cloudformation.states import waiting

# What an earlier stack gives a later one is not there before it is applied.
_NOT_YET = re.compile(r"No export named \S+|Unable to fetch parameters \[[^\]]*\]")
_FROM_OTHERS = re.compile(r"ImportValue|AWS::SSM::Parameter::Value|\{\{resolve:ssm")


@dataclass(frozen=True, slots=True)
class SeveralStacks:
    """What ``Substrate`` promises, for several stacks.

    :param stacks: by name, in the order of their apply
    """

    stacks: Mapping[str, OneStack]

    def read(self) -> TargetState:
        """Read what all stacks run."""
        return _joined({name: stack.read() for name, stack in self.stacks.items()})

    def preview(self, artifact: Artifact, *, token: str) -> Preview:
        """Ask each stack what would change; each difference names its stack.

        A stack that needs what an earlier one is yet to give cannot be asked: that is said.
        """
        parts, found, refused = _parts(artifact), dict[str, Preview](), list[str]()
        for name, stack in self.stacks.items():
            changing = bool(refused) or any(each.differences for each in found.values())
            try:
                preview = stack.preview(parts[name], token=_own(token, name))
            except RefusedError as error:
                missing = _NOT_YET.search(str(error))
                if not (changing and missing):
                    refused.append(f"{name}: {error}")
                    continue
                preview = _unknown(stack.read(), missing.group())
            else:
                if changing and _FROM_OTHERS.search(parts[name].body["template"]):
                    preview = roughly(preview)
            found[name] = preview
        if refused:
            raise RefusedError("\n".join(refused))
        return _merged(found)

    def apply(
        self, artifact: Artifact, *, token: str, mutation: Mutation, expected: str | None = None
    ) -> Progress:
        """Take the next step at the first stack that does not read back its part."""
        parts, ended = _parts(artifact), list[Progress]()
        bound = _split(expected) if expected is not None else None
        looks = {name: stack.look() for name, stack in self.stacks.items()}
        if busy := next((look for look in looks.values() if look and look.in_progress), None):
            return waiting(busy)
        for name, stack in self.stacks.items():
            del looks[name]
            progress = stack.apply(
                parts[name],
                token=_own(token, name),
                mutation=mutation,
                expected=None if bound is None else bound.get(name, ""),
                passed=partial(self._is_past, token=token, later=looks),
            )
            if progress.outcome is Outcome.WAITING:
                return progress
            ended.append(progress)
        return _summed(ended, Outcome.UNCHANGED)

    def _is_past(self, stack: Stack, *, token: str, later: Mapping[str, Stack | None]) -> bool:
        """Whether this attempt has come to a later stack since this one was last changed.

        CloudFormation saw nothing to change in it then, and need not be asked at each step.
        """
        for name, look in later.items():
            begun = self.stacks[name].begun(look, token=_own(token, name))
            if begun and stack.changed_at and stack.changed_at <= begun:
                return True
        return False

    def settled(self, *, token: str) -> bool:
        """Say whether no stack has an operation under way."""
        return all(stack.settled(token=_own(token, name)) for name, stack in self.stacks.items())

    def verify(self, artifact: Artifact) -> TargetState:
        """Read back that each stack runs its part."""
        parts = _parts(artifact)
        return _joined({name: stack.verify(parts[name]) for name, stack in self.stacks.items()})

    def restore(
        self, *, before: TargetState, applied: Artifact, token: str, mutation: Mutation
    ) -> Progress:
        """Take the next step back, last stack first; one that resists does not hold the others."""
        earlier, parts = _states(before, self.stacks), _parts(applied)
        ended, refused = list[Progress](), list[str]()
        for name, stack in reversed(list(self.stacks.items())):
            try:
                progress = stack.restore(
                    before=earlier[name],
                    applied=parts[name],
                    token=_own(token, name),
                    mutation=mutation,
                )
            except RefusedError as error:
                refused.append(str(error))
                continue
            if progress.outcome is Outcome.WAITING:
                return progress
            ended.append(progress)
        if refused:
            raise RefusedError("; ".join([*refused, *(each.reason for each in ended)]))
        return _summed(ended, Outcome.LEFT_ALONE)


def joined(parts: Mapping[str, Artifact | None]) -> Artifact:
    """Give the artifact of several stacks; None for a stack that is not there."""
    digests = {name: part.digest if part else None for name, part in parts.items()}
    body = [
        {"stack": name, "digest": digests[name], "body": dict(part.body) if part else None}
        for name, part in parts.items()
    ]
    return Artifact(digest=digest_of({"stacks": digests}), body={"stacks": body})


def _joined(states: Mapping[str, TargetState]) -> TargetState:
    running = {name: state.running for name, state in states.items()}
    return TargetState(
        running=joined(running) if any(running.values()) else None,
        settled=all(state.settled for state in states.values()),
        healthy=all(state.healthy for state in states.values()),
        detail="; ".join(f"{name}: {state.detail}" for name, state in states.items()),
    )


def _parts(artifact: Artifact) -> dict[str, Artifact]:
    return {
        part["stack"]: Artifact(digest=part["digest"], body=part["body"])
        for part in artifact.body["stacks"]
        if part["digest"]
    }


def _states(before: TargetState, names: Mapping[str, OneStack]) -> dict[str, TargetState]:
    parts = _parts(before.running) if before.running else {}
    return {name: TargetState(running=parts.get(name)) for name in names}


def _own(token: str, stack: str) -> str:
    """Name a stack's own attempt: what AWS is asked about one must not pass for another's."""
    rollout, _, attempt = token.partition("-")
    return f"{rollout}-{digest_of([attempt, stack])[:16]}"


def _summed(ended: Sequence[Progress], strongest: Outcome) -> Progress:
    outcomes = {progress.outcome for progress in ended}
    return Progress(
        strongest if strongest in outcomes else Outcome.DONE,
        "; ".join(progress.reason for progress in ended),
    )


def _unknown(state: TargetState, why: str) -> Preview:
    there = state.running is not None
    preview = Preview(
        differences=(
            Difference(
                action="Modify" if there else "Add",
                resource="*",
                kind="AWS::CloudFormation::Stack",
                destructive=there,
                detail=f"cannot be previewed before the stacks ahead of it are applied: {why}",
            ),
        )
    )
    return replace(preview, partial=UNSEEN) if there else roughly(preview)


def _merged(found: Mapping[str, Preview]) -> Preview:
    return Preview(
        differences=tuple(
            replace(difference, resource=f"{name}/{difference.resource}")
            for name, preview in found.items()
            for difference in preview.differences
        ),
        notes=tuple(f"{name}: {note}" for name, p in found.items() for note in p.notes),
        irreversible=tuple(
            f"{name}: {what}" for name, p in found.items() for what in p.irreversible
        ),
        partial=",".join(f"{name}:{found[name].digest}" for name in sorted(found)),
    )


def _split(digest: str) -> dict[str, str]:
    """Give the digest of each stack's own preview."""
    return {name: own for name, _, own in (each.partition(":") for each in digest.split(","))}
