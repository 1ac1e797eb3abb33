"""Writes the table of docs/faults.md from what the kills of `make faults` came to."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

PAGE = Path(__file__).parents[1] / "docs/faults.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
MOMENTS = ("before", "after")
KINDS = {
    "task": "the task's process",
    "scheduler": "scheduler",
    "triggerer": "triggerer",
    "database": "database",
}
"""What was killed, in words; the scheduler takes its executor and all tasks along."""

Row = dict[str, Any]


def cells(rows: Sequence[Row]) -> str:
    """Say what came of the kills of one process at one moment."""
    hits = [row for row in rows if row["hit"]]
    if not hits:
        return "not killed here"
    seconds = [row["seconds"] for row in hits if row["seconds"] is not None]
    bad = [row for row in hits if row["problems"]]
    took = f", {median(seconds):.0f} s" if seconds else ""
    return f"{len(hits) - len(bad)} of {len(hits)}{took}"


def lines_of(rows: Sequence[Row], kinds: Sequence[str]) -> list[str]:
    """Give the table: a row for each effect of each task and each moment."""
    head = ["task", "side effect", "killed", *(KINDS[kind] for kind in kinds), "executed"]
    found: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=_in_order):
        found[row["part"], row["what"], row["moment"]].append(row)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for (part, what, moment), mine in found.items():
        each = [cells([row for row in mine if row["kills"] == kind]) for kind in kinds]
        lines.append(f"| {' | '.join([part, what, moment, *each, executed(mine)])} |")
    return lines


def _in_order(row: Row) -> tuple[int, int]:
    parts = ("apply", "soak", "health", "gate")
    return parts.index(row["part"]) if row["part"] in parts else len(parts), row["order"]


def executed(rows: Iterable[Row]) -> str:
    """Say how often the targets of the runs were changed, and how often they should have been."""
    each = {
        (row["kills"], row["run"]): (row["executed"], row["undisturbed"])
        for row in rows
        if row["hit"]
    }
    return f"{sum(n for n, _ in each.values())} of {sum(m for _, m in each.values())}"


def totals(results: Sequence[Row], rows: Sequence[Row]) -> list[str]:
    """Sum up, and name what was missed."""
    hits = [row for row in rows if row["hit"]]
    bad = [row for row in hits if row["problems"]]
    missed = [text for result in results for text in result["uncovered"]]
    runs = {(row["kills"], row["run"]) for row in rows}
    return [
        f"**{len(hits)} kills in {len(runs)} runs; {len(hits) - len(bad)} recovered to what an "
        f"undisturbed run comes to; {len(missed)} moments missed.**",
        "",
        *(
            f"- failed: {row['kills']} {row['effect']} in {row['run']}: {row['problems']}"
            for row in bad
        ),
        *(f"- missed: {text}: its run did not come by there" for text in missed),
    ]


def facts(results: Sequence[Row]) -> str:
    """Say how the table came to be."""
    seconds = sum(result["seconds"] for result in results)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Airflow {version('apache-airflow')}, Python {platform.python_version()}, PostgreSQL, "
        f"{platform.machine()}, {os.cpu_count()} processors, {memory:.0f} GiB; {seconds} s besides "
        f"the starts of Airflow. {_made(results)}"
    )


def _made(results: Sequence[Row]) -> str:
    """Say which command makes the table, and whether this one is only a part of that."""
    parts = [result["name"] for result in results if not result["name"].endswith("-1-of-1")]
    if not parts and len(results) == len(KINDS):
        return "Made by `make faults`."
    return (
        f"Made from parts of `make faults` (`FAULTS_KILL`, `FAULTS_PART`): {', '.join(parts)}; "
        "what the other parts hold was not killed in this run, and is not in the table."
    )


def main() -> int:
    """Write the table into the page; fails when anything failed or was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    files = sorted(parser.parse_args().folder.glob("*.json"))
    results = [{"name": path.stem, **json.loads(path.read_text())} for path in files]
    rows = [
        r | {"run": f"{r['run']} of {result['name']}"} for result in results for r in result["rows"]
    ]
    done = {kind for result in results for kind in result["kinds"]}
    lines = [
        *totals(results, rows),
        *([""] if any(r["problems"] for r in rows) or any(r["uncovered"] for r in results) else []),
        *lines_of(rows, [kind for kind in KINDS if kind in done]),
        "",
        facts(results),
    ]
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text("\n".join([before + BEGIN, *lines, END + rest.partition(END)[2]]))
    sys.stdout.write(f"{lines[0]}\nwritten to {PAGE}\n")
    whole = done == set(KINDS) and not any(result["uncovered"] for result in results)
    return 0 if whole and not any(row["problems"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
