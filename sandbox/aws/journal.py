"""The log of every AWS API call, in memory and as JSON lines. It never holds a secret."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# Parameters that identify what a call is about; values of anything else are not kept.
_KEPT = frozenset({
    "AlarmName", "AlarmNamePrefix", "AlarmNames", "Capabilities", "ChangeSetName", "ChangeSetType",
    "ClientRequestToken", "ClientToken", "CommandId", "Comment", "DisableRollback",
    "DocumentName", "DocumentVersion", "EnableTerminationProtection", "IncludePropertyValues",
    "InstanceIds", "LogicalResourceId", "MaxRecords", "MetricName", "Name", "Namespace",
    "NextToken", "OnStackFailure", "ResourceARN", "RoleARN", "RoleArn", "RoleSessionName",
    "StackName", "StackStatusFilter", "TemplateStage", "UsePreviousTemplate",
})  # fmt: skip
_KEYS_ONLY = {"Parameters": "ParameterKey", "Tags": "Key"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who did what where, and what came of it."""

    time: str
    account: str
    region: str
    service: str
    operation: str
    params: dict[str, Any]
    status: int | None  # None when no answer was sent
    error: str | None = None
    fault: str | None = None
    caller: str | None = None
    seconds: float = 0.0
    id: int = field(default=0)


def kept_params(params: dict[str, Any]) -> dict[str, Any]:
    """The identifying parameters of a request; of parameters and tags just their names."""
    kept = {key: value for key, value in params.items() if key in _KEPT}
    for name, key in _KEYS_ONLY.items():
        if isinstance(params.get(name), list):
            kept[name] = [i.get(key) for i in params[name] if isinstance(i, dict)]
    return kept


class Journal:
    """Collects calls in the order in which they ended. Thread-safe."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._calls: list[dict[str, Any]] = []
        self._next = 1
        self._file = path.open("a", encoding="utf-8") if path is not None else None

    def add(self, call: Call) -> None:
        entry = asdict(call)
        with self._lock:
            entry["id"] = self._next
            self._next += 1
            self._calls.append(entry)
            if self._file is not None:
                self._file.write(json.dumps(entry) + "\n")
                self._file.flush()

    def calls(self, *, after: int = 0, **equal: str) -> list[dict[str, Any]]:
        """Calls with an id above ``after`` whose fields have the given values."""
        with self._lock:
            found = [call for call in self._calls if call["id"] > after]
        return [c for c in found if all(str(c.get(k)) == v for k, v in equal.items())]

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
