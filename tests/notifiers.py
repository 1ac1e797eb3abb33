"""Notifiers that tests name in a definition: one that keeps what it is told, and bad ones."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from airflow.sdk import BaseNotifier

SECRET = "https://hooks.example/T0/very-secret"


class Keeps(BaseNotifier):
    """Keeps what it is told, rendered."""

    template_fields = ("text",)
    told: ClassVar[list[str]] = []

    def __init__(self, text: str = "{{ event }}: {{ title }}") -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        self.told.append(self.text)


class KeepsLater(Keeps):
    """Is asynchronous only."""

    notify = BaseNotifier.notify

    async def async_notify(self, context: Any) -> None:
        self.told.append(f"later {self.text}")


class Fails(BaseNotifier):
    """Fails, with a secret in its error."""

    def notify(self, context: Any) -> None:
        raise RuntimeError(f"POST {SECRET} gave 403")


class Exits(BaseNotifier):
    """Wants to end the process."""

    def notify(self, context: Any) -> None:
        raise SystemExit(1)


class Hangs(BaseNotifier):
    """Never comes back until the test lets it."""

    released = threading.Event()

    def notify(self, context: Any) -> None:
        self.released.wait(60)
