"""Puts the product into a world: its clock, its threads, its targets, its processes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace, coroutine
from typing import Any

import pytest
from airflow.sdk.bases.operator import BaseOperator, ExecutorSafeguard
from airflow.triggers.base import BaseTrigger

from phased_rollout import health, locks, rollout, substrates
from phased_rollout.operators import apply, callbacks
from phased_rollout.operators.base import now
from phased_rollout.records import RecordStore
from phased_rollout.sensors import soak as soak_sensor
from phased_rollout.triggers import answer, operation, soak, watch
from tests.properties.fleet import FleetSignal
from tests.properties.processes import current, point
from tests.properties.world import World

TEMPLATE = "Resources: {{Of: {{Type: {text}}}}}\n"


def write_changes(base: Path, *texts: str) -> None:
    """Write the change folders that rollouts name."""
    for text in texts:
        folder = base / "changes" / text
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "template.yaml").write_text(TEMPLATE.format(text=text))


def install(patch: pytest.MonkeyPatch, world: World) -> None:
    """Let the product run in this world until the patch is undone."""
    patch.setenv("PHASED_ROLLOUT_RECORDS", f"file://{world.base}/records")
    patch.setattr(ExecutorSafeguard, "test_mode", True)
    patch.setattr(BaseOperator, "log", logging.getLogger("silent"))
    patch.setattr(BaseTrigger, "log", logging.getLogger("silent"))
    patch.setattr(substrates, "build", lambda _: world.fleet)
    patch.setattr(health, "build", lambda _: [FleetSignal(world.fleet)])
    patch.setattr(apply, "get_current_context", dict)
    _questions(patch, world)
    _one_clock(patch, world)
    _one_thread(patch)
    _stops(patch, world)
    _owners(patch, world)


def _questions(patch: pytest.MonkeyPatch, world: World) -> None:
    """Keep answers as Airflow does: a question that is asked again deletes the one before."""

    def asked(*, ti_id: str, **_: Any) -> None:
        world.answers.pop(ti_id, None)

    def found(ti_id: str) -> SimpleNamespace:
        event = world.answers.get(ti_id, {})
        user = event.get("responded_by_user")
        return SimpleNamespace(
            response_received=bool(event),
            responded_at=event.get("responded_at"),
            chosen_options=event.get("chosen_options"),
            params_input={},
            responded_by_user=SimpleNamespace(**user) if user else None,
        )

    patch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", asked)
    patch.setattr(answer, "get_hitl_detail_content_detail", found)
    patch.setattr(answer, "UUID", str)


def _one_clock(patch: pytest.MonkeyPatch, world: World) -> None:
    class Datetime(datetime):
        @classmethod
        def now(cls, _: Any = None) -> Any:
            return world.clock.now()

    for module in [m for n, m in sys.modules.items() if n.startswith("phased_rollout.")]:
        if getattr(module, "now", None) is now:
            patch.setattr(module, "now", world.clock.now)
    for module in (callbacks, operation, soak):
        patch.setattr(module, "datetime", Datetime)
    patch.setattr(soak_sensor, "time", SimpleNamespace(sleep=lambda _: None))


def _one_thread(patch: pytest.MonkeyPatch) -> None:
    class Pool:
        def __init__(self, **_: Any) -> None: ...

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None: ...

        def map(self, call: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
            return [call(item) for item in items]

    async def in_thread(call: Callable[..., Any], *args: object) -> Any:
        return call(*args)

    async def for_each(items: Iterable[Any], call: Callable[[Any], Any]) -> list[Any]:
        return [call(item) for item in items]

    @coroutine
    def sleep(seconds: float) -> Generator[float, None, None]:
        yield seconds

    for module in (rollout, watch):
        patch.setattr(module, "ThreadPoolExecutor", Pool)
    for module in (answer, operation, soak):
        patch.setattr(module, "in_thread", in_thread)
        patch.setattr(module, "asyncio", SimpleNamespace(sleep=sleep))
    patch.setattr(operation, "for_each", for_each)


def _stops(patch: pytest.MonkeyPatch, world: World) -> None:
    """Stop before each record; each is written whole or not at all."""
    create = RecordStore.create

    def stopping(self: RecordStore, path: Any, value: Any) -> None:
        point(f"writes {path.name}")
        create(self, path, value)
        process = current()
        if process and path.name == "plan.json":
            run = next(r for r in world.runs if r.run_id == process.run_id)
            run.planned = process.context["planned"]
            run.made = datetime.fromisoformat(value["plan"]["made_at"])
            run.owed = process.seen["owed"]
        if process and path.parent.name == "started":
            run = next(r for r in world.runs if r.run_id == process.run_id)
            run.frozen = world.clock.at

    patch.setattr(RecordStore, "create", stopping)
    patch.setattr(os, "fsync", lambda _: None)


def _owners(patch: pytest.MonkeyPatch, world: World) -> None:
    """Let each process of the world be one for the locks, too, dead or alive."""
    held = locks.held
    started: dict[int, Any] = {}

    def this_process(run_id: str) -> locks.Owner:
        process = current()
        number = process.number if process else 0
        started[number] = process
        return locks.Owner(run_id, "host", number, 0.0)

    def is_dead(self: locks.Owner) -> bool:
        process = started.get(self.pid)
        return process is not None and process.over and not process.is_elsewhere

    @contextmanager
    def counted(*args: Any, **kwargs: Any) -> Iterator[None]:
        process = current()
        with held(*args, **kwargs):
            if process:
                process.holds += 1
            try:
                yield
            finally:
                if process:
                    process.holds -= 1

    patch.setattr(locks.Owner, "this_process", this_process)
    patch.setattr(locks.Owner, "is_dead", is_dead)
    patch.setattr(locks, "held", counted)
