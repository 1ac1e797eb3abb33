"""The way back: to the earlier manifests, or to nothing."""

from __future__ import annotations

from datetime import timedelta

from phased_rollout.model.target_state import Artifact, Outcome, Progress, TargetState
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.kubernetes import plan as plans
from phased_rollout.substrates.kubernetes.record import Attempt, Keeper, Phase, Record
from phased_rollout.substrates.kubernetes.state import state_of
from phased_rollout.substrates.kubernetes.steps import Work, advance


def restore(
    keeper: Keeper,
    *,
    before: TargetState,
    applied: Artifact,
    token: str,
    mutation: Mutation,
    deadline: timedelta,
) -> Progress:
    """Take the next step back, unless somebody else changed the target since."""
    record = keeper.read()
    if record is None:
        if before.running is None:
            return Progress(Outcome.DONE, f"{keeper}: runs nothing, as before")
        return Progress(Outcome.LEFT_ALONE, f"{keeper}: somebody took the record away since")
    rollout = token.partition("-")[0]
    if record.attempt is None:
        state = state_of(keeper, record)
        if state.digest == before.digest:
            return Progress(Outcome.DONE, f"{keeper} runs what it ran before")
        if state.digest != applied.digest:
            why = f"was changed by somebody else since: {state.detail}"
            return Progress(Outcome.LEFT_ALONE, f"{keeper} {why}")
    elif record.attempt.rollout != rollout:
        why = "is being changed by somebody else: an attempt of another rollout has not ended"
        return Progress(Outcome.LEFT_ALONE, f"{keeper} {why}")
    wanted = before.running
    work = Work(keeper, wanted, mutation, deadline, restoring=True, lenient=not before.healthy)
    attempt = record.attempt
    if attempt is None or attempt.token != token:
        record = _begun(work, record, token=token)
        with mutation():
            keeper.write(record)
    return advance(work, record)


def _begun(work: Work, record: Record, *, token: str) -> Record:
    plan = plans.made(work.keeper, record, work.manifests)
    entries = plans.begun(work.keeper, plan, record)
    digest = work.wanted.digest if work.wanted else ""
    return record.with_attempt(Attempt(token, digest, Phase.BEGUN, entries))
