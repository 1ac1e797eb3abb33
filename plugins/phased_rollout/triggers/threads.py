"""Lets a trigger make blocking calls without holding up the triggerer's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from asgiref.sync import sync_to_async

from phased_rollout.rollout import AT_ONCE

Item = TypeVar("Item")
Answer = TypeVar("Answer")


async def in_thread(call: Callable[..., Answer], *args: object) -> Answer:
    """Run a blocking call in a thread of its own, where Airflow's connections can be read."""
    return await sync_to_async(call, thread_sensitive=False)(*args)


async def for_each(items: Iterable[Item], call: Callable[[Item], Answer]) -> list[Answer]:
    """Run a blocking call for each item, a bounded number at once; answers in the items' order."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: Item) -> Answer:
        async with slots:
            return await in_thread(call, item)

    return list(await asyncio.gather(*(one(item) for item in items)))
