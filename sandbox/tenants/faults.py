"""Injectable faults, and the log of every request."""

from __future__ import annotations

import threading
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import Any

KINDS = ("error", "lost_reply", "reset", "slow", "meddle")


@dataclass(frozen=True, slots=True)
class Request:
    """What a request is about, without what it says and without what proves who asks."""

    method: str
    path: str
    tenant: str = ""
    if_match: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Hits ``count`` requests (None: all of them) that match, after letting ``skip`` through.

    ``error`` answers ``status`` with ``headers`` and ``body`` and does nothing, ``reset`` drops the
    connection and does nothing, ``lost_reply`` does it and drops the connection, ``slow`` does it
    after some seconds, ``meddle`` lets somebody else set ``sets`` right before.

    :param method: of HTTP; ``mutation``: any but GET; ``*``: any
    :param tenant: whom the request is about; ``*``: anybody
    """

    kind: str
    method: str = "*"
    tenant: str = "*"
    count: int | None = 1
    skip: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    seconds: float = 1.0
    sets: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; use one of {', '.join(KINDS)}")

    def matches(self, request: Request) -> bool:
        mutates = request.method != "GET" and not request.path.endswith("/preview")
        return self.tenant in ("*", request.tenant) and (
            self.method in ("*", request.method) or (self.method == "mutation" and mutates)
        )


class Faults:
    """The faults in force. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults[fault.id] = fault
        return fault

    def remove(self, fault_id: str | None = None) -> None:
        """Lift one fault, or all."""
        with self._lock:
            if fault_id is None:
                self._faults.clear()
            else:
                self._faults.pop(fault_id, None)

    def take(self, request: Request) -> Fault | None:
        """The fault that hits this request, if any; it counts."""
        with self._lock:
            for fault in list(self._faults.values()):
                if not fault.matches(request):
                    continue
                if fault.skip > 0:
                    self._faults[fault.id] = replace(fault, skip=fault.skip - 1)
                    continue
                if fault.count is not None and fault.count > 1:
                    self._faults[fault.id] = replace(fault, count=fault.count - 1)
                elif fault.count is not None:
                    del self._faults[fault.id]
                return fault
        return None


class Journal:
    """Every request, in the order in which it was answered, without bodies. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[dict[str, Any]] = []

    def add(self, request: Request, *, status: int | None, fault: str | None) -> None:
        with self._lock:
            self._calls.append(asdict(request) | {"status": status, "fault": fault})

    def calls(self, **equal: str) -> list[dict[str, Any]]:
        """Calls whose fields have these values."""
        with self._lock:
            found = list(self._calls)
        return [c for c in found if all(str(c.get(k)) == v for k, v in equal.items())]

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()
