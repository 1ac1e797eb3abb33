"""Asks every target what would change, before any is touched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException, DownstreamTasksSkipped

from phased_rollout.errors import RolloutError, UnreachableError
from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import Kind
from phased_rollout.model.merged import destructive, merge, of_targets
from phased_rollout.model.target_state import Preview
from phased_rollout.operators.base import RolloutOperator, now
from phased_rollout.operators.platforms import warnings_of
from phased_rollout.operators.previews import digests_of, previews_of, refuse_twins
from phased_rollout.operators.strangers import doubts_of
from phased_rollout.operators.unchanged import graduated_in
from phased_rollout.operators.untested import assess
from phased_rollout.rollout import Rollout


class PreviewOperator(RolloutOperator):
    """Merges the previews of all targets into one diff and says what needs an authorization.

    When every target already reads back the change, the rest of the run is skipped and it ends
    green. A target that refuses the preview fails the run before anything is touched.
    """

    def execute(self, context: Any) -> dict[str, int]:
        """Give the number of targets that would change and that already run the change."""
        rollout = self.rollout(context)
        try:
            refuse_twins(rollout, _included(rollout))
            previews = previews_of(rollout, _included(rollout), attempt="preview")
        except RolloutError as error:
            text = f"nothing was touched; the preview failed:\n{error}"
            mendable = isinstance(error, UnreachableError)
            raise AirflowException(text) if mendable else AirflowFailException(text) from error
        changing = {name: p for name, p in previews.items() if p is not None}
        unchanged = _unchanged(rollout, changing)
        merged = [*merge(changing), *_words(unchanged), *self._warnings(rollout, changing)]
        self.log.info("%s", "\n".join(merged) or "no target would change")
        untested = assess(rollout, previews, unchanged)
        for line in untested.lines:
            self.log.warning("%s", line)
        refused = "\n".join(filter(None, [_refused(rollout, changing), untested.refused]))
        rollout.records.add(
            Kind.PREVIEWED,
            at=now(),
            differences=merged,
            authorize=[*_reasons(rollout, changing), *untested.authorize],
            unchanged={name: run for name, run in unchanged.items() if run},
            refused=refused,
            targets=digests_of(previews),
            **untested.record,
        )
        if refused:
            raise AirflowFailException(f"nothing was touched: {refused}")
        if not changing and not rollout.plan.pays:
            rollout.records.add(Kind.NOTHING_TO_CHANGE, at=now())
            self.log.info("every target already runs %s: nothing to do", rollout.plan.change[:12])
            enters = [f"{name}.enter" for name in rollout.plan.names]
            raise DownstreamTasksSkipped(tasks=["authorize", *enters])
        return {"changing": len(changing), "unchanged": len(previews) - len(changing)}

    def _warnings(self, rollout: Rollout, changing: Mapping[str, Preview]) -> list[str]:
        return warnings_of(self, rollout, _included(rollout)) if changing else []


def _unchanged(rollout: Rollout, changing: Mapping[str, Preview]) -> dict[str, str | None]:
    """Name the channels without a change, each with the rollout that graduated there, if any.

    None in a rollout that makes good what a bypass left out: it walks every channel.
    """
    if not changing or rollout.plan.pays:
        return {}
    return {
        channel.name: graduated_in(rollout, channel)
        for channel in _included(rollout)
        if not any(target.name in changing for target in channel.targets)
    }


def _words(unchanged: Mapping[str, str | None]) -> list[str]:
    passes = "nothing to change, as it graduated there in {}: passes at once"
    soaks = "nothing to change, but no record that it graduated there: it soaks, and is judged"
    return [f"{name}: {passes.format(run) if run else soaks}" for name, run in unchanged.items()]


def _refused(rollout: Rollout, changing: Mapping[str, Preview]) -> str:
    """Say that more is destructive than the definition lets anybody authorize."""
    count, limit = destructive(changing), rollout.plan.definition.max_destructive
    if limit is None or count <= limit:
        return ""
    found = "; ".join(_destructive(changing))
    return (
        f"{count} destructive differences, and max_destructive of {rollout.plan.definition.name} "
        f"is {limit}: split the change up, or raise it in channels.yaml: {found}"
    )


def _included(rollout: Rollout) -> list[Channel]:
    return [c for c in rollout.plan.channels if not rollout.plan.is_bypassed(c.name)]


def _reasons(rollout: Rollout, previews: Mapping[str, Preview]) -> list[str]:
    plan, bypass = rollout.plan, rollout.plan.bypass
    found = [text for each in (plan.origin, plan.boundaries) if each for text in each.authorize]
    found.extend(doubts_of(rollout) if previews else [])
    if bypass.tier.needs_second_person:
        found.append(f"{bypass}: {bypass.reason}")
    found.extend(_destructive(previews))
    lost = Counter(what for p in previews.values() for what in p.irreversible)
    found.extend(f"irreversible on {of_targets(n)}: {what}" for what, n in lost.items())
    return found


def _destructive(previews: Mapping[str, Preview]) -> list[str]:
    found = Counter(
        f"{d.action} {d.kind} {d.resource}"
        for p in previews.values()
        for d in p.differences
        if d.destructive
    )
    return [f"destructive on {of_targets(count)}: {what}" for what, count in found.items()]
