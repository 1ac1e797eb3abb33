"""What callers may not do: the sandbox's stand-in for IAM policies, which it does not evaluate."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sandbox.aws.errors import access_denied
from sandbox.aws.identity import Caller
from sandbox.aws.wire import Request

_PREFIXES = {"tagging": "tag"}


@dataclass(frozen=True, slots=True)
class Ban:
    """Forbids ``action`` (``iam:PassRole``, ``cloudformation:Describe*``) to an account's callers.

    ``account`` may be ``*``; ``caller`` is a part of the caller's ARN.
    """

    account: str
    action: str
    caller: str = ""

    def covers(self, caller: Caller, action: str) -> bool:
        return (
            self.account in ("*", caller.account)
            and self.caller in caller.arn
            and fnmatchcase(action.lower(), self.action.lower())
        )


class Permissions:
    """The bans in force. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bans: list[Ban] = []

    def ban(self, ban: Ban) -> None:
        with self._lock:
            self._bans.append(ban)

    def clear(self) -> None:
        with self._lock:
            self._bans.clear()

    def check(self, caller: Caller, request: Request) -> None:
        """Raise IAM's refusal for a call that is banned, or that passes a role it may not."""
        prefix = _PREFIXES.get(request.service, request.service)
        stack = f"arn:aws:{prefix}:{request.region}:{caller.account}:*"
        self._refuse(caller, f"{prefix}:{request.operation}", resource=stack)
        if request.service == "cloudformation" and (role := request.params.get("RoleARN")):
            self._refuse(caller, "iam:PassRole", resource=str(role))

    def _refuse(self, caller: Caller, action: str, *, resource: str) -> None:
        with self._lock:
            banned = any(ban.covers(caller, action) for ban in self._bans)
        if banned:
            raise access_denied(caller=caller.arn, action=action, resource=resource)
