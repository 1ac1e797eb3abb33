"""How a tenant is brought to what it shall run, or back, step by step."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Outcome, Progress
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.http.api import ChangedError
from phased_rollout.substrates.http.attempts import Accepted, Attempts
from phased_rollout.substrates.http.spec import Spec, Standing
from phased_rollout.substrates.http.tenant import (
    Seen,
    Tenant,
    Values,
    digest_of_values,
    is_same,
    shortly,
)

OPERATION = timedelta(minutes=10)
"""In which what an API accepted, or is at, has to be done."""
LAG = timedelta(seconds=10)
"""In which what an API says it has done reads back."""

_ACCEPTED = 202
_LOOKS = (0.0, 0.1, 0.3, 0.8)  # seconds between looks, before an operation is waited for elsewhere
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Work:
    """What a tenant shall run.

    :param wanted: None when it shall not be there
    :param lenient: a bad status is no failure: it was there before
    """

    spec: Spec
    tenant: Tenant
    wanted: Values | None
    attempts: Attempts
    token: str
    mutation: Mutation
    lenient: bool = False

    @property
    def digest(self) -> str:
        """Name what is wanted; empty for nothing."""
        return "" if self.wanted is None else digest_of_values(self.wanted)

    @property
    def takes_away(self) -> bool:
        """Whether it takes the request that removes, as no body can say it."""
        templated = self.spec.apply.is_templated and self.spec.remove is not None
        return self.wanted is None or (not self.wanted and templated)


def now() -> datetime:
    """Read the clock: a record tells when something was accepted, to whichever process asks."""
    return datetime.now(UTC)


def is_there(seen: Seen, digest: str) -> bool:
    """Whether the tenant reads as it shall; without any value it runs nothing, there or not."""
    return (seen.digest == digest) if seen.values else digest in ("", digest_of_values({}))


def deliver(work: Work, seen: Seen) -> Accepted:
    """Send the request, and note that it was accepted; raises ChangedError, or RefusedError."""
    for _ in range(_TRIES):
        try:
            with work.mutation():
                if work.takes_away:
                    answer = work.tenant.remove(seen, token=work.token)
                else:
                    answer = work.tenant.send(seen, work.wanted or {}, token=work.token)
        except ChangedError:
            fresh = work.tenant.look()
            if (fresh.values, fresh.standing) != (seen.values, seen.standing):
                raise
            seen = fresh  # something else of it was changed, which is no matter of ours
            continue
        accepted = Accepted(now().isoformat(), work.digest, answer.status == _ACCEPTED, seen.said)
        work.attempts.accept(accepted)
        return accepted
    raise UnreachableError(f"{work.tenant} is being changed all the time: asked again later")


def conclude(work: Work, accepted: Accepted) -> Progress:
    """Look for a moment whether what was accepted is done; raises RefusedError if it failed."""
    for pause in _LOOKS:
        time.sleep(pause)
        seen = work.tenant.look()
        there = is_there(seen, work.digest)
        if there and (seen.standing is Standing.GOOD or (work.lenient and _is_over(seen))):
            return Progress(Outcome.DONE, f"{work.tenant}: {seen.words}")
        if has_failed(seen, accepted):
            raise RefusedError(f"{work.tenant} does not run it: {seen.words}")
    if is_overdue(work.spec, seen, accepted):
        raise RefusedError(f"{work.tenant} does not run what it accepted: {why_not(work, seen)}")
    return Progress(Outcome.WAITING, f"{work.tenant} is not there yet: {seen.words}")


def _is_over(seen: Seen) -> bool:
    return seen.standing is not Standing.PENDING


def has_failed(seen: Seen, accepted: Accepted) -> bool:
    """Whether the operation has failed; a status from before says nothing of it."""
    return seen.standing is Standing.FAILED and seen.said != accepted.status


def is_overdue(spec: Spec, seen: Seen, accepted: Accepted) -> bool:
    """Whether the tenant should be there by now."""
    slow = accepted.asynchronous or seen.standing is Standing.PENDING
    deadline = spec.deadline or (OPERATION if slow else LAG)
    return now() > accepted.moment + deadline


def is_stuck(spec: Spec, attempts: Attempts) -> bool:
    """Whether an operation that a restore has met is no longer waited for."""
    return attempts.met is not None and now() > attempts.met + (spec.deadline or OPERATION)


def why_not(work: Work, seen: Seen) -> str:
    """Say which values are not those that were wanted."""
    return differing(seen.values or {}, work.wanted or {}) or seen.words


def differing(found: Values, wanted: Values) -> str:
    """Tell the values that are not as they shall be."""
    told = []
    for name in sorted({*found, *wanted}):
        if is_same(found, wanted, name):
            continue
        old, new = (shortly(v[name]) if name in v else "nothing" for v in (found, wanted))
        hint = ""
        if old.strip('"') == new.strip('"'):
            hint = " (one is text, the other is not: write the value as the API gives it)"
        told.append(f"{name} is {old}, not {new}{hint}")
    return "; ".join(told)
