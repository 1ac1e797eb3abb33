"""Who is calling: the management identity, or a session that STS handed out."""

from __future__ import annotations

import datetime as dt
import re
import secrets
import string
import threading
from dataclasses import dataclass
from typing import Any

from sandbox.aws.errors import AwsError, access_denied, validation_error
from sandbox.aws.wire import Request

MANAGEMENT_ACCOUNT = "999999999999"
MANAGEMENT_ACCESS_KEY = "sandbox"
MANAGEMENT_ARN = f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:user/operator"
STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/(?:[\w+=,.@/-]+/)?([\w+=,.@-]+)")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
_KEY_ALPHABET = string.ascii_uppercase + "234567"
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated identity; ``expires`` is None for long-lived keys."""

    account: str
    arn: str
    user_id: str
    expires: dt.datetime | None = None

    @property
    def is_management(self) -> bool:
        return self.account == MANAGEMENT_ACCOUNT


@dataclass(frozen=True, slots=True)
class RoleTrust:
    """What a role demands of those who assume it; ``absent`` stands for a role not there."""

    role_arn: str
    external_id: str | None = None
    absent: bool = False


@dataclass(frozen=True, slots=True)
class _Session:
    caller: Caller
    token: str


class Identities:
    """Issues and recognises credentials. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._trusts: dict[str, RoleTrust] = {}
        self.session_seconds: int | None = None  # shortens every session, to test expiry

    def trust(self, trust: RoleTrust) -> None:
        with self._lock:
            self._trusts[trust.role_arn] = trust

    def reset(self) -> None:
        """Forget the roles' demands; sessions stay, as resetting moto does not log anyone out."""
        with self._lock:
            self._trusts.clear()
            self.session_seconds = None

    def authenticate(self, request: Request) -> Caller:
        """Raise what AWS raises for missing, unknown and expired credentials."""
        if not request.access_key:
            message = "Request is missing Authentication Token"
            raise AwsError("MissingAuthenticationToken", message, status=403)
        if request.access_key == MANAGEMENT_ACCESS_KEY:
            return Caller(MANAGEMENT_ACCOUNT, MANAGEMENT_ARN, "AIDASANDBOXOPERATOR00")
        session = self._sessions.get(request.access_key)
        if session is None or session.token != request.token:
            message = "The security token included in the request is invalid."
            code = (
                "InvalidClientTokenId" if _speaks_query(request) else "UnrecognizedClientException"
            )
            raise AwsError(code, message, status=403)
        expires = session.caller.expires
        if expires is not None and expires <= dt.datetime.now(dt.UTC):
            message = "The security token included in the request is expired"
            code = "ExpiredToken" if _speaks_query(request) else "ExpiredTokenException"
            raise AwsError(code, message, status=403)
        return session.caller

    def assume_role(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        """The result of ``sts:AssumeRole``; every role exists unless told otherwise."""
        arn, name = str(params.get("RoleArn", "")), str(params.get("RoleSessionName", ""))
        match = _ROLE_ARN.fullmatch(arn)
        if match is None:
            raise validation_error(f"{arn} is invalid")
        if not _SESSION_NAME.fullmatch(name):
            raise validation_error(_constraint(name))
        self._check_trust(caller, arn=arn, external_id=params.get("ExternalId"))
        seconds = self._duration(caller, params)
        account, role = match.groups()
        return self._open(account=account, role=role, name=name, seconds=seconds)

    def _check_trust(self, caller: Caller, *, arn: str, external_id: str | None) -> None:
        trust = self._trusts.get(arn)
        if trust is None:
            return
        if trust.absent or (trust.external_id and trust.external_id != external_id):
            raise access_denied(caller=caller.arn, action="sts:AssumeRole", resource=arn)

    def _duration(self, caller: Caller, params: dict[str, Any]) -> int:
        seconds = int(params.get("DurationSeconds", _HOUR))
        if not 900 <= seconds <= 12 * _HOUR:  # noqa: PLR2004 STS's documented range
            raise validation_error(
                f"1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to "
                "satisfy constraint: Member must have value between 900 and 43200"
            )
        if caller.expires is not None and seconds > _HOUR:
            raise validation_error(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles "
                "assumed by role chaining"
            )
        return self.session_seconds or seconds

    def _open(self, *, account: str, role: str, name: str, seconds: int) -> dict[str, Any]:
        key = "ASIA" + _random(16)
        token, secret = secrets.token_urlsafe(64), secrets.token_urlsafe(30)
        expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        caller = Caller(
            account=account,
            arn=f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
            user_id=f"AROA{_random(17)}:{name}",
            expires=expires,
        )
        with self._lock:
            self._sessions[key] = _Session(caller, token)
        return {
            "Credentials": {
                "AccessKeyId": key,
                "SecretAccessKey": secret,
                "SessionToken": token,
                "Expiration": expires,
            },
            "AssumedRoleUser": {"AssumedRoleId": caller.user_id, "Arn": caller.arn},
            "PackedPolicySize": 0,
        }


def caller_identity(caller: Caller) -> dict[str, Any]:
    """The result of ``sts:GetCallerIdentity``."""
    return {"UserId": caller.user_id, "Account": caller.account, "Arn": caller.arn}


def _speaks_query(request: Request) -> bool:
    return request.protocol in ("query", "rest-xml")


def _random(length: int) -> str:
    return "".join(secrets.choice(_KEY_ALPHABET) for _ in range(length))


def _constraint(name: str) -> str:
    return (
        f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
    )
