"""Injectable faults: which calls go wrong, how, and how often."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field, replace

from sandbox.aws.errors import AwsError
from sandbox.aws.wire import Request

KINDS = (
    "throttle",
    "error",
    "error_500",
    "error_503",
    "timeout",
    "reset",
    "denied",
    "lost_reply",
    "lost_503",
    "not_xml",
    "reset_after",
    "slow",
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Hits ``count`` calls (None: all of them) that match, after letting ``skip`` through.

    ``account``, ``region``, ``service`` and ``operation`` may be ``*``. ``seconds`` is how long a
    timeout holds the connection, or how long a slow call is delayed. ``lost_reply`` performs the
    call and then drops the connection, ``reset_after`` performs it and resets the connection,
    ``lost_503`` performs it and answers 503. ``error`` answers with ``code``, ``message`` and
    ``status``; ``not_xml`` answers 500 as a load balancer does.
    """

    kind: str
    account: str = "*"
    region: str = "*"
    service: str = "*"
    operation: str = "*"
    count: int | None = 1
    skip: int = 0
    seconds: float = 5.0
    code: str = "InternalFailure"
    message: str = "An injected error."
    status: int = 400
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown fault {self.kind!r}; use one of {', '.join(KINDS)}")

    def matches(self, *, account: str, region: str, service: str, operation: str) -> bool:
        return (
            self.account in ("*", account)
            and self.region in ("*", region)
            and self.service in ("*", service)
            and self.operation in ("*", operation)
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

    def all(self) -> list[Fault]:
        with self._lock:
            return list(self._faults.values())

    def take(self, **call: str) -> Fault | None:
        """The fault that hits this call, if any; it counts."""
        with self._lock:
            for fault in list(self._faults.values()):
                if not fault.matches(**call):
                    continue
                if fault.skip > 0:
                    self._faults[fault.id] = replace(fault, skip=fault.skip - 1)
                    continue
                self._used(fault)
                return fault
        return None

    def _used(self, fault: Fault) -> None:
        if fault.count is None:
            return
        if fault.count > 1:
            self._faults[fault.id] = replace(fault, count=fault.count - 1)
        else:
            del self._faults[fault.id]


def injected_error(kind: str, request: Request) -> AwsError | None:
    """The error that a fault answers with, as this service words it; None for other faults."""
    if kind == "throttle":
        if request.service == "s3":
            return AwsError("SlowDown", "Please reduce your request rate.", status=503)
        code = "Throttling" if request.protocol == "query" else "ThrottlingException"
        return AwsError(code, "Rate exceeded")
    if kind in ("error_503", "lost_503"):
        message = "Service is unable to handle request."
        return AwsError("ServiceUnavailable", message, status=503)
    if kind == "error_500":
        message = "We encountered an internal error. Please try again."
        code = "InternalFailure" if request.protocol == "query" else "InternalServerError"
        return AwsError(code, message, status=500)
    if kind == "denied":
        code = "AccessDenied" if request.protocol == "query" else "AccessDeniedException"
        action = f"{request.service}:{request.operation}"
        message = (
            f"The caller is not authorized to perform: {action} because no identity-based policy "
            f"allows the {action} action"
        )
        return AwsError(code, message, status=403 if request.protocol == "query" else 400)
    return None
