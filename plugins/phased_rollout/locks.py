"""Locks with owner and expiry, made of create-only records: one holder of a target at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from phased_rollout.errors import LockedError, RecordExistsError
from phased_rollout.records import RolloutRecords, safe_name

LEASE = timedelta(minutes=5)
"""Longer than one mutating call with its retries; so long blocks a holder that was killed."""


@contextmanager
def held(
    records: RolloutRecords, *, target: str, owner: str, clock: Callable[[], datetime]
) -> Iterator[None]:
    """Hold the lock of a target for the moment of a mutation; raises LockedError.

    The lock is shared by all rollouts of a definition. Generation n+1 can be created only once, and
    only when generation n was released or has expired, so two holders are never let in together.
    """
    folder = records.shared / "locks" / safe_name(target)
    names = records.store.names(folder)
    generations = [int(n.split(".")[0]) for n in names]
    last = max(generations, default=0)
    if last and f"{last}.released.json" not in names:
        value = records.store.read(folder / f"{last}.json")
        if datetime.fromisoformat(value["until"]) > clock():
            raise LockedError(f"{target} is being changed by {value['owner']}")
    now = clock()
    lock = {"owner": owner, "at": now.isoformat(), "until": (now + LEASE).isoformat()}
    try:
        records.store.create(folder / f"{last + 1}.json", lock)
    except RecordExistsError as error:
        raise LockedError(f"{target} is being changed by somebody who was faster") from error
    try:
        yield
    finally:
        records.store.create(folder / f"{last + 1}.released.json", {"at": clock().isoformat()})
