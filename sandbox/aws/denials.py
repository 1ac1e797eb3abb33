"""What an organisation's policies forbid: resources that CloudFormation may not touch."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

DENIED_BY_SCP = (
    "User: arn:aws:sts::{account}:assumed-role/rollout/session is not authorized to perform: "
    "{action} because of an explicit deny in a service control policy"
)


@dataclass(frozen=True, slots=True)
class Denial:
    """Refuses ``actions`` (create, update, delete, rollback) on a resource type of an account.

    ``account`` may be ``*``; ``logical_id`` is a substring, and ``role`` one of the service role's
    ARN: what that role alone may not do. A change set does not show a denial.
    """

    account: str
    resource_type: str
    reason: str
    logical_id: str = ""
    actions: tuple[str, ...] = ("create", "update")
    role: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def covers(
        self, *, account: str, resource_type: str, logical_id: str, action: str, role: str
    ) -> bool:
        return (
            self.account in ("*", account)
            and self.role in role
            and self.resource_type == resource_type
            and self.logical_id in logical_id
            and action in self.actions
        )


class Denials:
    """The denials in force. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._denials: dict[str, Denial] = {}

    def add(self, denial: Denial) -> Denial:
        """Register; the same denial twice is one."""
        with self._lock:
            for known in self._denials.values():
                if _content(known) == _content(denial):
                    return known
            self._denials[denial.id] = denial
        return denial

    def remove(self, denial_id: str | None = None) -> None:
        """Lift one denial, or all."""
        with self._lock:
            if denial_id is None:
                self._denials.clear()
            else:
                self._denials.pop(denial_id, None)

    def all(self) -> list[Denial]:
        with self._lock:
            return list(self._denials.values())

    def reason(
        self, *, account: str, resource_type: str, logical_id: str, action: str, role: str = ""
    ) -> str | None:
        """Why an action is refused, or None when it is not."""
        for denial in self.all():
            if denial.covers(account=account, resource_type=resource_type, logical_id=logical_id,
                             action=action, role=role):  # fmt: skip
                return denial.reason
        return None


def _content(denial: Denial) -> tuple[Any, ...]:
    return (denial.account, denial.resource_type, denial.reason, denial.logical_id, denial.actions,
            denial.role)  # fmt: skip
