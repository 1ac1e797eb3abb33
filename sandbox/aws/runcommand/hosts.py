"""The hosts of the fleet: what each is tagged with, whether it answers, and its files."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.errors import AwsError

Json = dict[str, Any]


@dataclass(slots=True)
class Host:
    """A managed node. ``ping`` is Online, ConnectionLost or Inactive."""

    id: str
    account: str
    region: str
    tags: dict[str, str] = field(default_factory=dict)
    ping: str = "Online"
    files: dict[str, str] = field(default_factory=dict)

    def described(self) -> Json:
        return {
            "InstanceId": self.id,
            "PingStatus": self.ping,
            "AgentVersion": "3.3.0.0",
            "PlatformType": "Linux",
            "PlatformName": "Sandbox Linux",
            "ResourceType": "EC2Instance" if self.id.startswith("i-") else "ManagedInstance",
        }

    def matches(self, filters: Sequence[Json]) -> bool:
        return all(self._has(each["Key"], each["Values"]) for each in filters)

    def _has(self, key: str, values: list[str]) -> bool:
        if key == "tag-key":
            return bool(set(values) & set(self.tags))
        if key.startswith("tag:"):
            return self.tags.get(key.removeprefix("tag:")) in values
        if key == "InstanceIds":
            return self.id in values
        if key == "PingStatus":
            return self.ping in values
        raise AwsError("InvalidFilterKey", f"The specified key isn't valid: {key}")


class Hosts:
    """All hosts by account, region and id. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[tuple[str, str, str], Host] = {}

    def put(self, host: Host) -> None:
        """Register a host; one that is there keeps its files."""
        key = (host.account, host.region, host.id)
        with self._lock:
            known = self._hosts.get(key)
            if known and not host.files:
                host.files = known.files
            self._hosts[key] = host

    def remove(self, account: str, region: str, instance: str) -> None:
        """Let a host be gone."""
        with self._lock:
            self._hosts.pop((account, region, instance), None)

    def clear(self) -> None:
        with self._lock:
            self._hosts.clear()

    def get(self, account: str, region: str, instance: str) -> Host | None:
        with self._lock:
            return self._hosts.get((account, region, instance))

    def all(self, account: str | None = None, region: str | None = None) -> list[Host]:
        """Those of an account and region, or all."""
        with self._lock:
            found = list(self._hosts.values())
        return [
            host
            for host in found
            if account in (None, host.account) and region in (None, host.region)
        ]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of commands on hosts, in place of running them; ``instance`` may be ``*``.

    ``details`` is a status in AWS's words: Failed, ExecutionTimedOut, DeliveryTimedOut,
    Undeliverable, AccessDenied. ``document`` is a part of the document's name.
    """

    account: str
    instance: str
    details: str
    output: str = ""
    document: str = ""

    def covers(self, host: str, *, account: str, document: str) -> bool:
        here = self.account in ("*", account) and self.instance in ("*", host)
        return here and self.document in document
