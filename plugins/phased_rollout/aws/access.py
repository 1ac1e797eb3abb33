"""How to get into an account: which connection, which role, which session."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from airflow.providers.amazon.aws.hooks.base_aws import SessionFactory
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

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
_TRUSTED = 60.0  # seconds until a connection is looked up again: somebody may have edited it

BUILDING = threading.Lock()  # boto3 sessions are not thread-safe: hold it to build a client
_HOLDING = threading.Lock()
_CONNECTIONS: dict[str, tuple[float, AwsConnectionWrapper]] = {}
_SESSIONS: dict[str, boto3.session.Session] = {}


_PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
    "eu-isoe-": "aws-iso-e",
    "eusc-": "aws-eusc",
}
HOME = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Of each partition a region that no account can disable."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A role to assume on the way.

    :param role: its ARN
    :param external_id: what its trust policy demands
    """

    role: str
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """How to get into one region of one account.

    :param connection: Airflow connection id
    :param role: name, or ARN with ``{account}`` and ``{region}``; None uses the connection as it is
    :param via: roles to assume before it, in this order
    """

    connection: str
    account: str
    region: str
    role: str | None = None
    external_id: str | None = None
    via: tuple[Hop, ...] = ()

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
            via=tuple(Hop(**hop) for hop in options.get("via") or ()),
        )

    def arn_of(self, role: str) -> str:
        """Give the ARN of a role in this account."""
        if role.startswith("arn:"):
            return role.replace("{account}", self.account).replace("{region}", self.region)
        return f"arn:{partition_of(self.region)}:iam::{self.account}:role/{role}"

    def __str__(self) -> str:
        return f"account {self.account} ({self.region})"


def partition_of(region: str) -> str:
    """Give the partition that a region belongs to: AWS's identities end at its border."""
    return next((p for start, p in _PARTITIONS.items() if region.startswith(start)), "aws")


def connection_of(access: Access) -> AwsConnectionWrapper:
    """Look a connection up, once a minute: an edited one is used without a restart.

    Fails closed: never ambient credentials in place of a connection that is missing (the provider
    only logs a warning), of another kind, or half filled.
    """
    name, now = access.connection, time.monotonic()
    with _HOLDING:
        since, kept = _CONNECTIONS.get(name, (0.0, None))
    if kept and now < since + _TRUSTED:
        return kept
    try:
        found = BaseHook.get_connection(name)
    except (AirflowException, PermissionError) as error:
        raise UnreachableError(
            f"connection {name!r} does not exist: create it in Airflow, or mend `connection`"
        ) from error
    if found.conn_type != "aws":
        raise UnreachableError(f"connection {name!r} is of type {found.conn_type!r}, not 'aws'")
    try:
        wrapper = AwsConnectionWrapper(conn=found)
        wrapper.botocore_config = _CONFIG.merge(wrapper.botocore_config or Config())
    except Exception as error:  # the provider raises whatever a bad extra leads to
        raise unusable(name, error) from error
    _refuse_half_filled(wrapper)
    with _HOLDING:
        _CONNECTIONS[name] = now, wrapper
    return wrapper


def _refuse_half_filled(connection: AwsConnectionWrapper) -> None:
    """Refuse half a pair of keys: the provider would quietly take the environment's instead."""
    extra = connection.extra_config
    given = [connection.login, connection.password]
    given += [extra.get("aws_access_key_id"), extra.get("aws_secret_access_key")]
    whole = connection.aws_access_key_id and connection.aws_secret_access_key
    if any(given) and not whole:
        raise UnreachableError(
            f"connection {connection.conn_id!r} has half of its credentials: give both login and "
            "password in Airflow, or neither to use those of the machine"
        )


def unusable(name: str, error: Exception) -> UnreachableError:
    """Say that a connection is no good; names the error only, for its text may hold secrets."""
    return UnreachableError(
        f"connection {name!r} cannot be used ({type(error).__name__}): mend its login, password or "
        "extra in Airflow"
    )


def sts_region(access: Access) -> str:
    """Give the region whose STS is asked: the connection's own, else the target's.

    Never the global endpoint: its tokens are not taken in regions that must be opted into.
    """
    own = connection_of(access).region_name
    return own if own and partition_of(own) == partition_of(access.region) else access.region


def content_of(connection: AwsConnectionWrapper) -> str:
    """Name what a connection holds: an edited one has another name."""
    given = {k: v for k, v in connection.session_kwargs.items() if k != "region_name"}
    return digest_of({"session": repr(given), "extra": repr(connection.extra_config)})


def session_of(access: Access) -> boto3.session.Session:
    """Give this process's one session for a connection's content."""
    connection = connection_of(access)
    content = content_of(connection)
    with BUILDING:
        if content not in _SESSIONS:
            while len(_SESSIONS) >= _CONNECTIONS_AT_ONCE:
                _SESSIONS.pop(next(iter(_SESSIONS)))
            try:
                made = SessionFactory(conn=connection, region_name=sts_region(access))
                _SESSIONS[content] = made.create_session()
                # Whatever the machine says: see sts_region.
                _SESSIONS[content]._session.set_config_variable(
                    "sts_regional_endpoints", "regional"
                )
            except (ClientError, BotoCoreError):  # AWS's words, about a role of the connection
                raise
            except Exception as error:
                raise unusable(str(connection.conn_id), error) from error
        return _SESSIONS[content]


def forget_connection(name: str | None = None) -> None:
    """Look a connection, or all, up again when it is needed next; its session is made anew."""
    with _HOLDING:
        names = list(_CONNECTIONS) if name is None else [name]
        dropped = [_CONNECTIONS.pop(each, None) for each in names]
    with BUILDING:
        for kept in dropped:
            if kept and kept[1].role_arn:  # of a role that the connection itself assumes
                _SESSIONS.pop(content_of(kept[1]), None)
