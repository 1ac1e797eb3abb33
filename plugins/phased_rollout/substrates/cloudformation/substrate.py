"""The contract of a substrate, kept by CloudFormation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from phased_rollout.aws import Access, account, doubt_of
from phased_rollout.errors import ConfigError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Artifact, Preview, Progress, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.one_stack import OneStack
from phased_rollout.substrates.cloudformation.several_stacks import SeveralStacks, joined
from phased_rollout.substrates.cloudformation.spec import StackSpec, specs_of
from phased_rollout.substrates.cloudformation.template import render

log = logging.getLogger(__name__)


class CloudFormationSubstrate:
    """Rolls templates out to one stack per account and region, or to several in order.

    :param options: ``connection``; ``stack``, or ``stacks`` with ``name`` and ``template`` each;
        and optionally ``role`` (name or ARN with ``{account}``), ``external_id``, ``region``,
        ``bucket``, ``service_role``, ``capabilities``, ``lint``
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        if not options.get("connection"):
            raise ConfigError(["cloudformation: options.connection is missing"])
        self._options = options
        self._specs = specs_of(options)
        self._is_one = bool(options.get("stack"))

    def _at(self, target: Target) -> OneStack | SeveralStacks:
        access = Access.of(self._options, target.address)
        stacks = {spec.name: OneStack(self._api(access, spec)) for spec in self._specs}
        return next(iter(stacks.values())) if self._is_one else SeveralStacks(stacks)

    def _api(self, access: Access, spec: StackSpec) -> StackApi:
        return StackApi(
            account(access),
            name=spec.name,
            service_role=access.arn_of(spec.service_role) if spec.service_role else None,
            bucket=self._options.get("bucket"),
        )

    def render(self, change: Change, *, channel: str, target: Target) -> Artifact:
        """Give the change as this target would run it; needs no network. Raises ChangeError."""
        parts = render(
            change,
            self._specs,
            channel=channel,
            target=target.name,
            has_bucket=bool(self._options.get("bucket")),
        )
        return next(iter(parts.values())) if self._is_one else joined(parts)

    def check(self, change: Change, targets: Sequence[Target]) -> list[str]:
        """Look the templates over with cfn-lint, which takes seconds to import; log odd regions."""
        from phased_rollout.substrates.cloudformation import lint  # noqa: PLC0415

        regions = {Access.of(self._options, target.address).region for target in targets}
        for doubt in filter(None, map(doubt_of, sorted(regions))):
            log.warning("%s: it would hold the rollout if it does not exist", doubt)
        ignore = (self._options.get("lint") or {}).get("ignore", ())
        return lint.check(change, regions=regions, ignore=ignore)

    def read(self, target: Target) -> TargetState:
        """Read what the stacks run, from what CloudFormation reports of them.

        A stack whose update was rolled back runs the earlier configuration. What a
        stack runs that is being changed, or whose rollback failed, nobody can say: it reads as an
        artifact that equals no other and cannot be restored.
        """
        return self._at(target).read()

    def preview(self, target: Target, artifact: Artifact, *, token: str) -> Preview:
        """Ask CloudFormation by ChangeSets of its own, and leave nothing behind."""
        return self._at(target).preview(artifact, token=token)

    def apply(
        self,
        target: Target,
        artifact: Artifact,
        *,
        token: str,
        mutation: Mutation,
        expected: str | None = None,
    ) -> Progress:
        """Take the next step: ChangeSet, execution, read back; call again while it is WAITING.

        ``expected`` is compared with each ChangeSet right before its execution, so for several
        stacks one by one: those that were done before one has drifted stay done. Where the preview
        could not look ahead, only this is held to it: a stack that takes what an earlier one was
        yet to change, or that is made anew, is destroyed nothing of that it did not name; one that
        it could not look into at all and called destructive is not compared.
        """
        return self._at(target).apply(artifact, token=token, mutation=mutation, expected=expected)

    def settled(self, target: Target, *, token: str) -> bool:
        """Say whether the operation that was WAITING has ended: one or two cheap calls a stack."""
        return self._at(target).settled(token=token)

    def verify(self, target: Target, artifact: Artifact) -> TargetState:
        """Read back that the stacks run the artifact."""
        return self._at(target).verify(artifact)

    def restore(
        self,
        target: Target,
        *,
        before: TargetState,
        applied: Artifact,
        token: str,
        mutation: Mutation,
    ) -> Progress:
        """Take the next step back to ``before``; call again while it is WAITING."""
        return self._at(target).restore(
            before=before, applied=applied, token=token, mutation=mutation
        )
