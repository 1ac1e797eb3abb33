"""Loaded by every Python process of a test's Airflow: sees each side effect, and may die there.

Python imports it because its folder leads PYTHONPATH. Of the folder that ``EFFECTS`` names it reads
``points/<definition>.json`` and writes ``log/<definition>.jsonl`` and ``hits/``.
"""

from __future__ import annotations

import fcntl
import importlib.abc
import importlib.util
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(os.environ.get("EFFECTS", "."))
_READS = re.compile(r"^(Describe|Get|List|Assume|Validate|Detect|Head|Batch)")
_UNASKED = 300.0
"""Seconds after which a process that nobody kills goes on by itself."""


@contextmanager
def effect(name: str, *, definition: str) -> Iterator[None]:
    """Pass a side effect: before it, and after it."""
    if not definition:
        yield
        return
    entry = {"process": _process(), "task": _task(), "effect": name}
    number = _noted(definition, entry | {"moment": "before"})
    _point(definition, entry | {"moment": "before", "number": number})
    try:
        yield
    except Exception as error:
        if type(error).__name__ != "RecordExistsError":  # which is as if it had been written
            raise
        _after(definition, entry, number)
        raise
    _after(definition, entry, number)


def _after(definition: str, entry: dict[str, Any], number: int) -> None:
    _noted(definition, entry | {"moment": "after"}, number=number)
    _point(definition, entry | {"moment": "after", "number": number})


def _process() -> str:
    return "task" if "AIRFLOW_CTX_TASK_ID" in os.environ else next(iter(sys.argv[1:2]), "?")


def _task() -> str:
    return os.environ.get("AIRFLOW_CTX_TASK_ID", "a trigger")


def _noted(definition: str, entry: dict[str, Any], *, number: int = 0) -> int:
    """Keep that a process came by; gives the how manieth effect of its kind that is, if done."""
    path = FOLDER / "log" / f"{definition}.jsonl"
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        past = [json.loads(line) for line in file]
        done = entry | {"moment": "after"}
        number = number or 1 + sum(1 for each in past if done.items() <= each.items())
        more = {"number": number, "at": time.time(), "pid": os.getpid()}
        file.write(json.dumps(entry | more) + "\n")
    return number


def _point(definition: str, here: dict[str, Any]) -> None:
    path = FOLDER / "points" / f"{definition}.json"
    points = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    for index, point in enumerate(points):
        if here.items() <= point.items():
            _hit(FOLDER / "hits" / f"{definition}~{index}", kills=point["kills"])


def _hit(path: Path, *, kills: str) -> None:
    """Die, or wait for being killed; only the first process that comes by does."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps({"kills": kills, "at": time.time()}))
    except FileExistsError:
        return
    if kills == "task":
        os.kill(os.getpid(), signal.SIGKILL)
    until = time.monotonic() + _UNASKED
    while time.monotonic() < until and not Path(f"{path}.go").exists():
        time.sleep(0.1)


# what is watched


def _watch_records(module: ModuleType) -> None:
    create = module.RecordStore.create

    def watched(self: Any, path: Any, value: Any) -> None:
        parts = str(path).partition(self.root.path)[2].strip("/").split("/")
        of = parts[1] if parts[0] == "rollouts" else ""
        with effect(_record(parts), definition=os.environ.get("AIRFLOW_CTX_DAG_ID", of)):
            create(self, path, value)

    module.RecordStore.create = watched


def _record(parts: Sequence[str]) -> str:
    """Name what a record says, by its path below the root."""
    kept = [p for p in parts if p in ("ledger", "targets", "before", "claims", "locks", "told")]
    last = parts[-1]
    if "ledger" in kept or "targets" in kept:
        return f"record {last.split('~')[1]}"
    if "locks" in kept:
        return "lock released" if last.endswith(".released.json") else "lock taken"
    return f"record {kept[0]}" if kept else f"record {parts[0 if parts[0] != 'rollouts' else 2]}"


def _watch_aws(module: ModuleType) -> None:
    get = module.Endpoint._do_get_response

    def watched(self: Any, request: Any, operation_model: Any, context: Any) -> Any:
        name = operation_model.name
        of = "" if _READS.match(name) else os.environ.get("AIRFLOW_CTX_DAG_ID", "")
        with effect(name, definition=of):
            return get(self, request, operation_model, context)

    module.Endpoint._do_get_response = watched


WATCHED: dict[str, Callable[[ModuleType], None]] = {
    "phased_rollout.records": _watch_records,
    "botocore.endpoint": _watch_aws,
}


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the watched modules as Python does, and watches them once they are loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        watch = WATCHED.pop(fullname, None)
        spec = importlib.util.find_spec(fullname) if watch else None
        if watch is None or spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def loaded(module: ModuleType) -> None:
            load(module)
            watch(module)

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec


if "EFFECTS" in os.environ:
    sys.meta_path.insert(0, _Finder())
