"""The contract of a substrate, kept for tenants behind a control plane's HTTP API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from phased_rollout.errors import ChangeError, DriftedError, RefusedError, UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import (
    Artifact,
    Difference,
    Outcome,
    Preview,
    Progress,
    TargetState,
)
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.http.api import ChangedError, patiently
from phased_rollout.substrates.http.attempts import Attempts
from phased_rollout.substrates.http.content import values_of
from phased_rollout.substrates.http.restore import restore
from phased_rollout.substrates.http.spec import Spec, Standing
from phased_rollout.substrates.http.steps import (
    Work,
    conclude,
    deliver,
    differing,
    has_failed,
    is_overdue,
    is_stuck,
    is_there,
)
from phased_rollout.substrates.http.tenant import Seen, Tenant, artifact_of, is_same, shortly


class HttpSubstrate:
    """Rolls values out to tenants, by the requests that channels.yaml describes.

    :param options: ``connection``, ``fields``, ``read``, ``apply``, and optionally ``remove``,
        ``preview``, ``status``, ``if_match`` and ``deadline`` in seconds
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._spec = Spec.parsed(options)

    def render(self, change: Change, *, channel: str, target: Target) -> Artifact:  # noqa: ARG002  # the same for all
        """Give the values of the change; needs no network. Raises ChangeError."""
        values = values_of(change, self._spec.fields)
        try:
            Tenant(self._spec, target).check(values)
        except ValueError as error:
            raise ChangeError(f"change {change.name!r}: {target.name}: {error}") from error
        return artifact_of(values)

    def check(self, change: Change, targets: Sequence[Target]) -> list[str]:  # noqa: ARG002  # render says it all
        """Say nothing more than ``render`` does: only the API knows which values it takes."""
        return []

    def read(self, target: Target) -> TargetState:
        """Read the fields' values and the tenant's own status."""
        return patiently(Tenant(self._spec, target).look).state()

    def preview(self, target: Target, artifact: Artifact, *, token: str) -> Preview:
        """Compare with what the tenant reports; ask the API too, where it can be asked."""
        tenant, wanted = Tenant(self._spec, target), artifact.body["values"]

        def look() -> tuple[Seen, tuple[str, ...]]:
            seen = tenant.look()
            if is_there(seen, artifact.digest):
                return seen, ()
            return seen, tenant.rehearse(seen, wanted, token=token)

        seen, notes = patiently(look)
        return self._compared(tenant, seen, artifact, notes)

    def _compared(
        self, tenant: Tenant, seen: Seen, artifact: Artifact, notes: tuple[str, ...] = ()
    ) -> Preview:
        before, after = seen.values or {}, artifact.body["values"]
        if is_there(seen, artifact.digest):
            return Preview()
        differences = tuple(
            Difference(
                "Remove" if name not in after else "Modify" if name in before else "Add",
                name,
                "setting",
                destructive=name not in after,
                detail=" → ".join(shortly(v[name]) for v in (before, after) if name in v),
            )
            for name in sorted({*before, *after})
            if not is_same(before, after, name)
        )
        lost, guessed = tenant.unsayable(seen.values, after)
        return Preview(differences, (*notes, *guessed), tuple(lost))

    def apply(
        self,
        target: Target,
        artifact: Artifact,
        *,
        token: str,
        mutation: Mutation,
        expected: str | None = None,
    ) -> Progress:
        """Take the next step: look, send one request, read back.

        ``expected`` is compared before anything is sent. What was accepted is not sent again.
        """
        attempts = Attempts(token=token, target=target.name)
        tenant = Tenant(self._spec, target)
        work = Work(self._spec, tenant, artifact.body["values"], attempts, token, mutation)
        return patiently(lambda: self._step(work, artifact, expected))

    def _step(self, work: Work, artifact: Artifact, expected: str | None) -> Progress:
        tenant, attempts = work.tenant, work.attempts
        if attempts.refusal:
            raise RefusedError(attempts.refusal)
        try:
            accepted = attempts.accepted
            if accepted is None:
                seen = tenant.look()
                if is_there(seen, artifact.digest) and seen.standing is Standing.GOOD:
                    return Progress(Outcome.DONE, f"{tenant} runs it: {seen.words}")
                if seen.standing is Standing.PENDING:
                    return Progress(
                        Outcome.WAITING, f"{tenant}: somebody's operation: {seen.words}"
                    )
                self._hold_to(expected, tenant, seen, artifact)
                accepted = deliver(work, seen)
            return conclude(work, accepted)
        except ChangedError as changed:
            what = "somebody else changed it just now, so nothing was sent"
            raise DriftedError(f"{tenant}: {what}: {changed}") from changed
        except RefusedError as refused:
            attempts.refuse(str(refused))
            raise

    def _hold_to(
        self, expected: str | None, tenant: Tenant, seen: Seen, artifact: Artifact
    ) -> None:
        preview = self._compared(tenant, seen, artifact)
        if expected not in (None, preview.digest):
            would = "; ".join(f"{d.action} {d.resource}: {d.detail}" for d in preview.differences)
            raise DriftedError(
                f"{tenant} would do something else now than was previewed, so nothing was "
                f"changed: {would or 'nothing at all'}"
            )

    def settled(self, target: Target, *, token: str) -> bool:
        """Say by one look whether what was accepted has ended, well or badly."""
        attempts = Attempts(token=token, target=target.name)
        accepted = attempts.accepted
        seen = patiently(Tenant(self._spec, target).look)
        if accepted is None:
            return seen.standing is not Standing.PENDING or is_stuck(self._spec, attempts)
        done = is_there(seen, accepted.digest) and seen.standing is Standing.GOOD
        over = has_failed(seen, accepted) or is_overdue(self._spec, seen, accepted)
        return done or over

    def verify(self, target: Target, artifact: Artifact) -> TargetState:
        """Read back that the tenant has the values, and a good status."""
        tenant = Tenant(self._spec, target)
        seen = patiently(tenant.look)
        if not is_there(seen, artifact.digest):
            why = differing(seen.values or {}, artifact.body["values"])
            raise RefusedError(f"{tenant} does not run the change: {why}")
        if seen.standing is Standing.FAILED:
            raise RefusedError(f"{tenant} runs the change, and has failed: {seen.words}")
        if seen.standing is Standing.PENDING:
            raise UnreachableError(f"{tenant} cannot be judged now: {seen.words}")
        return seen.state()

    def restore(
        self,
        target: Target,
        *,
        before: TargetState,
        applied: Artifact,
        token: str,
        mutation: Mutation,
    ) -> Progress:
        """Take the next step back to ``before``: the earlier values are sent.

        A tenant that was not there takes the request ``remove``.
        """
        attempts = Attempts(token=token, target=target.name)
        wanted = before.running.body["values"] if before.running else None
        work = Work(
            self._spec,
            Tenant(self._spec, target),
            wanted,
            attempts,
            token,
            mutation,
            lenient=not before.healthy,
        )
        return patiently(lambda: restore(work, applied.body["values"]))
