"""Field ownership: which paths of an object a manager has, and server-side apply over them.

A path is a tuple of steps: ``.name`` for a field, ``k:{…}`` for an item of a list that is a map,
``v:…`` for one of a set. Lists that are maps or sets are known by the name of their field, which is
enough for the kinds served here; all others are atomic.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Path = tuple[str, ...]

_KEYS: dict[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
_SETS = {"finalizers"}
_DEFAULTS: Json = {"protocol": "TCP"}
_NEVER_OWNED = {
    ("apiVersion",),
    ("kind",),
    ("metadata",),
    *(
        ("metadata", name)
        for name in (
            "creationTimestamp", "deletionTimestamp", "generation", "managedFields", "name",
            "namespace", "resourceVersion", "selfLink", "uid",
        )
    ),
}  # fmt: skip


def keys_of(field: str, items: list[Any]) -> tuple[str, ...] | None:
    """The keys of a list that is a map; None for any other list."""
    if not all(isinstance(item, dict) for item in items):
        return None
    if field == "ports":
        container = any("containerPort" in item for item in items)
        return ("containerPort" if container else "port", "protocol")
    return _KEYS.get(field)


def _step(item: Json, keys: tuple[str, ...]) -> str:
    chosen = {key: item.get(key, _DEFAULTS.get(key)) for key in keys}
    return "k:" + json.dumps(chosen, sort_keys=True, separators=(",", ":"))


def paths(value: Any, *, prefix: Path = (), field: str = "") -> Iterator[Path]:
    """The paths that somebody has who sets this: leaves, and items of lists that are maps."""
    if _is_never_owned(prefix) and prefix != (".metadata",):
        return
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from paths(inner, prefix=(*prefix, f".{name}"), field=name)
    elif isinstance(value, list) and value and (keys := keys_of(field, value)):
        for item in value:
            here = (*prefix, _step(item, keys))
            yield here
            yield from paths(item, prefix=here)
    elif isinstance(value, list) and value and field in _SETS:
        yield from ((*prefix, f"v:{json.dumps(item)}") for item in value)
    elif prefix:
        yield prefix


def _is_never_owned(prefix: Path) -> bool:
    return tuple(step.removeprefix(".") for step in prefix) in _NEVER_OWNED


_MISSING = object()


def look(value: Any, path: Path) -> Any:
    """The value at a path; ``MISSING`` when there is none."""
    for step in path:
        value = _inner(value, step)
        if value is _MISSING:
            return value
    return value


def _inner(value: Any, step: str) -> Any:
    if step.startswith("."):
        return value.get(step[1:], _MISSING) if isinstance(value, dict) else _MISSING
    if not isinstance(value, list):
        return _MISSING
    if step.startswith("v:"):
        found = json.loads(step[2:])
        return found if found in value else _MISSING
    return next((item for item in value if _has(item, step)), _MISSING)


def _has(item: Any, step: str) -> bool:
    wanted = json.loads(step[2:])
    return isinstance(item, dict) and all(
        item.get(key, _DEFAULTS.get(key)) == value for key, value in wanted.items()
    )


def is_missing(value: Any) -> bool:
    return value is _MISSING


def remove(value: Any, path: Path) -> None:
    """Take a path out, and what is empty then around it."""
    inner = look(value, path[:-1])
    if is_missing(inner):
        return
    last = path[-1]
    if last.startswith("."):
        inner.pop(last[1:], None)
    elif last.startswith("v:"):
        inner[:] = [item for item in inner if item != json.loads(last[2:])]
    else:
        inner[:] = [item for item in inner if not _has(item, last)]
    if not inner and len(path) > 1:
        remove(value, path[:-1])


def merge(live: Any, wanted: Any, *, field: str = "") -> Any:
    """Lay what is wanted over what is there, lists that are maps item by item."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        found = dict(live)
        for name, value in wanted.items():
            found[name] = merge(live[name], value, field=name) if name in live else value
        return copy.deepcopy(found)
    if isinstance(live, list) and isinstance(wanted, list) and wanted:
        if keys := keys_of(field, [*live, *wanted]):
            return _merged_items(live, wanted, keys)
        if field in _SETS:
            return [*live, *(item for item in wanted if item not in live)]
    return copy.deepcopy(wanted)


def _merged_items(live: list[Json], wanted: list[Json], keys: tuple[str, ...]) -> list[Json]:
    found = {_step(item, keys): item for item in live}
    for item in wanted:
        step = _step(item, keys)
        found[step] = merge(found[step], item) if step in found else item
    return copy.deepcopy(list(found.values()))


def tree(owned: set[Path]) -> Json:
    """Paths as ``fieldsV1``."""
    root: Json = {}
    for path in sorted(owned):
        node = root
        for step in path:
            node = node.setdefault(f"f:{step[1:]}" if step.startswith(".") else step, {})
        if path[-1].startswith("k:"):
            node["."] = {}
    return root


def in_words(path: Path) -> str:
    """A path as messages have it: ``.spec.template.spec.containers[name="web"].image``."""
    text = ""
    for step in path:
        if step.startswith("k:"):
            keys = json.loads(step[2:])
            text += "[" + ",".join(f"{k}={json.dumps(v)}" for k, v in keys.items()) + "]"
        elif step.startswith("v:"):
            text += f"[={step[2:]}]"
        else:
            text += step
    return text
