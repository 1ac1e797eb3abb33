"""The contract of a substrate, kept by server-side apply on Kubernetes clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from phased_rollout.errors import (
    ChangeError,
    ConfigError,
    DriftedError,
    RefusedError,
    UnreachableError,
)
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Artifact, Outcome, Preview, Progress, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.kubernetes import plan as plans
from phased_rollout.substrates.kubernetes.access import Access, cluster
from phased_rollout.substrates.kubernetes.completion import Judgement, Stage, has_rule
from phased_rollout.substrates.kubernetes.differences import preview_of
from phased_rollout.substrates.kubernetes.manifests import MAX_BYTES, Ref, render
from phased_rollout.substrates.kubernetes.record import Attempt, Keeper, Phase, Record, packed
from phased_rollout.substrates.kubernetes.removal import is_leaving
from phased_rollout.substrates.kubernetes.restore import restore
from phased_rollout.substrates.kubernetes.state import judged, state_of
from phased_rollout.substrates.kubernetes.steps import DEADLINE, Work, advance, is_overdue
from phased_rollout.substrates.kubernetes.trouble import words


def keeper_of(options: Mapping[str, Any], target: Target) -> Keeper:
    """Give the record of a target, on its cluster."""
    namespace = target.address.get("namespace") or options.get("namespace") or "default"
    found = cluster(Access.of(options, target.address))
    return Keeper(found, name=str(options["record"]), namespace=namespace)


class KubernetesSubstrate:
    """Rolls a folder of manifests out to clusters, by server-side apply with a manager of its own.

    :param options: ``record``, the name under which a cluster remembers what runs; optionally
        ``connection``, ``kubeconfig``, ``context`` and ``namespace``, which a target may have of
        its own, and ``progress_deadline`` in seconds, for workloads that have none themselves
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        if not options.get("record"):
            raise ConfigError(["kubernetes: options.record is missing"])
        self._options = options
        seconds = options.get("progress_deadline")
        self._deadline = timedelta(seconds=float(seconds)) if seconds else DEADLINE

    def _keeper(self, target: Target) -> Keeper:
        return keeper_of(self._options, target)

    def render(self, change: Change, *, channel: str, target: Target) -> Artifact:  # noqa: ARG002  # the same for all
        """Give the manifests of the change, in order; needs no network. Raises ChangeError."""
        found = render(change)
        if (size := len(packed(found.body["objects"]))) > MAX_BYTES:
            raise ChangeError(
                f"change {change.name!r}: {size:,} bytes of manifests, packed; a cluster's record "
                f"holds at most {MAX_BYTES:,}: split it into several definitions"
            )
        return found

    def check(self, change: Change, targets: Sequence[Target]) -> list[str]:  # noqa: ARG002  # render says it all
        """Say nothing more than ``render`` does: only a cluster can judge, by its dry runs."""
        return []

    def read(self, target: Target) -> TargetState:
        """Read what the record says, if all objects of it still are what was applied."""
        keeper = self._keeper(target)
        return state_of(keeper, keeper.read())

    def platform(self, target: Target) -> str | None:
        """Read the version of the cluster's API server, such as ``v1.33.1``."""
        return self._keeper(target).cluster.version()

    def identity(self, target: Target) -> str:
        """Name the cluster and the namespace by the uid of the latter: no two clusters share it."""
        keeper = self._keeper(target)
        return keeper.cluster.uid_of_namespace(keeper.namespace)

    def preview(self, target: Target, artifact: Artifact, *, token: str) -> Preview:  # noqa: ARG002  # stores nothing
        """Ask the server by dry runs, which store nothing."""
        keeper = self._keeper(target)
        record = keeper.read()
        if state_of(keeper, record).digest == artifact.digest:
            return Preview()
        return self._planned(keeper, record, artifact)[1]

    def _planned(
        self, keeper: Keeper, record: Record | None, artifact: Artifact
    ) -> tuple[plans.Plan, Preview]:
        plan = plans.made(keeper, record, artifact.body["objects"])
        plans.refuse_full(keeper, plan)
        return plan, preview_of(plan, manager=keeper.manager)

    def apply(
        self,
        target: Target,
        artifact: Artifact,
        *,
        token: str,
        mutation: Mutation,
        expected: str | None = None,
    ) -> Progress:
        """Take the next step: dry run, manifests, completion, prune, record, read back.

        ``expected`` is compared before anything is sent. An attempt that was begun goes on.
        """
        keeper = self._keeper(target)
        record = keeper.read()
        attempt = record.attempt if record else None
        if record is None or not _is_of(attempt, token, artifact):
            if state_of(keeper, record).digest == artifact.digest:
                return Progress(Outcome.DONE, f"{keeper} runs it")
            record = self._begin(keeper, record, artifact, token=token, expected=expected)
            with mutation():
                keeper.write(record)
        return advance(Work(keeper, artifact, mutation, self._deadline), record)

    def _begin(
        self,
        keeper: Keeper,
        record: Record | None,
        artifact: Artifact,
        *,
        token: str,
        expected: str | None,
    ) -> Record:
        plan, preview = self._planned(keeper, record, artifact)
        if expected not in (None, preview.digest):
            would = "; ".join(
                f"{d.action} {d.kind} {d.resource}" + (f" ({d.detail})" if d.detail else "")
                for d in preview.differences
            )
            raise DriftedError(
                f"{keeper} would do something else now than was previewed, so nothing was changed: "
                f"{would or 'nothing at all'}"
            )
        entries = plans.begun(keeper, plan, record)
        return (record or Record()).with_attempt(
            Attempt(token, artifact.digest, Phase.BEGUN, entries)
        )

    def settled(self, target: Target, *, token: str) -> bool:
        """Say whether the workloads of an attempt are complete or have failed: a call for each."""
        keeper = self._keeper(target)
        record = keeper.read()
        attempt = record.attempt if record else None
        if attempt is None or attempt.token != token or attempt.phase is not Phase.SENT:
            return True
        if is_overdue(attempt, deadline=self._deadline):
            return True
        stages = {judgement.stage for judgement, _ in _workloads(keeper, attempt).values()}
        if Stage.FAILED in stages:
            return True
        leaving = any(is_leaving(keeper, each) for each in attempt.entries if each.leaves)
        return Stage.PROGRESSING not in stages and not leaving

    def verify(self, target: Target, artifact: Artifact) -> TargetState:
        """Read back that the target runs the artifact, and that its workloads are complete."""
        keeper = self._keeper(target)
        record = keeper.read()
        state = state_of(keeper, record)
        if record is None or state.digest != artifact.digest:
            detail = state.detail or "nothing of it is there"
            if record and not record.attempt and state.digest == record.digest:
                detail = f"it runs another: {record.digest[:12]}"
            raise RefusedError(f"{keeper} does not run the change: {detail}")
        for ref, (judgement, live) in _workloads(keeper, record).items():
            if judgement.stage is Stage.COMPLETE:
                continue
            why = words(keeper.cluster, live) if live else ""
            text = f"{keeper}: {ref}: {judgement.reason}" + (f": {why}" if why else "")
            if judgement.stage is Stage.FAILED:
                raise RefusedError(text)
            raise UnreachableError(f"{text}: cannot be judged now")
        return state

    def restore(
        self,
        target: Target,
        *,
        before: TargetState,
        applied: Artifact,
        token: str,
        mutation: Mutation,
    ) -> Progress:
        """Take the next step back to ``before``: earlier manifests applied, created ones deleted.

        Deletes no namespace and no definition that holds what this record did not create, and no
        volume claim with a volume; the reason names what was kept.
        """
        return restore(
            self._keeper(target),
            before=before,
            applied=applied,
            token=token,
            mutation=mutation,
            deadline=self._deadline,
        )


def _is_of(attempt: Attempt | None, token: str, artifact: Artifact) -> bool:
    return attempt is not None and (attempt.token, attempt.digest) == (token, artifact.digest)


def _workloads(
    keeper: Keeper, of: Record | Attempt
) -> dict[Ref, tuple[Judgement, dict[str, Any] | None]]:
    """Judge the workloads among what was applied."""
    watched = [e for e in of.entries if not e.leaves and has_rule(e.ref.group, e.ref.kind)]
    return judged(keeper, watched)
