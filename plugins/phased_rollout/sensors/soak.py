"""The soak: the least time a change is observed in a channel before it may go on."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.operators.base import now
from phased_rollout.triggers.soak import SHORTEST_DEFERRAL, SoakTrigger

_LOOKS = 30
_FASTEST, _SLOWEST = 1.0, 30.0


class SoakSensor(TimeDeltaSensor):
    """Counts from the moment the channel's last target was verified, and watches all along.

    Ends early, failed, as soon as a hard health signal says harm. Holds no worker slot.

    :param definition: name of the rollout definition
    :param channel: the channel that soaks
    :param since: moments at which the waves were verified, ISO 8601; the last one counts
    """

    template_fields = ("delta", "since")

    def __init__(
        self, *, definition: str, channel: str, since: Any, delta: timedelta, **kwargs: Any
    ) -> None:
        kwargs.setdefault("timeout", (delta + timedelta(days=1)).total_seconds())
        super().__init__(delta=delta, deferrable=True, end_from_trigger=True, **kwargs)
        self.definition = definition
        self.channel = channel
        self.since = since

    def _derive_base_time(self, context: Any) -> datetime:
        moments: Iterable[str] = [self.since] if isinstance(self.since, str) else self.since
        return max(datetime.fromisoformat(moment) for moment in moments)

    def execute(self, context: Any) -> None:
        """Wait for the end of the soak in the triggerer."""
        until = self._derive_base_time(context) + self._resolve_delta()
        left = until - now()
        self.log.info("soaking until %s, another %s", until.isoformat(), left)
        if left < SHORTEST_DEFERRAL:
            time.sleep(max(0.0, left.total_seconds()))
            return
        seconds = self._resolve_delta().total_seconds() / _LOOKS
        trigger = SoakTrigger(
            definition=self.definition,
            run_id=context["run_id"],
            channel=self.channel,
            until=until.isoformat(),
            interval=min(max(seconds, _FASTEST), _SLOWEST),
        )
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            timeout=left + timedelta(hours=1),
        )

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """End the soak early on harm."""
        raise AirflowFailException(f"harm while {self.channel} soaked: {event['harm']}")
