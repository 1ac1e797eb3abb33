"""The view over all definitions: what each one's newest run does, and what is owed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from phased_rollout.debts import Debt
from phased_rollout.ui.facts import AirflowRun, Facts
from phased_rollout.ui.run_view import Json, summary
from phased_rollout.ui.survey import survey


@dataclass(frozen=True, slots=True)
class Line:
    """One definition.

    :param dag_id: of the regular Dag, or of the emergency Dag when only that may be read
    :param run: the newest run of either Dag; None when there was none
    """

    definition: str
    dag_id: str
    description: str
    paused: bool
    run: AirflowRun | None = None
    facts: Facts = field(default_factory=Facts)
    pace: float | None = None
    debts: Sequence[Debt] = ()


def overview(lines: Sequence[Line], *, now: datetime) -> Json:
    """Tell of each definition where its newest run is."""
    return {"definitions": [_line(line, now) for line in lines]}


def _line(line: Line, now: datetime) -> Json:
    told: Json = {
        "definition": line.definition,
        "dag": line.dag_id,
        "about": line.description,
        "paused": line.paused,
        "owed": len(line.debts),
        "run": None,
    }
    if line.run:
        found = survey(line.facts, over=line.run.is_over, now=now)
        told["run"] = summary(line.facts, line.run, found, now=now, pace=line.pace)
    return told
