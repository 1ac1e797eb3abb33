"""Who is calling: the management identity, or a session that STS handed out."""

from __future__ import annotations

import datetime as dt
import re
import secrets
import string
import threading
from dataclasses import dataclass, replace
from typing import Any

from sandbox.aws.errors import AwsError, access_denied, validation_error
from sandbox.aws.partitions import partition_of
from sandbox.aws.wire import Request

MANAGEMENT_ACCOUNT = "999999999999"
MANAGEMENT_ACCESS_KEY = "sandbox"
MANAGEMENT_ARN = f"arn:aws:iam::{MANAGEMENT_ACCOUNT}:user/operator"
STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"

_ROLE_ARN = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/(?:[\w+=,.@/-]+/)?([\w+=,.@-]+)")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
_KEY_ALPHABET = string.ascii_uppercase + "234567"
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated identity; ``expires`` is None for long-lived keys.

    ``role`` is the ARN of the role whose session it is, as trust policies name it.
    """

    account: str
    arn: str
    user_id: str
    expires: dt.datetime | None = None
    role: str = ""

    @property
    def is_management(self) -> bool:
        return self.account == MANAGEMENT_ACCOUNT


@dataclass(frozen=True, slots=True)
class RoleTrust:
    """What a role demands of those who assume it; ``absent`` stands for a role not there.

    ``trusts`` are the only principals that may: ARNs of roles and users, or account ids.
    """

    role_arn: str
    external_id: str | None = None
    absent: bool = False
    trusts: tuple[str, ...] | None = None

    def refuses(self, caller: Caller, external_id: str | None) -> bool:
        if self.absent or (self.external_id and self.external_id != external_id):
            return True
        principals = (caller.role, caller.arn, caller.account)
        return self.trusts is not None and not set(principals) & set(self.trusts)


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
        self._disabled: set[tuple[str, str]] = set()
        self.session_seconds: int | None = None  # shortens every session, to test expiry

    def trust(self, trust: RoleTrust) -> None:
        with self._lock:
            self._trusts[trust.role_arn] = trust

    def is_absent(self, role_arn: str) -> bool:
        trust = self._trusts.get(role_arn)
        return trust is not None and trust.absent

    def disable(self, account: str, region: str) -> None:
        """Let a region not be enabled in an account."""
        with self._lock:
            self._disabled.add((account, region))

    def expire(self, account: str) -> None:
        """End all sessions in an account, long before those who hold them expect it."""
        now = dt.datetime.now(dt.UTC)
        with self._lock:
            for key, session in list(self._sessions.items()):
                if session.caller.account == account:
                    ended = replace(session.caller, expires=now)
                    self._sessions[key] = _Session(ended, session.token)

    def reset(self) -> None:
        """Forget the roles' demands; sessions stay, as resetting moto does not log anyone out."""
        with self._lock:
            self._trusts.clear()
            self._disabled.clear()
            self.session_seconds = None

    def authenticate(self, request: Request) -> Caller:
        """Raise what AWS raises for missing, unknown and expired credentials."""
        if not request.access_key:
            message = "Request is missing Authentication Token"
            raise AwsError("MissingAuthenticationToken", message, status=403)
        caller = self._caller(request)
        if caller is None or (caller.account, request.region) in self._disabled:
            raise _invalid(request)
        if caller.expires is not None and caller.expires <= dt.datetime.now(dt.UTC):
            message = "The security token included in the request is expired"
            code = "ExpiredToken" if _speaks_query(request) else "ExpiredTokenException"
            raise AwsError(code, message, status=403)
        return caller

    def _caller(self, request: Request) -> Caller | None:
        partition = partition_of(request.region)
        if request.access_key == MANAGEMENT_ACCESS_KEY:  # one of that name in every partition
            arn = MANAGEMENT_ARN.replace(":aws:", f":{partition}:")
            return Caller(MANAGEMENT_ACCOUNT, arn, "AIDASANDBOXOPERATOR00")
        session = self._sessions.get(request.access_key)
        if session is None or session.token != request.token:
            return None
        return session.caller if session.caller.arn.split(":")[1] == partition else None

    def assume_role(self, caller: Caller, params: dict[str, Any]) -> dict[str, Any]:
        """The result of ``sts:AssumeRole``; every role exists unless told otherwise."""
        arn, name = str(params.get("RoleArn", "")), str(params.get("RoleSessionName", ""))
        _parts(arn)
        if not _SESSION_NAME.fullmatch(name):
            raise validation_error(_constraint(name))
        self._check_trust(caller, arn=arn, external_id=params.get("ExternalId"))
        seconds = self._duration(caller, params)
        return self._open(arn, name=name, seconds=seconds)

    def _check_trust(self, caller: Caller, *, arn: str, external_id: str | None) -> None:
        trust = self._trusts.get(arn)
        foreign = arn.split(":")[1] != caller.arn.split(":")[1]
        if foreign or (trust and trust.refuses(caller, external_id)):
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

    def _open(self, arn: str, *, name: str, seconds: int) -> dict[str, Any]:
        partition, account, role = _parts(arn)
        key = "ASIA" + _random(16)
        token, secret = secrets.token_urlsafe(64), secrets.token_urlsafe(30)
        expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
        caller = Caller(
            account=account,
            arn=f"arn:{partition}:sts::{account}:assumed-role/{role}/{name}",
            user_id=f"AROA{_random(17)}:{name}",
            expires=expires,
            role=arn,
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


def _parts(role_arn: str) -> tuple[str, str, str]:
    """Partition, account and name of a role."""
    match = _ROLE_ARN.fullmatch(role_arn)
    if match is None:
        raise validation_error(f"{role_arn} is invalid")
    return match[1], match[2], match[3]


def _invalid(request: Request) -> AwsError:
    """What AWS answers to unknown keys, and to any key in a region that is not enabled."""
    if request.service == "ec2":
        message = "AWS was not able to validate the provided access credentials"
        return AwsError("AuthFailure", message, status=401)
    code = "InvalidClientTokenId" if _speaks_query(request) else "UnrecognizedClientException"
    return AwsError(code, "The security token included in the request is invalid.", status=403)


def _speaks_query(request: Request) -> bool:
    return request.protocol in ("query", "rest-xml")


def _random(length: int) -> str:
    return "".join(secrets.choice(_KEY_ALPHABET) for _ in range(length))


def _constraint(name: str) -> str:
    return (
        f"1 validation error detected: Value '{name}' at 'roleSessionName' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
    )
