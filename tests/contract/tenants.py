"""Tenants before the suite: behind the API of the sandbox's control plane."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

import yaml

from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.substrates import Substrate
from phased_rollout.substrates.http import HttpSubstrate
from phased_rollout.substrates.http.api import api
from sandbox.tenants.faults import Fault
from sandbox.tenants.plane import PlaneError
from sandbox.tenants.server import SandboxTenants

CONNECTION = "contract_tenants"
ENVIRONMENT = f"AIRFLOW_CONN_{CONNECTION.upper()}"
RECORDS = "PHASED_ROLLOUT_RECORDS"
OPTIONS = {
    "connection": CONNECTION,
    "fields": {"shown": "/version", "extra": "settings.banner"},
    "read": {"path": "/v1/tenants/{tenant}", "absent": [404]},
    "apply": {"method": "PUT", "path": "/v1/tenants/{tenant}", "busy": [409]},
    "remove": {"path": "/v1/tenants/{tenant}", "expect": [204, 404]},
    "preview": {"path": "/v1/tenants/{tenant}/preview", "body": "merge", "notes": "warnings"},
    "status": {"at": "status", "good": ["active"], "pending": ["updating"], "failed": ["failed"]},
}


class TenantsHarness:
    """A version, which is upgraded to in the background, and a setting of each tenant."""

    many = 200

    def __init__(self) -> None:
        self._sandbox = SandboxTenants(pace=0.02).start()
        self._folder = tempfile.mkdtemp()
        self._numbers = itertools.count(1)
        os.environ[ENVIRONMENT] = self._sandbox.connection()
        self._records = os.environ.get(RECORDS)
        os.environ[RECORDS] = f"file://{self._folder}"
        api.cache_clear()

    def close(self) -> None:
        self._sandbox.stop()
        del os.environ[ENVIRONMENT], os.environ[RECORDS]
        if self._records is not None:
            os.environ[RECORDS] = self._records
        shutil.rmtree(self._folder)
        api.cache_clear()

    def substrate(self) -> Substrate:
        return HttpSubstrate(OPTIONS)

    def target(self) -> Target:
        name = f"tenant-{next(self._numbers)}"
        return Target(name, {"tenant": name})

    def change(self, value: str, *, extra: bool = False) -> Change:
        values = {"shown": value, **({"extra": "there"} if extra else {})}
        return Change(value, {"tenant.yaml": yaml.safe_dump(values)})

    def shown(self, target: Target) -> tuple[str | None, bool]:
        try:
            found = self._sandbox.plane.get(target.address["tenant"]).view()
        except PlaneError:
            return None, False
        return found["version"], "banner" in found["settings"]

    def trace(self, target: Target) -> Hashable:
        try:
            return self._sandbox.plane.get(target.address["tenant"]).revision
        except PlaneError:
            return None

    def by_hand(self, target: Target, value: str) -> None:
        self._sandbox.plane.touch(target.address["tenant"], version=value)

    @contextmanager
    def refusal(self, target: Target) -> Iterator[tuple[Change, str]]:
        yield self.change("2.2.0"), "version 2.2.0 has been withdrawn"

    @contextmanager
    def silence(self, target: Target) -> Iterator[None]:
        fault = self._sandbox.faults.add(Fault("reset", count=None))
        try:
            yield
        finally:
            self._sandbox.faults.remove(fault.id)

    @contextmanager
    def lost_replies(self, target: Target, *, skip: int) -> Iterator[None]:
        tenant = target.address["tenant"]
        fault = self._sandbox.faults.add(
            Fault("lost_reply", method="mutation", tenant=tenant, skip=skip)
        )
        try:
            yield
        finally:
            self._sandbox.faults.remove(fault.id)
