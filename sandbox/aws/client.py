"""A client of the embedded AWS, for tests and the demo."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from sandbox.aws.identity import MANAGEMENT_ACCESS_KEY
from sandbox.aws.partitions import partition_of

Json = dict[str, Any]

ROLE_NAME = "sandbox-operator"  # not the product's, so that the log tells who called
_ROOT = Path(__file__).resolve().parents[2]
_clients_lock = threading.Lock()


class SandboxError(Exception):
    """The sandbox did not start, or refused an administrative request."""


class SandboxAws:
    """One embedded AWS: starts or attaches to it, sets it up, and looks at what it was asked."""

    def __init__(self, endpoint: str, *, process: subprocess.Popen[str] | None = None) -> None:
        """Attach to a running one; :meth:`start` starts a process."""
        self.endpoint = endpoint.rstrip("/")
        self.process = process
        self._server: Any = None
        self._session: Any = None
        self._credentials: dict[str, Json] = {}

    @classmethod
    def start(cls, *, port: int = 0, log: Path | None = None, python: str | None = None) -> Self:
        """Start ``python -m sandbox.aws``, wait until it listens; it ends with this process."""
        command = [python or sys.executable, "-m", "sandbox.aws", "--while-stdin"]
        command += ["--port", str(port)]
        if log is not None:
            command += ["--log", str(log.resolve())]
        process = subprocess.Popen(  # noqa: S603 our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT
        )
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise SandboxError(f"the sandbox did not start, exit status {process.wait()}")
        return cls(json.loads(line)["endpoint"], process=process)

    @classmethod
    def start_in_thread(cls, *, log: Path | None = None) -> Self:
        """Start it within this process. Several of a process share moto's resources."""
        from sandbox.aws.server import SandboxServer  # noqa: PLC0415 loads moto

        server = SandboxServer(log=log).start()
        client = cls(server.endpoint)
        client._server = server
        return client

    def stop(self) -> None:
        """Stop what this object started; nothing for one that is only attached."""
        if self._server is not None:
            self._server.stop()
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                if pipe is not None:
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Administration

    def health(self) -> Json:
        return self._admin("GET", "health")

    def reset(self) -> None:
        """Forget everything, the state of AWS included."""
        self._admin("POST", "reset")

    def calls(self, *, after: int = 0, **equal: str) -> list[Json]:
        """Logged calls, oldest first: ``calls(account="…", operation="CreateChangeSet")``."""
        found: list[Json] = self._admin("GET", "calls", query={"after": after, **equal})["calls"]
        return found

    def clear_calls(self) -> None:
        self._admin("DELETE", "calls")

    def fault(
        self, kind: str, *, account: str = "*", service: str = "*", operation: str = "*",
        count: int | None = 1, skip: int = 0, seconds: float = 5.0, **more: Any,
    ) -> str:  # fmt: skip
        """Inject a fault (see :class:`sandbox.aws.faults.Fault`); returns its id.

        ``fault("error", code="LimitExceededException", message="…", status=400)`` says anything;
        ``region`` limits any fault.
        """
        body = {"kind": kind, "account": account, "service": service, "operation": operation,
                "count": count, "skip": skip, "seconds": seconds, **more}  # fmt: skip
        return str(self._admin("POST", "faults", body=body)["id"])

    def faults(self) -> list[Json]:
        """The faults that have not been used up."""
        found: list[Json] = self._admin("GET", "faults")["faults"]
        return found

    def clear_faults(self, fault_id: str | None = None) -> None:
        self._admin("DELETE", "faults", query={"id": fault_id} if fault_id else None)

    def deny(
        self, *, account: str, resource_type: str, logical_id: str = "",
        reason: str | None = None, actions: Iterable[str] = ("create", "update"), role: str = "",
    ) -> str:  # fmt: skip
        """Let resources of a type fail in an account; returns the denial's id.

        ``actions``: create, update, delete, rollback. ``role``: when that service role acts.
        """
        body: Json = {"account": account, "resource_type": resource_type, "role": role,
                      "logical_id": logical_id, "actions": list(actions)}  # fmt: skip
        if reason is not None:
            body["reason"] = reason
        return str(self._admin("POST", "denials", body=body)["id"])

    def clear_denials(self, denial_id: str | None = None) -> None:
        self._admin("DELETE", "denials", query={"id": denial_id} if denial_id else None)

    def workload(self, *, account: str, region: str, reads: str, alarm: str) -> None:
        """Run an application that needs an SSM parameter and reports through an alarm."""
        body = {"account": account, "region": region, "reads": reads, "alarm": alarm}
        self._admin("POST", "workloads", body=body)

    def clear_workloads(self) -> None:
        self._admin("DELETE", "workloads")

    def metric(
        self, *, account: str, namespace: str, metric: str, points: Iterable[tuple[float, float]],
        dimensions: dict[str, str] | None = None, region: str = "eu-central-1",
    ) -> None:  # fmt: skip
        """Add points, (seconds since the epoch, value), to a metric: history of any age, too."""
        body: Json = {"account": account, "region": region, "namespace": namespace,
                      "metric": metric, "dimensions": dimensions or {}}  # fmt: skip
        self._admin("POST", "metrics", body=body | {"points": list(points)})

    def settings(self, **changes: Any) -> Json:
        """Read, or change: ``phase``, ``slow={account: seconds}``, ``page_size``,
        ``session_seconds``, ``command_lag``."""
        return self._admin("POST", "settings", body=changes)

    @contextlib.contextmanager
    def with_settings(self, **changes: Any) -> Iterator[None]:
        """Change settings for a while."""
        before = {key: value for key, value in self.settings().items() if key in changes}
        if "slow" in changes:  # slow is merged, so those that were not there are taken out
            before["slow"] = dict.fromkeys(changes["slow"]) | before["slow"]
        self.settings(**changes)
        try:
            yield
        finally:
            self.settings(**before)

    @contextlib.contextmanager
    def held(self, account: str) -> Iterator[None]:
        """Let CloudFormation stand still in an account, whatever it is at, for a while."""
        self._admin("POST", "hold", body={"account": account, "held": True})
        try:
            yield
        finally:
            self._admin("POST", "hold", body={"account": account, "held": False})

    def role(
        self, role_arn: str, *, external_id: str | None = None, absent: bool = False,
        trusts: Iterable[str] | None = None,
    ) -> None:  # fmt: skip
        """Make a role demand an external id, trust only some roles or accounts, or not exist."""
        body = {"role_arn": role_arn, "external_id": external_id, "absent": absent,
                "trusts": None if trusts is None else list(trusts)}  # fmt: skip
        self._admin("POST", "roles", body=body)

    def ban(self, action: str, *, account: str = "*", caller: str = "") -> None:
        """Take a permission away (``iam:PassRole``, ``cloudformation:Describe*``) from callers."""
        self._admin("POST", "bans", body={"account": account, "action": action, "caller": caller})

    def clear_bans(self) -> None:
        """Give all permissions back."""
        self._admin("DELETE", "bans")

    def disable_region(self, account: str, region: str) -> None:
        """Let a region not be enabled in an account, as those that must be opted into."""
        self._admin("POST", "regions", body={"account": account, "disabled": region})

    def expire_sessions(self, account: str) -> None:
        """End all sessions in an account, long before those who hold them expect it."""
        self._admin("POST", "expire", body={"account": account})
        self._credentials.clear()

    def organization(self, *accounts: Json, **settings: Any) -> None:
        """Be an organization of these accounts: ``id``, ``name``, ``ou`` (a path), ``state``,
        ``tags``. Settings: ``units``, ``administrators``, ``empty_pages``."""
        self._admin("POST", "organization", body={"accounts": list(accounts), **settings})

    def no_organization(self) -> None:
        """Be no organization, as at the start."""
        self._admin("POST", "organization")

    def hosts(self, *hosts: Json) -> None:
        """Let there be hosts of Systems Manager: ``id``, ``account``, ``region``, ``tags``,
        ``ping``, ``files``."""
        self._admin("POST", "hosts", body={"hosts": list(hosts)})

    def known_hosts(self) -> list[Json]:
        """All hosts, with their files."""
        found: list[Json] = self._admin("GET", "hosts")["hosts"]
        return found

    def lose_host(self, account: str, region: str, instance: str) -> None:
        """Let a host be gone."""
        self._admin("DELETE", "hosts", query={"account": account, "region": region, "id": instance})

    def host_outcome(
        self, details: str, *, account: str = "*", instance: str = "*", **more: str
    ) -> None:
        """Let commands on hosts end so: ``details``, ``output``, ``document`` (a part of it)."""
        body = {"account": account, "instance": instance, "details": details, **more}
        self._admin("POST", "outcomes", body=body)

    def clear_outcomes(self) -> None:
        self._admin("DELETE", "outcomes")

    def _admin(
        self, method: str, name: str, *, query: Json | None = None, body: Json | None = None
    ) -> Json:
        url = f"{self.endpoint}/_sandbox/{name}" + (f"?{urlencode(query)}" if query else "")
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 our own http URL
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 as above
                answer: Json = json.load(response)
        except urllib.error.HTTPError as error:
            raise SandboxError(f"{method} {name}: {error.read().decode()}") from error
        return answer

    # AWS clients

    def environment(self, *, region: str = "eu-central-1") -> dict[str, str]:
        """Environment variables that point any SDK or CLI at this AWS, as management."""
        return {
            "AWS_ACCESS_KEY_ID": MANAGEMENT_ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def management_client(self, service: str, *, region: str = "eu-central-1") -> Any:
        """A boto3 client with the management identity."""
        return self._client(service, region, {"AccessKeyId": MANAGEMENT_ACCESS_KEY,
                                              "SecretAccessKey": "sandbox"})  # fmt: skip

    def client(
        self, service: str, account: str, *, region: str = "eu-central-1", role: str = ROLE_NAME
    ) -> Any:
        """A boto3 client inside an account, by AssumeRole; it does not retry."""
        arn = f"arn:{partition_of(region)}:iam::{account}:role/{role}"
        known = self._credentials.get(arn)
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
        if known is None or known["Expiration"] < soon:
            sts = self.management_client("sts", region=region)
            answer = sts.assume_role(RoleArn=arn, RoleSessionName="sandbox-client")
            known = self._credentials[arn] = answer["Credentials"]
        return self._client(service, region, known)

    def _client(self, service: str, region: str, credentials: Json) -> Any:
        import boto3  # noqa: PLC0415 half a second
        from botocore.config import Config  # noqa: PLC0415 as above

        with _clients_lock:  # sessions may not create clients concurrently
            self._session = self._session or boto3.session.Session()
            return self._session.client(
                service,
                region_name=region,
                endpoint_url=self.endpoint,
                aws_access_key_id=credentials["AccessKeyId"],
                aws_secret_access_key=credentials["SecretAccessKey"],
                aws_session_token=credentials.get("SessionToken"),
                config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
            )
