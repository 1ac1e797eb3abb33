"""Commands and what became of them on each host."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
ERROR_MARK = "\n----------ERROR-------\n"
LONGEST_OUTPUT, LONGEST_CONTENT = 2500, 24000
_OPEN = ("Pending", "InProgress")
_STATUS = {"ExecutionTimedOut": "TimedOut", "DeliveryTimedOut": "TimedOut", "Terminated": "Failed",
           "Undeliverable": "Failed", "AccessDenied": "Failed"}  # fmt: skip
_UNCOUNTED = ("DeliveryTimedOut", "Undeliverable", "Terminated")  # against MaxErrors


@dataclass(slots=True)
class Invocation:
    """A command on one host; ``details`` is AWS's StatusDetails."""

    host: str
    details: str = "Pending"
    out: str = ""
    err: str = ""
    code: int = -1

    @property
    def status(self) -> str:
        return _STATUS.get(self.details, self.details)

    @property
    def is_open(self) -> bool:
        return self.details in _OPEN

    @property
    def is_error(self) -> bool:
        return self.details not in (*_OPEN, *_UNCOUNTED, "Success")


@dataclass(slots=True)
class Command:
    """One SendCommand. ``lag``: seconds until lists show it."""

    account: str
    region: str
    document: str
    version: str
    parameters: dict[str, list[str]]
    invocations: list[Invocation]
    comment: str = ""
    concurrency: str = "50"
    errors: str = "0"
    lag: float = 0.0
    at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def listed_at(self) -> dt.datetime:
        return self.at + dt.timedelta(seconds=self.lag)

    @property
    def max_errors(self) -> int:
        return share(self.errors, len(self.invocations))

    @property
    def status(self) -> str:
        """Pending, InProgress, or how all of it ended."""
        invocations = self.invocations
        if any(each.is_open for each in invocations):
            untouched = all(each.details == "Pending" for each in invocations)
            return "Pending" if untouched else "InProgress"
        if sum(each.is_error for each in invocations) > self.max_errors:
            return "Failed"
        late = sum(each.details == "DeliveryTimedOut" for each in invocations)
        return "TimedOut" if late > self.max_errors else "Success"

    def take(self, run: Callable[[Invocation], None]) -> bool:
        """Run on as many hosts as may run at once; whether there are others left."""
        waiting = [each for each in self.invocations if each.is_open]
        for each in waiting[: max(1, share(self.concurrency, len(self.invocations)))]:
            run(each)
        if sum(each.is_error for each in self.invocations) > self.max_errors:
            for each in self.invocations:
                if each.is_open:
                    each.details = "Terminated"
        return any(each.is_open for each in self.invocations)

    def described(self) -> Json:
        return {
            "CommandId": self.id,
            "DocumentName": self.document,
            "DocumentVersion": self.version,
            "Comment": self.comment,
            "Parameters": self.parameters,
            "InstanceIds": [each.host for each in self.invocations],
            "Targets": [],
            "RequestedDateTime": self.at.timestamp(),
            "Status": self.status,
            "StatusDetails": self.status,
            "MaxConcurrency": self.concurrency,
            "MaxErrors": self.errors,
            "TargetCount": len(self.invocations),
            "CompletedCount": sum(not each.is_open for each in self.invocations),
            "ErrorCount": sum(each.is_error for each in self.invocations),
        }

    def invocation(self, each: Invocation, *, details: bool) -> Json:
        """One of its hosts as ListCommandInvocations tells it."""
        told = self._told(each)
        if details and not each.is_open:
            output = each.out + (ERROR_MARK + each.err if each.err else "")
            told["CommandPlugins"] = [
                {
                    "Name": "aws:runShellScript",
                    "Status": each.status,
                    "StatusDetails": each.details,
                    "ResponseCode": each.code,
                    "Output": output[:LONGEST_OUTPUT],
                }
            ]
        return told

    def content(self, each: Invocation) -> Json:
        """One of its hosts as GetCommandInvocation tells it."""
        return {
            **self._told(each),
            "ResponseCode": each.code,
            "StandardOutputContent": each.out[:LONGEST_CONTENT],
            "StandardErrorContent": each.err[:LONGEST_CONTENT],
        }

    def _told(self, each: Invocation) -> Json:
        return {
            "CommandId": self.id,
            "InstanceId": each.host,
            "Comment": self.comment,
            "DocumentName": self.document,
            "DocumentVersion": self.version,
            "RequestedDateTime": self.at.timestamp(),
            "Status": each.status,
            "StatusDetails": each.details,
        }


def share(text: str, count: int) -> int:
    """``10`` or ``10%`` of so many."""
    return int(text[:-1]) * count // 100 if text.endswith("%") else int(text)
