"""Runs steps after a delay, on one thread."""

from __future__ import annotations

import heapq
import itertools
import sys
import threading
import time
import traceback
from collections.abc import Callable

Step = Callable[[], None]


class Scheduler:
    """A heap of steps and the thread that runs them; a broken step is printed, not fatal."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._heap: list[tuple[float, int, Step]] = []
        self._order = itertools.count()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def later(self, delay: float, step: Step) -> None:
        """Run ``step`` after ``delay`` seconds."""
        with self._ready:
            heapq.heappush(self._heap, (time.monotonic() + delay, next(self._order), step))
            self._ready.notify()

    def stop(self) -> None:
        with self._ready:
            self._stopped = True
            self._ready.notify()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (step := self._next()) is not None:
            try:
                step()
            except Exception:  # noqa: BLE001 whatever breaks one stack must not stop the others
                traceback.print_exc(file=sys.stderr)

    def _next(self) -> Step | None:
        with self._ready:
            while not self._stopped:
                if not self._heap:
                    self._ready.wait()
                    continue
                wait = self._heap[0][0] - time.monotonic()
                if wait <= 0:
                    return heapq.heappop(self._heap)[2]
                self._ready.wait(wait)
        return None
