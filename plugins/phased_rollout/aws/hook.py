"""Calls to AWS in one account, by the connection's credentials and an assumed role."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from typing import Any, TypeVar

from airflow.providers.amazon.aws.hooks.cloud_formation import CloudFormationHook
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from botocore.config import Config
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from phased_rollout.aws.access import (
    HOME,
    Access,
    connection_of,
    content_of,
    forget_connection,
)
from phased_rollout.aws.regions import doubt_of
from phased_rollout.aws.roles import SESSION, client_of, credentials_of, forget_shared
from phased_rollout.aws_errors import BAD_CREDENTIALS, EXPIRED, THROTTLED, classify, code_of
from phased_rollout.errors import RolloutError, UnreachableError
from phased_rollout.model.partitions import partition_of

# A mutation whose reply was lost is reconciled by reading, never sent again blindly.
_ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
_THROTTLE_WAITS = (0.3, 0.9)
_READS = ("describe_", "get_", "list_")
_REACHABLE_ACCOUNTS = 256  # about 0.5 MB each
_FAILURES = (ClientError, BotoCoreError, ResponseParserError, OSError)
_T = TypeVar("_T")


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
        self._credentials: Credentials | None = None
        self._content: str | None = None
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
            wrapper.assume_role_kwargs = {"RoleSessionName": SESSION}
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
        return self._built(self.client_type or "cloudformation", self._frozen(), config=config)

    def _frozen(self) -> ReadOnlyCredentials:
        """Give the credentials to act with now: others after the connection was edited."""
        with self._lock:
            content = content_of(connection_of(self.access))
            if self._credentials is None or content != self._content:
                self._credentials, self._content = credentials_of(self.access), content
            return self._credentials.get_frozen_credentials()

    def _built(
        self, service: str, frozen: ReadOnlyCredentials, *, config: Config | None = None
    ) -> Any:
        merged = self.config.merge(config) if config else self.config
        return client_of(self.access, service, frozen, config=merged)

    def _renew(self) -> None:
        """Assume the roles anew: AWS says that the credentials have expired, whatever we think."""
        forget_shared(self.access)
        forget_connection(self.access.connection)
        with self._lock:
            self._credentials = None

    def client(self, service: str) -> Any:
        """Give the account's client for a service, renewed when the credentials were."""
        with self._lock:
            frozen = self._frozen()
            if frozen.access_key != self._key:
                self.close()
                self._key = frozen.access_key
            if service not in self._clients:
                self._clients[service] = self._built(service, frozen)
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

        Reads are retried by botocore. Anything else is sent once, by credentials that are known to
        belong to the target's account, and again only after a throttle or after AWS called the
        credentials expired: both are answered before anything is done.
        """
        send = self._read if operation.startswith(_READS) else self._mutate
        return dict(self._asked(service, lambda: send(service, operation, arguments)))

    def _asked(self, service: str, send: Callable[[], _T]) -> _T:
        try:
            try:
                return send()
            except ClientError as error:
                if code_of(error) not in EXPIRED:
                    raise
                self._renew()
                return send()
        except _FAILURES as error:
            raise self._explained(error, service) from error

    def _explained(self, error: Exception, service: str) -> RolloutError:
        code = code_of(error)
        abroad = code in BAD_CREDENTIALS - EXPIRED and self._valid_at_home()
        if not isinstance(error, ClientError) or code in BAD_CREDENTIALS:
            forget(self.access)  # the connection may have been mended meanwhile
        if getattr(error, "operation_name", "") == "AssumeRole":
            forget_shared(self.access)
        if abroad:
            return UnreachableError(
                f"{self.access}: the region is not enabled in this account: enable it there, or "
                f"leave the target out ({code})"
            )
        if not isinstance(error, ClientError) and (doubt := doubt_of(self.access.region)):
            return UnreachableError(
                f"{self.access}: could not be asked: {doubt} ({type(error).__name__})"
            )
        role = f"role {self.access.role!r}" if self.access.role else "the connection"
        return classify(error, where=str(self.access), service=service, who=role)

    def _valid_at_home(self) -> bool:
        """Say whether the same credentials are good in a region that no account can disable."""
        home = HOME.get(partition_of(self.access.region))
        if self._credentials is None or home in (None, self.access.region):
            return False
        try:
            frozen = self._credentials.get_frozen_credentials()
            arguments = {"region_name": home, "config": self.config.merge(_ONCE)}
            with closing(client_of(self.access, "sts", frozen, **arguments)) as client:
                return bool(client.get_caller_identity()["Account"] == self.access.account)
        except (*_FAILURES, UnreachableError):
            return False

    def _read(self, service: str, operation: str, arguments: Mapping[str, Any]) -> Any:
        return getattr(self.client(service), operation)(**arguments)

    def _mutate(self, service: str, operation: str, arguments: Mapping[str, Any]) -> Any:
        with closing(self._built(service, self._own(), config=_ONCE)) as client:
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
        """Raise unless the credentials belong to the target's account; asked once a session.

        Every change is checked so; ask for it where nothing at all may be begun otherwise.
        """
        self._asked("sts", self._own)

    def _own(self) -> ReadOnlyCredentials:
        """Give credentials that are known to belong to the target's account."""
        frozen = self._frozen()
        if frozen.access_key != self._checked:
            with closing(self._built("sts", frozen)) as client:
                found = client.get_caller_identity()["Account"]
            if found != self.access.account:
                raise UnreachableError(
                    f"{self.access}: nothing was done, the credentials belong to account {found}: "
                    f"mend `role` or the connection {self.access.connection!r}"
                )
            self._checked = frozen.access_key
        return frozen


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
            forget_shared()
            dropped = list(_HOOKS.values())
            _HOOKS.clear()
        else:
            hook = _HOOKS.pop(access, None)
            dropped = [hook] if hook else []
    forget_connection(access.connection if access else None)
    for hook in dropped:
        hook.close()
