"""Applies the change to a wave of targets and reads it back from each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from phased_rollout.errors import BlockedError, RefusedError
from phased_rollout.model.definition import Target
from phased_rollout.model.guards import may_mutate
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import how_to_retry
from phased_rollout.model.target_state import Outcome, Progress
from phased_rollout.operators.base import RolloutOperator, no_retry, now
from phased_rollout.operators.confirm import expected
from phased_rollout.operators.hold import hold_while_barred
from phased_rollout.operators.steps import Step, give_way, take_in_turn, wait
from phased_rollout.operators.tolerance import (
    failed_targets,
    give_back,
    is_excepted,
    refuse_start,
    tolerate,
)
from phased_rollout.rollout import Rollout


class ApplyOperator(RolloutOperator):
    """Mapped over the waves that ``enter`` hands out.

    Succeeds only when every target of the wave has read back the change after this apply. Records
    what each target ran before its first mutation, once. Safe to repeat at any point.

    :param channel: channel of the wave
    :param wave: ``{"wave": number, "targets": [names]}``
    """

    template_fields = ("wave",)

    def __init__(self, *, channel: str, wave: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channel = channel
        self.wave = wave

    def execute(self, context: Any) -> str:
        """Give the moment at which the last target was verified, ISO 8601 in UTC."""
        self._show(self.wave["targets"])
        rollout = self.rollout(context)
        entered = rollout.records.ledger().last(Kind.ENTERED, channel=self.channel)
        history = rollout.records.of_targets(self.channel)
        tokens = {
            name: rollout.token(
                "apply",
                name,
                entered.isoformat(),
                str(len(history.of_target(name, Kind.REFUSED))),
            )
            for name in self.wave["targets"]
            if history.last(Kind.EXCEPTED, target=name) <= entered
        }
        return self._go_on(rollout, tokens=tokens, failed={})

    def resume(
        self, context: Any, event: Any, tokens: dict[str, str], failed: dict[str, str]
    ) -> str:
        """Go on with the targets that were waited for."""
        self._show(self.wave["targets"])
        return self._go_on(self.rollout(context), tokens=tokens, failed=failed)

    def _go_on(self, rollout: Rollout, *, tokens: dict[str, str], failed: dict[str, str]) -> str:
        with no_retry():
            self._allow(rollout)
        channel = rollout.plan.definition.channel(self.channel)
        seen = expected(rollout.records, channel)
        step = take_in_turn(
            self._in_order(rollout, tokens),
            lambda target: self._step(
                rollout, target, tokens[target.name], seen=seen.get(target.name)
            ),
            at_once=channel.starts_at_once,
        )
        for name, progress in step.ended.items():
            self.log.info("%s: %s", name, progress.reason)
        blocked = [e for e in step.failed.values() if isinstance(e, BlockedError)]
        failed |= {n: str(e) for n, e in step.failed.items() if e not in blocked}
        if step.queued and not (step.waiting or step.unreachable or failed or blocked):
            give_way(self, rollout, channel=self.channel, step=step)
        if step.waiting or (step.unreachable and not failed and not blocked):
            tokens = {name: tokens[name] for name in (*step.pending, *_names(step, blocked))}
            wait(
                self,
                rollout,
                channel=self.channel,
                step=step,
                tokens=tokens,
                resume_with={"tokens": tokens, "failed": failed},
                until_armed=True,
            )
        if failed:
            reasons = [f"{name}: {why}" for name, why in failed.items()]
            again = how_to_retry(rollout.plan, task=f"{self.channel}.apply")
            raise AirflowFailException("\n".join([*reasons, again]))
        if blocked:
            raise AirflowException(str(blocked[0]))
        if step.held:
            resume_with: dict[str, Any] = {
                "tokens": {name: tokens[name] for name in step.held},
                "failed": {},
            }
            hold_while_barred(
                self,
                rollout,
                channel=self.channel,
                method_name="resume",
                resume_with=resume_with,
            )
            return self._go_on(rollout, **resume_with)  # it has opened meanwhile
        return self._finish(rollout)

    def _in_order(self, rollout: Rollout, names: Iterable[str]) -> list[Target]:
        """Give the targets, those that were started first."""
        started = set(rollout.records.captured(self.channel))
        targets = rollout.targets(self.channel, names)
        return sorted(targets, key=lambda target: target.name not in started)

    def _step(self, rollout: Rollout, target: Target, token: str, *, seen: str | None) -> Progress:
        if is_excepted(rollout, self.channel, target.name):
            return give_back(rollout, self.channel, target)
        substrate, records = rollout.substrate, rollout.records
        artifact = rollout.artifact(self.channel, target)
        if records.before(channel=self.channel, target=target.name) is None:
            state = substrate.read(target)
            if not state.settled:
                return Progress(Outcome.WAITING, f"somebody's operation: {state.detail}")
            refuse_start(rollout, self.channel, target)
            records.capture(state, channel=self.channel, target=target.name, at=now())
        guard = rollout.mutation(target, allow=lambda: self._allow(rollout), clock=now)
        try:
            progress = substrate.apply(target, artifact, token=token, mutation=guard, expected=seen)
            if progress.outcome is Outcome.WAITING:
                return progress
            unchanged = progress.outcome is Outcome.UNCHANGED
            state = substrate.read(target) if unchanged else substrate.verify(target, artifact)
        except RefusedError as refused:
            return tolerate(rollout, self.channel, target, refused)
        records.add(
            Kind.VERIFIED,
            at=now(),
            channel=self.channel,
            target=target.name,
            digest=state.digest,
            reason=progress.reason,
        )
        return progress

    def _show(self, names: list[str]) -> None:
        """Let the grid show the targets' names in place of the map index."""
        context: dict[str, Any] = get_current_context()  # type: ignore[assignment]  # has no such key
        context["target"] = ", ".join(names)

    def _allow(self, rollout: Rollout) -> None:
        records = rollout.records
        may_mutate(rollout.plan, records.ledger(), channel=self.channel, newer=records.newer())

    def _finish(self, rollout: Rollout) -> str:
        excepted = failed_targets(rollout, self.channel)
        self._show([f"{n} (failed)" if n in excepted else n for n in self.wave["targets"]])
        moment = now()
        rollout.records.add(Kind.APPLIED, at=moment, channel=self.channel, wave=self.wave["wave"])
        return moment.isoformat()


def _names(step: Step, errors: list[BlockedError]) -> list[str]:
    return [name for name, error in step.failed.items() if error in errors]
