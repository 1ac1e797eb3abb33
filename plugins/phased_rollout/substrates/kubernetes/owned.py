"""What of an object its field manager owns: read from ``managedFields``, as the server keeps it.

Source: https://kubernetes.io/docs/reference/using-api/server-side-apply/ and the format FieldsV1
of ``meta/v1``: ``f:`` a field, ``k:`` an item of a list by its keys, ``v:`` one by its value,
``i:`` one by its number, ``.`` the thing itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from phased_rollout.model.digest import digest_of

Json = dict[str, Any]

_NOTHING = object()


def entries_of(live: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Give the entries of ``managedFields``, but for those of subresources."""
    for entry in live["metadata"].get("managedFields") or ():
        if not entry.get("subresource"):
            yield entry


def applied_by(live: Mapping[str, Any], manager: str) -> Json | None:
    """Give what the manager applied and still owns, as a manifest; None when that is nothing."""
    for entry in entries_of(live):
        if (entry.get("manager"), entry.get("operation")) == (manager, "Apply"):
            found = _taken(live, entry.get("fieldsV1") or {})
            return {**(found if isinstance(found, dict) else {}), **_identity(live, found)}
    return None


def others_apply(live: Mapping[str, Any], manager: str) -> list[str]:
    """Name the other managers that apply to an object."""
    return sorted(
        {
            str(entry.get("manager"))
            for entry in entries_of(live)
            if entry.get("operation") == "Apply" and entry.get("manager") != manager
        }
    )


def fingerprint(live: Mapping[str, Any], manager: str) -> str:
    """Name what the manager owns and its values: another as soon as somebody else changes that."""
    return digest_of(applied_by(live, manager))[:16]


def _identity(live: Mapping[str, Any], found: Any) -> Json:
    metadata = dict((found.get("metadata") or {}) if isinstance(found, dict) else {})
    metadata["name"] = live["metadata"]["name"]
    if namespace := live["metadata"].get("namespace"):
        metadata["namespace"] = namespace
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata}


def _taken(value: Any, fields: Mapping[str, Any]) -> Any:
    """Give of a value what the fields name; a leaf is taken as a whole."""
    inner = {step: under for step, under in fields.items() if step != "."}
    if not inner:
        return value if not fields or not isinstance(value, (dict, list)) else type(value)()
    if isinstance(value, dict):
        return {
            step[2:]: found
            for step, under in inner.items()
            if (found := _taken(value.get(step[2:], _NOTHING), under)) is not _NOTHING
        }
    if isinstance(value, list):
        return list(_items(value, inner))
    return value


def _items(value: list[Any], fields: Mapping[str, Any]) -> Iterator[Any]:
    for step, under in fields.items():
        if step.startswith("v:"):
            if (wanted := json.loads(step[2:])) in value:
                yield wanted
        elif step.startswith("i:"):
            if int(step[2:]) < len(value):
                yield _taken(value[int(step[2:])], under)
        else:
            keys = json.loads(step[2:])
            found = next((i for i in value if isinstance(i, dict) and _has(i, keys)), None)
            if found is not None:
                yield {**_taken(found, {**under, ".": {}}), **keys}


def _has(item: Json, keys: Json) -> bool:
    return all(item.get(key, "TCP" if key == "protocol" else None) == v for key, v in keys.items())
