"""The control plane: tenants, each with a version, settings, a status and a revision."""

from __future__ import annotations

import copy
import threading
import time
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

WITHDRAWN = frozenset({"2.2.0"})
"""Versions that are refused."""
FAILING = frozenset({"2.5.0"})
"""Versions whose upgrade is accepted, and fails."""
FIRST: Json = {
    "plan": "standard",
    "version": None,
    "status": "active",
    "settings": {},
    "region": "eu",
}
_WRITABLE = {"plan", "version", "settings"}
_OWN = {"id", "status", "region", "revision"}
_THEMES = {"light", "dark", "contrast"}


class PlaneError(Exception):
    """The control plane said no.

    :param status: of HTTP
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def body(self) -> Json:
        return {"error": {"code": self.code, "message": str(self)}}


@dataclass(slots=True)
class Tenant:
    """One tenant; an upgrade under way has the version that it is to get, and when."""

    id: str
    document: Json = field(default_factory=lambda: copy.deepcopy(FIRST))
    revision: int = 1
    upgrade: tuple[float, Any] | None = None

    @property
    def etag(self) -> str:
        return f'"{self.revision}"'

    def view(self) -> Json:
        return {"id": self.id, **copy.deepcopy(self.document), "revision": self.revision}


class Plane:
    """All tenants. Thread-safe.

    :param pace: seconds that an upgrade takes; with 0 it is done at once
    """

    def __init__(self, *, pace: float) -> None:
        self.pace = pace
        self._lock = threading.RLock()
        self._tenants: dict[str, Tenant] = {}

    def get(self, name: str) -> Tenant:
        with self._lock:
            if name not in self._tenants:
                raise PlaneError(404, "not_found", f"there is no tenant {name!r}")
            found = self._tenants[name]
            if found.upgrade and time.monotonic() >= found.upgrade[0]:
                self._finish(found)
            return found

    def list(self) -> list[Json]:
        with self._lock:
            return [self.get(name).view() for name in sorted(self._tenants)]

    def put(self, name: str, document: Json, if_match: str | None) -> tuple[int, Tenant]:
        """Replace what is writable; a tenant that is not there is made."""
        with self._lock:
            if name in self._tenants:
                whole: Json = {"plan": "standard", "version": None, "settings": {}}
                known = {k: v for k, v in document.items() if k not in _OWN}
                return self._change(self.get(name), {**whole, **known}, if_match)
            if if_match not in (None, ""):
                raise PlaneError(412, "precondition_failed", "there is no such tenant")
            _judge({k: v for k, v in document.items() if k not in _OWN})
            tenant = Tenant(name)
            status = self._change(tenant, {k: document[k] for k in _WRITABLE & {*document}}, None)
            self._tenants[name] = tenant
            return (201 if status[0] == 200 else status[0]), tenant  # noqa: PLR2004

    def patch(self, name: str, patch: Json, if_match: str | None) -> tuple[int, Tenant]:
        """Merge (RFC 7396)."""
        with self._lock:
            tenant = self.get(name)
            _judge(patch)
            merged = _merged({k: tenant.document[k] for k in _WRITABLE}, patch)
            return self._change(tenant, merged, if_match)

    def rehearse(self, name: str, patch: Json) -> Json:
        """Say what a patch would do."""
        with self._lock:
            version = self.get(name).document["version"]
            _judge(patch)
            target = patch.get("version", version)
            upgrades = target != version
            return {"warnings": [f"restarts for {target}"] if upgrades else []}

    def delete(self, name: str, if_match: str | None) -> None:
        with self._lock:
            _agree(self.get(name), if_match)
            del self._tenants[name]

    def touch(self, name: str, **document: Any) -> None:
        """Change a tenant past the API, at once, as an operator of the product would."""
        with self._lock:
            tenant = self.get(name)
            tenant.document.update(document)
            tenant.upgrade = None
            tenant.revision += 1

    def settle(self) -> None:
        """End all upgrades now."""
        with self._lock:
            for tenant in self._tenants.values():
                if tenant.upgrade:
                    self._finish(tenant)

    def _change(self, tenant: Tenant, document: Json, if_match: str | None) -> tuple[int, Tenant]:
        _agree(tenant, if_match)
        _judge(document)
        if tenant.upgrade:
            raise PlaneError(409, "busy", f"{tenant.id} is being upgraded")
        version = document.pop("version", None)
        upgrades = version != tenant.document["version"]
        tenant.document.update(copy.deepcopy(document))
        tenant.revision += 1
        if not upgrades and tenant.document["status"] != "failed":
            return 200, tenant
        tenant.document["status"] = "updating"
        tenant.upgrade = time.monotonic() + self.pace, version
        if self.pace <= 0:
            self._finish(tenant)
            return 200, tenant
        return 202, tenant

    def _finish(self, tenant: Tenant) -> None:
        if tenant.upgrade:
            version = tenant.upgrade[1]
            status = "failed" if version in FAILING else "active"
            tenant.document.update(version=version, status=status)
            tenant.upgrade = None
            tenant.revision += 1


def _agree(tenant: Tenant, if_match: str | None) -> None:
    if if_match == "":  # If-None-Match: *
        raise PlaneError(412, "precondition_failed", f"{tenant.id} is there already")
    # Compared strongly: a weak tag never matches (RFC 9110, 13.1.1).
    if if_match is not None and if_match != tenant.etag:
        raise PlaneError(412, "precondition_failed", f"{tenant.id} is at revision {tenant.etag}")


def _judge(document: Json) -> None:
    if unknown := sorted(document.keys() - _WRITABLE):
        raise PlaneError(422, "invalid", f"cannot be set: {', '.join(unknown)}")
    version, settings = document.get("version"), document.get("settings") or {}
    if version is not None and not isinstance(version, str):
        raise PlaneError(422, "invalid", "version must be a text")
    if version in WITHDRAWN:
        raise PlaneError(422, "withdrawn", f"version {version} has been withdrawn")
    if not isinstance(settings, dict) or settings.get("theme", "light") not in {*_THEMES, None}:
        themes = ", ".join(sorted(_THEMES))
        raise PlaneError(422, "invalid", f"settings.theme must be one of {themes}")


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    found = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), value)
    return found
