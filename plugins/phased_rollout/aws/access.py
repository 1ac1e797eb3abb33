"""How to get into an account: which connection, which role, which session."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from airflow.providers.amazon.aws.hooks.base_aws import SessionFactory
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException
from botocore.config import Config

from phased_rollout.errors import ConfigError, UnreachableError
from phased_rollout.model.digest import digest_of

# A connection's ``config_kwargs`` win over these.
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    max_pool_connections=10,
    retries={"mode": "standard", "total_max_attempts": 4},
    user_agent_extra="phased-rollout",
)
_CONNECTIONS_AT_ONCE = 8

BUILDING = threading.Lock()  # boto3 sessions are not thread-safe: hold it to build a client
_HOLDING = threading.Lock()
_CONNECTIONS: dict[str, AwsConnectionWrapper] = {}
_SESSIONS: dict[str, boto3.session.Session] = {}


@dataclass(frozen=True, slots=True)
class Access:
    """How to get into one region of one account.

    :param connection: Airflow connection id
    :param role: name, or ARN with ``{account}`` and ``{region}``; None uses the connection as it is
    """

    connection: str
    account: str
    region: str
    role: str | None = None
    external_id: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], address: Mapping[str, str]) -> Access:
        """Combine an adapter's options with a target's address; raises ConfigError."""
        region = address.get("region") or options.get("region")
        needed = {
            "options.connection: give the id of an Airflow connection": options.get("connection"),
            "target.account: give the account's 12 digits": address.get("account"),
            "target.region: give a region here or in the options": region,
        }
        missing = [what for what, value in needed.items() if not value]
        if missing:
            raise ConfigError(missing)
        return cls(
            connection=str(options["connection"]),
            account=str(address["account"]),
            region=str(region),
            role=options.get("role"),
            external_id=options.get("external_id"),
        )

    def arn_of(self, role: str) -> str:
        """Give the ARN of a role in this account."""
        if role.startswith("arn:"):
            return role.replace("{account}", self.account).replace("{region}", self.region)
        partitions = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
        partition = next((p for r, p in partitions.items() if self.region.startswith(r)), "aws")
        return f"arn:{partition}:iam::{self.account}:role/{role}"

    def __str__(self) -> str:
        return f"account {self.account} ({self.region})"


def connection_of(access: Access) -> AwsConnectionWrapper:
    """Look a connection up once. Fails closed: never ambient credentials in place of a missing one.

    The provider only logs a warning for a connection that does not exist.
    """
    name = access.connection
    with _HOLDING:
        kept = _CONNECTIONS.get(name)
    if kept:
        return kept
    try:
        found = BaseHook.get_connection(name)
    except (AirflowException, PermissionError) as error:
        raise UnreachableError(
            f"connection {name!r} does not exist: create it in Airflow, or mend `connection`"
        ) from error
    if found.conn_type not in ("aws", "", None):
        raise UnreachableError(f"connection {name!r} is of type {found.conn_type!r}, not 'aws'")
    try:
        wrapper = AwsConnectionWrapper(conn=found, region_name=access.region)
        wrapper.botocore_config = _CONFIG.merge(wrapper.botocore_config or Config())
    except Exception as error:  # the provider raises whatever a bad extra leads to
        raise unusable(name, error) from error
    with _HOLDING:
        return _CONNECTIONS.setdefault(name, wrapper)


def unusable(name: str, error: Exception) -> UnreachableError:
    """Say that a connection is no good; names the error only, for its text may hold secrets."""
    return UnreachableError(
        f"connection {name!r} cannot be used ({type(error).__name__}): mend its login, password or "
        "extra in Airflow"
    )


def session_of(connection: AwsConnectionWrapper) -> boto3.session.Session:
    """Give this process's one session for a connection's content (an edited one gets a new one)."""
    given = {k: v for k, v in connection.session_kwargs.items() if k != "region_name"}
    content = digest_of({"session": repr(given), "extra": repr(connection.extra_config)})
    with BUILDING:
        if content not in _SESSIONS:
            while len(_SESSIONS) >= _CONNECTIONS_AT_ONCE:
                _SESSIONS.pop(next(iter(_SESSIONS)))
            try:
                _SESSIONS[content] = SessionFactory(conn=connection).create_session()
            except Exception as error:
                raise unusable(str(connection.conn_id), error) from error
        return _SESSIONS[content]


def forget_connection(name: str | None = None) -> None:
    """Look a connection, or all, up again when it is needed next."""
    with _HOLDING:
        if name is None:
            _CONNECTIONS.clear()
        else:
            _CONNECTIONS.pop(name, None)
