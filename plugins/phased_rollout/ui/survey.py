"""Where every channel and target of a run stands at one moment; what all views are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from phased_rollout.ui.cells import Cell, Stage, State, cells_of, stage_of
from phased_rollout.ui.facts import Facts
from phased_rollout.ui.holds import Hold, Why, holds_of


@dataclass(frozen=True, slots=True)
class Survey:
    """Stages by channel, cells by channel and target, and what holds the run."""

    stages: Mapping[str, Stage]
    cells: Mapping[str, Mapping[str, Cell]]
    holds: Sequence[Hold] = ()

    def count(self, *states: State) -> int:
        """Count the targets in these states."""
        return sum(cell.state in states for of in self.cells.values() for cell in of.values())

    def at(self, *stages: Stage) -> list[str]:
        """Name the channels at these stages, in order."""
        return [name for name, stage in self.stages.items() if stage in stages]


def survey(facts: Facts, *, over: bool, now: datetime) -> Survey:
    """Look at a run.

    :param over: whether it has ended
    """
    channels = facts.plan.channels if facts.plan else ()
    stages = {c.name: stage_of(facts, c, over=over) for c in channels}
    holds = [] if over else holds_of(facts, stages, now)
    held = {hold.channel for hold in holds if hold.why is not Why.OTHER}
    cells = {c.name: cells_of(facts, c, stages[c.name], held=c.name in held) for c in channels}
    for name in held.intersection(stages):
        stages[name] = Stage.HELD if stages[name] is Stage.WAITING else stages[name]
    return Survey(stages, cells, holds)
