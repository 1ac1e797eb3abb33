"""Stand-ins for applications that need their configuration and raise an alarm without it."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.aws.backends import alarm_state, read_ssm, set_alarm_state

INTERVAL = 0.5
_POINTER = "ssm:"
_MAX_HOPS = 5


@dataclass(frozen=True, slots=True)
class Workload:
    """An application that reads an SSM parameter; ``alarm`` tells how it fares.

    A value ``ssm:NAME`` sends the application on to the parameter of that name.
    """

    account: str
    region: str
    reads: str
    alarm: str

    def evaluate(self) -> None:
        """Bring the alarm in line with what the application finds; no alarm, no effect."""
        where = {"account": self.account, "region": self.region}
        current = alarm_state(self.alarm, **where)
        if current is None:
            return
        missing = self._missing()
        state = "OK" if missing is None else "ALARM"
        if state == current:
            return
        reason = f"the application cannot read its configuration {missing}"
        if missing is None:
            reason = f"the application reads its configuration {self.reads}"
        set_alarm_state(self.alarm, state, reason=reason, **where)

    def _missing(self) -> str | None:
        """The parameter that the application looks for in vain, if any."""
        name = self.reads
        for _ in range(_MAX_HOPS):
            value = read_ssm(name, account=self.account, region=self.region)
            if value is None:
                return name
            if not value.startswith(_POINTER):
                return None
            name = value.removeprefix(_POINTER)
        return name


class Workloads:
    """Evaluates all workloads at an interval, and those of an account when it is told to."""

    def __init__(self) -> None:
        self._wake = threading.Condition()
        self._workloads: dict[tuple[str, str, str], Workload] = {}
        self._changed: set[str] = set()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="workloads", daemon=True)
        self._thread.start()

    def add(self, workload: Workload) -> None:
        """Register; another one for the same alarm replaces the first."""
        with self._wake:
            key = (workload.account, workload.region, workload.alarm)
            self._workloads[key] = workload
        self.touch(workload.account)

    def clear(self) -> None:
        with self._wake:
            self._workloads.clear()

    def all(self) -> list[Workload]:
        with self._wake:
            return list(self._workloads.values())

    def touch(self, account: str) -> None:
        """Evaluate the account's workloads soon."""
        with self._wake:
            self._changed.add(account)
            self._wake.notify()

    def stop(self) -> None:
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (due := self._next()) is not None:
            for workload in due:
                workload.evaluate()

    def _next(self) -> Iterable[Workload] | None:
        with self._wake:
            if not self._changed and not self._stopped:
                self._wake.wait(INTERVAL)
            if self._stopped:
                return None
            changed, self._changed = self._changed, set()
            every = list(self._workloads.values())
        return [w for w in every if w.account in changed] if changed else every
