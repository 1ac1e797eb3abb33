"""What the judge of metrics could find in a rollout, before it begins."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta

from phased_rollout.judge.attainability import Attainable, attainability
from phased_rollout.judge.rules import ALPHA, MIN_EFFECT_SD, MIN_POINTS
from phased_rollout.model.definition import Channel, Definition, GateKind
from phased_rollout.model.metric import Metric, judged

HISTORY = timedelta(days=14)
"""How far back series are read: thirteen days to learn from, and the time just before a soak."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """How well a metric of a channel can be judged, if its series go back as far as are read.

    :param changed: targets of the channel
    :param controls: targets that the change has not reached by then
    """

    channel: Channel
    metric: Metric
    changed: int
    controls: int
    attainable: Attainable

    def __str__(self) -> str:
        """Say it in a line."""
        sides = f"{self.changed} changed against {self.controls} not reached"
        found, what = self.attainable, f"judges {self.metric.name} ({self.metric.worse} is worse)"
        if not found.possible:
            return f"{what}, {sides}: can never tell harm: {found.reason}"
        sees = f"sees {found.visible_effect_sd:.2g} sd in 4 of 5 cases"
        least = f", p {found.smallest_p:.2g} at least" if found.smallest_p else ""
        weak = f"; {found.reason}" if found.reason else ""
        return f"{what}, {sides}: rule {found.rule}{least}, {sees}{weak}"

    @property
    def problem(self) -> str | None:
        """Say why a gate relies on a judgement that can never be made; None when none does."""
        if self.attainable.possible or GateKind.HEALTH not in self.channel.gate:
            return None
        return (
            f"the gate of {self.channel.name} waits for a judgement of {self.metric.name} that can "
            f"never be made: {self.attainable.reason}; or give the metric a limit (above, below) "
            "in place of worse, or let the gate be timer or approval"
        )


def outlooks(definition: Definition, *, bypassed: Collection[str] = ()) -> Iterator[Outlook]:
    """Give the outlook on each judged metric of each channel that soaks, in order.

    :param bypassed: channels that are left out: their targets are controls all along
    """
    for number, channel in enumerate(definition.channels):
        metrics = [m for signal in channel.signals for m in judged(signal.options)]
        if channel.name in bypassed or not channel.soak:
            continue
        others = [
            len(other.targets)
            for place, other in enumerate(definition.channels)
            if place > number or other.name in bypassed
        ]
        for metric in metrics:
            least = MIN_EFFECT_SD if metric.min_effect_sd is None else metric.min_effect_sd
            found = attainability(
                changed=len(channel.targets),
                controls=sum(others),
                history=HISTORY,
                soak=channel.soak,
                alpha=ALPHA,
                metrics=len(metrics),
                min_effect_sd=least,
                interval=timedelta(seconds=metric.period),
                min_points=MIN_POINTS if metric.min_points is None else metric.min_points,
            )
            yield Outlook(channel, metric, len(channel.targets), sum(others), found)
