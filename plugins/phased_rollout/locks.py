"""Locks with owner and expiry, made of create-only records: one holder of a target at a time."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Self

import psutil

from phased_rollout.errors import LockedError, RecordExistsError
from phased_rollout.record_names import safe_name
from phased_rollout.records import RolloutRecords

LEASE = timedelta(minutes=2)
"""Longer than one mutating call with its retries. A holder that died on another host, where that
cannot be seen, blocks its target for so long."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that holds a lock; ``born`` is when it started, in seconds since the epoch."""

    run_id: str
    host: str
    pid: int
    born: float

    @classmethod
    def this_process(cls, run_id: str) -> Self:
        """Describe the calling process."""
        pid = os.getpid()
        return cls(run_id, socket.gethostname(), pid, psutil.Process(pid).create_time())

    def is_dead(self) -> bool:
        """Whether the process is known to have ended; unknown for another host."""
        if self.host != socket.gethostname():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.born) > 1
        except psutil.NoSuchProcess:
            return True

    def __str__(self) -> str:
        return f"{self.run_id} (process {self.pid} on {self.host})"


@contextmanager
def held(
    records: RolloutRecords, *, target: str, owner: Owner, clock: Callable[[], datetime]
) -> Iterator[None]:
    """Hold the lock of a target for the moment of a mutation; raises LockedError.

    The lock is shared by all rollouts of a definition. Generation n+1 can be created only once, and
    only when generation n was released, has expired or its holder is dead, so two living holders
    are never let in together.
    """
    folder = records.shared / "locks" / safe_name(target)
    names = records.store.names(folder)
    last = max((int(name.split(".")[0]) for name in names), default=0)
    if last and f"{last}.released.json" not in names:
        _refuse_if_held(records.store.read(folder / f"{last}.json"), target=target, now=clock())
    now = clock()
    lock = {"owner": asdict(owner), "at": now.isoformat(), "until": (now + LEASE).isoformat()}
    try:
        records.store.create(folder / f"{last + 1}.json", lock)
    except RecordExistsError as error:
        raise LockedError(f"{target} is being changed by somebody who was faster") from error
    try:
        yield
    finally:
        records.store.create(folder / f"{last + 1}.released.json", {"at": clock().isoformat()})


def _refuse_if_held(lock: Mapping[str, Any], *, target: str, now: datetime) -> None:
    owner = Owner(**lock["owner"])
    if datetime.fromisoformat(lock["until"]) > now and not owner.is_dead():
        raise LockedError(f"{target} is being changed by {owner}")
