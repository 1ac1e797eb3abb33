"""Credentials of roles, assumed from a connection directly or one through the other."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

from botocore.credentials import Credentials, ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import NoCredentialsError

from phased_rollout.aws.access import (
    BUILDING,
    Access,
    Hop,
    connection_of,
    content_of,
    session_of,
    sts_region,
)

SESSION = "phased-rollout"
"""Name of the session in a target's account, as its CloudTrail shows it; those before add
``-via-1`` and so on."""

_HOLDING = threading.Lock()
_SHARED: dict[tuple[str, str, tuple[Hop, ...]], Credentials] = {}


def credentials_of(access: Access) -> Credentials:
    """Give the credentials of the target's role; botocore renews them well before they expire.

    Roles on the way are assumed once for all targets. AWS lets a session that was assumed by
    another one last an hour at most, which is what is asked for.
    """
    if not access.role:
        return _source(access)
    return _assumed(access, Hop(access.arn_of(access.role), access.external_id), session=SESSION)


def forget_shared(access: Access | None = None) -> None:
    """Assume the roles on the way to an account, or all, anew when they are needed next."""
    with _HOLDING:
        for key in [key for key in _SHARED if access is None or key[2][0] in access.via]:
            del _SHARED[key]


def _source(access: Access) -> Credentials:
    """Give what the target's role is assumed with: the connection's, or the last role's of via."""
    if not access.via:
        found = session_of(access).get_credentials()
        if found is None:
            raise NoCredentialsError
        return found
    key = content_of(connection_of(access)), sts_region(access), access.via
    with _HOLDING:
        kept = _SHARED.get(key)
    if kept is None:
        earlier, last = replace(access, via=access.via[:-1]), access.via[-1]
        made = _assumed(earlier, last, session=f"{SESSION}-via-{len(access.via)}")
        with _HOLDING:
            kept = _SHARED.setdefault(key, made)
    return kept


def _assumed(access: Access, hop: Hop, *, session: str) -> Credentials:
    renew = partial(_assume, access, hop, session=session)
    return RefreshableCredentials.create_from_metadata(
        metadata=renew(), refresh_using=renew, method="sts-assume-role"
    )


def _assume(access: Access, hop: Hop, *, session: str) -> dict[str, str]:
    external = {"ExternalId": hop.external_id} if hop.external_id else {}
    connection = connection_of(access)
    frozen = _source(access).get_frozen_credentials()
    endpoint = connection.get_service_endpoint_url("sts", sts_connection_assume=True)
    with closing(client_of(access, "sts", frozen, endpoint_url=endpoint)) as client:
        given = client.assume_role(RoleArn=hop.role, RoleSessionName=session, **external)
    return {
        "access_key": given["Credentials"]["AccessKeyId"],
        "secret_key": given["Credentials"]["SecretAccessKey"],
        "token": given["Credentials"]["SessionToken"],
        "expiry_time": given["Credentials"]["Expiration"].isoformat(),
    }


def client_of(access: Access, service: str, frozen: ReadOnlyCredentials, **arguments: Any) -> Any:
    """Build a client that acts by these credentials; close it after use.

    :param arguments: of boto3's ``client`` in place of the connection's
    """
    connection = connection_of(access)
    session = session_of(access)
    given = {
        "region_name": sts_region(access) if service == "sts" else access.region,
        "config": connection.botocore_config,
        "verify": connection.verify,
        "endpoint_url": connection.get_service_endpoint_url(service),
        "aws_access_key_id": frozen.access_key,
        "aws_secret_access_key": frozen.secret_key,
        "aws_session_token": frozen.token,
    }
    with BUILDING:
        return session.client(service, **(given | arguments))
