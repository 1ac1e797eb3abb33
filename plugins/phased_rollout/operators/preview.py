"""Asks every target what would change, before any is touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, DownstreamTasksSkipped

from phased_rollout.errors import RolloutError, UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Preview
from phased_rollout.operators.base import RolloutOperator, now
from phased_rollout.rollout import Rollout, for_each


class PreviewOperator(RolloutOperator):
    """Merges the previews of all targets into one diff and says what needs an authorization.

    When every target already reads back the change, the rest of the run is skipped and it ends
    green. A target that refuses the preview fails the run before anything is touched.
    """

    def execute(self, context: Any) -> dict[str, int]:
        """Give the number of targets that would change and that already run the change."""
        rollout = self.rollout(context)
        previews = _previews(rollout)
        changing = {name: p for name, p in previews.items() if p is not None}
        merged = merge(changing)
        self.log.info("%s", "\n".join(merged) or "no target would change")
        rollout.records.add(
            Kind.PREVIEWED, at=now(), differences=merged, authorize=_reasons(rollout, changing)
        )
        if not changing and not rollout.plan.pays:
            rollout.records.add(Kind.NOTHING_TO_CHANGE, at=now())
            self.log.info("every target already runs %s: nothing to do", rollout.plan.change[:12])
            enters = [f"{name}.enter" for name in rollout.plan.names]
            raise DownstreamTasksSkipped(tasks=["authorize", *enters])
        return {"changing": len(changing), "unchanged": len(previews) - len(changing)}


def merge(previews: Mapping[str, Preview]) -> list[str]:
    """Group equal differences: ``2 targets: Modify AWS::SSM::Parameter Metadata (a, b)``."""
    lines: dict[str, list[str]] = {}
    for name, preview in previews.items():
        for d in preview.differences:
            mark = "DESTRUCTIVE " if d.destructive else ""
            text = f"{mark}{d.action} {d.kind} {d.resource} {d.detail}".strip()
            lines.setdefault(text, []).append(name)
        for note in (*preview.notes, *preview.irreversible):
            lines.setdefault(note, []).append(name)
    return [f"{len(names)} targets: {text} ({_few(names)})" for text, names in lines.items()]


def _few(names: list[str], shown: int = 3) -> str:
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def _previews(rollout: Rollout) -> dict[str, Preview | None]:
    channel_of = {t.name: c.name for c in rollout.plan.channels for t in c.targets}

    def preview(target: Target) -> Preview | None:
        artifact = rollout.artifact(channel_of[target.name], target)
        state = rollout.substrate.read(target)
        if state.settled and state.healthy and state.digest == artifact.digest:
            return None
        token = rollout.token("preview", target.name)
        return rollout.substrate.preview(target, artifact, token=token)

    included = [c for c in rollout.plan.channels if not rollout.plan.is_bypassed(c.name)]
    answers = for_each([t for c in included for t in c.targets], preview)
    errors = {n: a for n, a in answers.items() if isinstance(a, RolloutError)}
    if errors:
        text = "nothing was touched; the preview failed:\n" + "\n".join(
            f"{name}: {error}" for name, error in errors.items()
        )
        unreachable = all(isinstance(e, UnreachableError) for e in errors.values())
        raise AirflowException(text) if unreachable else AirflowFailException(text)
    return {n: a for n, a in answers.items() if not isinstance(a, RolloutError)}


def _reasons(rollout: Rollout, previews: Mapping[str, Preview]) -> list[str]:
    found = []
    bypass = rollout.plan.bypass
    if bypass.tier.needs_second_person:
        found.append(f"{bypass}: {bypass.reason}")
    destructive = Counter(
        f"{d.action} {d.kind} {d.resource}"
        for p in previews.values()
        for d in p.differences
        if d.destructive
    )
    found.extend(f"destructive on {count} targets: {what}" for what, count in destructive.items())
    lost = Counter(what for p in previews.values() for what in p.irreversible)
    found.extend(f"irreversible on {count} targets: {what}" for what, count in lost.items())
    return found
