"""Judges runs whose processes were killed, by the call log, the targets and the records."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.integration.kills import Matrix, Run

MUTATIONS = ("ExecuteChangeSet", "DeleteStack")
ONCE = ("graduated", "verified", "restored", "rolled_back", "approved", "finished", "concluded")
"""Kinds of records that an undisturbed run has once of a channel or target, and no more."""


def problems_of(run: Run, undisturbed: Run) -> list[str]:
    """Say in words what differs from a run in which nothing was killed; empty when nothing does."""
    found = []
    if run.state != undisturbed.state:
        found.append(f"the run ended {run.state}, undisturbed {undisturbed.state}")
    if run.running != undisturbed.running:
        found.append(f"targets run {run.running}, undisturbed {undisturbed.running}")
    if order(run) != order(undisturbed):
        found.append(f"executed {order(run)}, undisturbed {order(undisturbed)}")
    executed = Counter(call for call in run.calls if call[1] in MUTATIONS)
    if twice := [f"{c[1]} in {c[0]}" for c, times in executed.items() if times > 1]:
        found.append(f"done twice: {', '.join(twice)}")
    if run.left_over:
        found.append(f"ChangeSets left over: {run.left_over}")
    return found + _recorded(run, undisturbed)


def order(run: Run) -> list[str]:
    """Give the channels in which something was executed, in order."""
    return [channel for channel, operation, _ in run.calls if operation in MUTATIONS]


def _recorded(run: Run, undisturbed: Run) -> list[str]:
    def counted(of: Run) -> dict[str, int]:
        return {k: n for k, n in of.records.items() if k.split()[0] in ONCE}

    found, expected = counted(run), counted(undisturbed)
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    strange = ("armed", "failed", "refused", "rolling_back", "restore_failed", "left_alone")
    never = sorted({k.split()[0] for k in run.records} & set(strange))
    said = sorted({k.split()[0] for k in undisturbed.records} & set(strange))
    return [
        *[f"no record: {key}" for key in missing],
        *[f"a record that is none of an undisturbed run: {key}" for key in extra],
        *([f"recorded {never}, undisturbed {said}"] if never != said else []),
    ]


def rows_of(matrix: Matrix, runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Give a row for each planned kill: whether it came to be, and what became of its run."""
    rows = []
    for run in runs:
        problems = problems_of(run, matrix.undisturbed[run.story])
        for index, kill in enumerate(run.kills):
            rows.append(
                {
                    "effect": str(kill.effect),
                    "part": kill.effect.part,
                    "what": kill.effect.effect,
                    "number": kill.effect.number,
                    "moment": kill.effect.moment,
                    "of": kill.effect.process,
                    "task": kill.task,
                    "run": run.name,
                    "hit": index in run.hits,
                    "order": list(matrix.seen).index(kill.effect),
                    "kills": kill.kills,
                    "seconds": round(run.recovered[index], 1) if index in run.recovered else None,
                    "executed": len(order(run)),
                    "undisturbed": len(order(matrix.undisturbed[run.story])),
                    "problems": problems,
                }
            )
    return rows


def uncovered(matrix: Matrix, rows: list[dict[str, Any]]) -> list[str]:
    """Name the effects that an undisturbed run had, and at which nothing was killed.

    The how manieth of its kind does not count here: how often a lock is taken depends on how often
    a task looks.
    """
    hit = {(r["kills"], r["part"], r["what"], r["moment"], r["of"]) for r in rows if r["hit"]}
    return sorted(
        f"{kind} killed {effect}"
        for kind in matrix.kinds
        for effect in matrix.seen_of(kind)
        if (kind, effect.part, effect.effect, effect.moment, effect.process) not in hit
    )


def keep(matrix: Matrix, rows: list[dict[str, Any]], *, seconds: float) -> None:
    """Write the rows where ``FAULTS`` says, for the report."""
    if folder := os.environ.get("FAULTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        found = {"kinds": matrix.kinds, "seconds": round(seconds), "rows": rows}
        found["uncovered"] = uncovered(matrix, rows)
        part = os.environ.get("FAULTS_PART", "1/1").replace("/", "-of-")
        path = Path(folder) / f"{'-'.join(matrix.kinds)}-{part}.json"
        path.write_text(json.dumps(found, indent=1), encoding="utf-8")
