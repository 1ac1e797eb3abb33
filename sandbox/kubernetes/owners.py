"""Who owns which fields of an object, and server-side apply with its conflicts."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sandbox.kubernetes.errors import ApiError
from sandbox.kubernetes.fields import (
    Path,
    in_words,
    is_missing,
    look,
    merge,
    paths,
    remove,
    tree,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Manager:
    """One who owns fields: by Apply, or by Update."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def __str__(self) -> str:
        applies = self.operation == "Apply"
        return f'"{self.name}"' + ("" if applies else f" using {self.api_version}")


@dataclass(slots=True)
class Stored:
    """An object and the owners of its fields."""

    content: Json
    owners: dict[Manager, set[Path]] = field(default_factory=dict)
    times: dict[Manager, str] = field(default_factory=dict)

    def shown(self) -> Json:
        """The object as it is answered, with ``managedFields``."""
        found = copy.deepcopy(self.content)
        entries = [
            {
                "manager": manager.name,
                "operation": manager.operation,
                "apiVersion": manager.api_version,
                "time": self.times.get(manager, found["metadata"]["creationTimestamp"]),
                "fieldsType": "FieldsV1",
                "fieldsV1": tree(owned),
                **({"subresource": manager.subresource} if manager.subresource else {}),
            }
            for manager, owned in self.owners.items()
            if owned
        ]
        if entries:
            found["metadata"]["managedFields"] = entries
        return found


def updated(stored: Stored | None, content: Json, manager: Manager) -> Stored:
    """What a create, update or patch makes of an object: who changes a field owns it."""
    if stored is None:
        return Stored(content, {manager: set(paths(content))})
    old = stored.content
    owners = {other: set(owned) for other, owned in stored.owners.items()}
    changed = {p for p in paths(content) if _differ(look(old, p), look(content, p))}
    for owned in owners.values():
        gone = {path for path in owned if is_missing(look(content, path))}
        owned.difference_update(changed, gone)
    owners[manager] = owners.get(manager, set()) | changed
    return Stored(content, owners, dict(stored.times))


def _differ(old: Any, new: Any) -> bool:
    return bool(is_missing(old) or old != new)


def applied(
    stored: Stored | None, wanted: Json, manager: Manager, *, force: bool
) -> tuple[Stored, bool]:
    """What server-side apply makes of an object, and whether that is another; raises ApiError."""
    owned = set(paths(wanted))
    if stored is None:
        return Stored(copy.deepcopy(wanted), {manager: owned}), True
    clashes = _clashes(stored, wanted, manager, owned)
    if clashes and not force:
        raise _conflict(clashes)
    owners = {other: set(has) for other, has in stored.owners.items()}
    for other, path in clashes:
        owners[other].discard(path)
    earlier = owners.get(manager, set())
    content = merge(stored.content, wanted)
    others = {path for other, has in owners.items() if other != manager for path in has}
    for path in sorted(earlier - owned, key=len, reverse=True):
        if not any(kept[: len(path)] == path for kept in (*others, *owned)):
            remove(content, path)
    owners[manager] = owned
    same = content == stored.content and owned == earlier
    return Stored(content, owners, dict(stored.times)), not same


def _clashes(
    stored: Stored, wanted: Json, manager: Manager, owned: set[Path]
) -> list[tuple[Manager, Path]]:
    return [
        (other, path)
        for other, has in stored.owners.items()
        if other != manager
        for path in sorted(has & owned)
        if not path[-1].startswith(("k:", "v:"))
        and look(wanted, path) not in ({}, look(stored.content, path))  # {} changes no map
    ]


def _conflict(clashes: list[tuple[Manager, Path]]) -> ApiError:
    """Say it as the API server does: one conflict alone, or all by manager."""
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {other}",
            "field": in_words(path),
        }
        for other, path in clashes
    ]
    if len(clashes) == 1:
        other, path = clashes[0]
        text = f"Apply failed with 1 conflict: conflict with {other}: {in_words(path)}"
    else:
        by_manager = defaultdict(list)
        for other, path in clashes:
            by_manager[other].append(f"- {in_words(path)}")
        parts = [
            "\n".join([f"conflicts with {other}:", *lines]) for other, lines in by_manager.items()
        ]
        text = f"Apply failed with {len(clashes)} conflicts: " + "\n".join(parts)
    return ApiError(409, "Conflict", text, causes=causes)
