"""The soak: the least time a change is observed in a channel before it may go on."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.model.decision import Verdict
from phased_rollout.model.plan import how_to_retry
from phased_rollout.operators.base import now
from phased_rollout.rollout import Rollout
from phased_rollout.sensors.judging import is_judged, look, soak_of
from phased_rollout.triggers.soak import SHORTEST_DEFERRAL, SoakTrigger, interval_of


class SoakSensor(TimeDeltaSensor):
    """Counts from the moment the channel's last target was verified, and watches all along.

    How long is what the plan says, whatever the file says by then. Ends early, failed, as soon as a
    hard health signal says harm, or a look at the metrics does. Holds no worker slot.

    :param definition: name of the rollout definition
    :param channel: the channel that soaks
    :param delta: the soak in the file, which Airflow shows; the plan's is the one that counts
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
        moments: list[str] = [self.since] if isinstance(self.since, str) else list(self.since or [])
        if not moments:
            raise AirflowFailException(
                f"no wave of {self.channel} told when it was verified; a task that was marked "
                f"success did nothing: clear {self.channel}.apply with downstream"
            )
        return max(datetime.fromisoformat(moment) for moment in moments)

    def execute(self, context: Any) -> None:
        """Wait for the end of the soak in the triggerer."""
        rollout = Rollout.open(self.definition, context["run_id"])
        channel = rollout.plan.definition.channel(self.channel)
        until = self._derive_base_time(context) + channel.soak
        left = until - now()
        self.log.info("soaking until %s, another %s", until.isoformat(), left)
        if left < SHORTEST_DEFERRAL:
            time.sleep(max(0.0, left.total_seconds()))
            return
        lived = soak_of(rollout, channel) if is_judged(rollout, channel) else None
        ahead = lived.next_look(now()) if lived else None
        trigger = SoakTrigger(
            definition=self.definition,
            run_id=context["run_id"],
            channel=self.channel,
            until=until.isoformat(),
            interval=interval_of(channel.soak),
            judge_at=lived.look_at(ahead).isoformat() if lived and ahead else "",
        )
        # No deadline: a triggerer that is down is no evidence against the change.
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """Judge what was seen so far and soak on, or end the soak early.

        It ends on harm, for a newer rollout, and when an operator aborts this one.
        """
        if newer := event.get("newer"):
            raise AirflowFailException(f"a newer rollout has begun ({newer}): this one stands down")
        if event.get("aborted"):
            raise AirflowFailException(f"aborted by an operator while {self.channel} soaked")
        rollout = Rollout.open(self.definition, context["run_id"])
        harm = event.get("harm") or self._judged(rollout)
        if harm is None:
            self.execute(context)
            return
        again = how_to_retry(rollout.plan, task=f"{self.channel}.soak")
        raise AirflowFailException(f"harm while {self.channel} soaked: {harm}\n{again}")

    def _judged(self, rollout: Rollout) -> str | None:
        """Take the look that is due; gives the harm that it sees, if any."""
        channel = rollout.plan.definition.channel(self.channel)
        number = soak_of(rollout, channel).due_look(now())
        if number is None:
            return None
        decision = look(rollout, channel, number=number, at=now()).decision
        self.log.info("look %s of the soak: %s: %s", number, decision.verdict, decision.reason)
        return decision.reason if decision.verdict is Verdict.ROLL_BACK else None
