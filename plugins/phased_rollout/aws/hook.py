"""Calls to AWS in one account, by the connection's credentials and an assumed role."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.hooks.cloud_formation import CloudFormationHook
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from phased_rollout.aws.access import (
    BUILDING,
    Access,
    connection_of,
    forget_connection,
    session_of,
)
from phased_rollout.aws_errors import BAD_CREDENTIALS, THROTTLED, classify, code_of
from phased_rollout.errors import UnreachableError

# A mutation whose reply was lost is reconciled by reading, never sent again blindly.
_ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
_THROTTLE_WAITS = (0.3, 0.9)
_READS = ("describe_", "get_", "list_")
_REACHABLE_ACCOUNTS = 256  # about 0.5 MB each
_FAILURES = (ClientError, BotoCoreError, ResponseParserError, OSError)


class AccountHook(CloudFormationHook):
    """Acts in one account by the connection's credentials and an assumed role.

    No Connection for each account: the role is set here, per target. All hooks of one connection
    share one boto3 session (a session costs 0.25 s of CPU and 20 MB, a client 5 ms and 0.2 MB).

    :param access: which account, region and role
    """

    def __init__(self, access: Access) -> None:
        super().__init__(  # type: ignore[no-untyped-call]  # the provider is not fully typed
            aws_conn_id=access.connection, region_name=access.region
        )
        self.access = access
        self._lock = threading.RLock()
        self._clients: dict[str, Any] = {}
        self._credentials: Any = None
        self._key: str | None = None
        self._checked: str | None = None

    @cached_property
    def conn_config(self) -> AwsConnectionWrapper:
        """The connection with the target's role in place of its own."""
        wrapper = AwsConnectionWrapper(
            conn=connection_of(self.access), region_name=self.access.region
        )
        if self.access.role:
            wrapper.role_arn = self.access.arn_of(self.access.role)
            wrapper.assume_role_method = "assume_role"
            wrapper.assume_role_kwargs = {"RoleSessionName": "phased-rollout"}
            if self.access.external_id:
                wrapper.assume_role_kwargs["ExternalId"] = self.access.external_id
        return wrapper

    def get_client_type(
        self,
        region_name: str | None = None,  # noqa: ARG002  # the provider's signature
        config: Config | None = None,
        deferrable: bool = False,  # noqa: ARG002, FBT001, FBT002  # the provider's signature
    ) -> Any:
        """Build a client off the shared session, with the role's credentials."""
        return self._in_account(self.client_type or "cloudformation", config=config)

    def _frozen(self) -> ReadOnlyCredentials:
        """Give the credentials of the role; botocore renews them well before they expire."""
        with self._lock:
            if self._credentials is None and self.access.role:
                self._credentials = RefreshableCredentials.create_from_metadata(
                    metadata=self._assume(), refresh_using=self._assume, method="sts-assume-role"
                )
            elif self._credentials is None:
                self._credentials = session_of(connection_of(self.access)).get_credentials()
            if self._credentials is None:
                raise NoCredentialsError
            return self._credentials.get_frozen_credentials()

    def _assume(self) -> dict[str, str]:
        endpoint = self.conn_config.get_service_endpoint_url("sts", sts_connection_assume=True)
        with closing(self._build("sts", endpoint_url=endpoint)) as client:
            given = client.assume_role(
                RoleArn=self.conn_config.role_arn, **self.conn_config.assume_role_kwargs
            )["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    def _build(self, service: str, *, config: Config | None = None, **arguments: Any) -> Any:
        session = session_of(connection_of(self.access))
        with BUILDING:
            return session.client(
                service,
                region_name=self.access.region,
                config=self.config.merge(config) if config else self.config,
                verify=self.verify,
                **arguments,
            )

    def _in_account(self, service: str, *, config: Config | None = None) -> Any:
        frozen = self._frozen()
        return self._build(
            service,
            config=config,
            endpoint_url=self.conn_config.get_service_endpoint_url(service),
            aws_access_key_id=frozen.access_key,
            aws_secret_access_key=frozen.secret_key,
            aws_session_token=frozen.token,
        )

    def client(self, service: str) -> Any:
        """Give the account's client for a service, renewed when the credentials were."""
        with self._lock:
            key = self._frozen().access_key
            if key != self._key:
                self.close()
                self._key = key
            if service not in self._clients:
                self._clients[service] = self._in_account(service)
            return self._clients[service]

    def close(self) -> None:
        """Close all connections; the hook stays usable."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def call(
        self, operation: str, *, service: str = "cloudformation", **arguments: Any
    ) -> dict[str, Any]:
        """Ask AWS; raises UnreachableError or RefusedByAwsError.

        Reads are retried by botocore. Anything else is sent once, and again only after a throttle,
        which AWS answers without having done anything.
        """
        try:
            if operation.startswith(_READS):
                reply = getattr(self.client(service), operation)(**arguments)
            else:
                reply = self._mutate(service, operation, arguments)
        except _FAILURES as error:
            if not isinstance(error, ClientError) or code_of(error) in BAD_CREDENTIALS:
                forget(self.access)  # the connection may have been mended meanwhile
            raise classify(error, where=str(self.access)) from error
        return dict(reply)

    def _mutate(self, service: str, operation: str, arguments: Mapping[str, Any]) -> Any:
        with closing(self._in_account(service, config=_ONCE)) as client:
            for wait in _THROTTLE_WAITS:
                try:
                    return getattr(client, operation)(**arguments)
                except ClientError as error:
                    if code_of(error) not in THROTTLED:
                        raise
                    time.sleep(wait)
            return getattr(client, operation)(**arguments)

    def pages(
        self, operation: str, key: str, *, service: str = "cloudformation", **arguments: Any
    ) -> Iterator[dict[str, Any]]:
        """Give the items of all pages."""
        while True:
            reply = self.call(operation, service=service, **arguments)
            yield from reply.get(key, [])
            if not reply.get("NextToken"):
                return
            arguments["NextToken"] = reply["NextToken"]

    def check_account(self) -> None:
        """Raise unless the credentials belong to the target's account; asked once a session."""
        if self._checked and self._checked == self._key:
            return
        found = self.call("get_caller_identity", service="sts")["Account"]
        if found != self.access.account:
            raise UnreachableError(
                f"{self.access}: nothing was done, the credentials belong to account {found}: "
                f"mend `role` or the connection {self.access.connection!r}"
            )
        self._checked = self._key


_HOLDING = threading.Lock()
_HOOKS: OrderedDict[Access, AccountHook] = OrderedDict()


def account(access: Access) -> AccountHook:
    """Give the hook of an account: kept while it is among the last 256 that were used."""
    dropped = None
    with _HOLDING:
        hook = _HOOKS.pop(access, None) or AccountHook(access)
        _HOOKS[access] = hook
        if len(_HOOKS) > _REACHABLE_ACCOUNTS:
            _, dropped = _HOOKS.popitem(last=False)
    if dropped:
        dropped.close()
    return hook


def forget(access: Access | None = None) -> None:
    """Drop what is kept of one account, or of all: the connection is looked up again."""
    with _HOLDING:
        if access is None:
            dropped = list(_HOOKS.values())
            _HOOKS.clear()
        else:
            hook = _HOOKS.pop(access, None)
            dropped = [hook] if hook else []
    forget_connection(access.connection if access else None)
    for hook in dropped:
        hook.close()
