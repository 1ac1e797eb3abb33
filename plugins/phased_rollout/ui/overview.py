"""The view over all definitions: what each one's newest run does, and what is owed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from phased_rollout.debts import Debt
from phased_rollout.ui.facts import Facts
from phased_rollout.ui.progress import AirflowRun
from phased_rollout.ui.run_view import Json, run_view


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


def overview(lines: Sequence[Line]) -> Json:
    """Tell of each definition where its newest run is."""
    return {"definitions": [_line(line) for line in lines]}


def _line(line: Line) -> Json:
    told: Json = {
        "definition": line.definition,
        "dag": line.dag_id,
        "about": line.description,
        "paused": line.paused,
        "owed": len(line.debts),
        "run": None,
    }
    if line.run:
        whole = run_view(line.facts, line.run, pace=line.pace)
        kept = ("dag", "run", "state", "over", "began", "ended", "standing", "end", "plan")
        told["run"] = {name: whole[name] for name in kept}
        told["run"]["channels"] = [
            {name: channel[name] for name in ("name", "stage", "counts", "soak_ends")}
            for channel in whole["channels"]
        ]
    return told
