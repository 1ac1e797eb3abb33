"""Runs the benchmark of the judge and writes its table into docs/health.md: make bench-health."""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from bench.rivals import kayenta, kayenta_pooled, z_score
from bench.simulator import Scene
from phased_rollout.judge.case import Case
from phased_rollout.judge.judgement import Verdict
from phased_rollout.judge.judging import judge
from phased_rollout.judge.rules import LOOKS

PAGE = Path(__file__).parents[1] / "docs/health.md"
BEGIN, END = "<!-- bench-health: begin -->", "<!-- bench-health: end -->"
SHOCK = 3.0
FLEETS = ((1, 1), (3, 0), (3, 3), (3, 9), (6, 12))
EVENTS: dict[str, dict[str, float]] = {
    "nothing": {},
    "fleet shock +3 sd": {"shock": SHOCK},
    "harm +2 sd": {"harm": 2.0},
    "harm +1 sd": {"harm": 1.0},
    "shock and harm +2 sd": {"shock": SHOCK, "harm": 2.0},
}
SPECIAL = {
    "3v9, rhythms 4 h apart": Scene(3, 9, phase=4.0),
    "3v9, 15 % of points missing": Scene(3, 9, gaps=0.15),
    "3v9, one noisy target": Scene(3, 9, noisy=True),
    "3v9, counters": Scene(3, 9, kind="counter"),
    "3v9, 8 metrics": Scene(3, 9, metrics=8),
    "3v9, 24 h of history": Scene(3, 9, days=1),
    "3v9, 4 days of history": Scene(3, 9, days=4),
    "1v1, 24 h of history": Scene(1, 1, days=1),
    "3v9, soak of 4 h": Scene(3, 9, soak=240),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A fleet and what happens to it, in words and as a scene; whether it is looked at early."""

    fleet: str
    event: str
    scene: Scene
    looks: bool


def rows() -> list[Row]:
    """List what is measured: each fleet through all events, special ones through two."""
    plain = {f"{changed}v{controls}": Scene(changed, controls) for changed, controls in FLEETS}
    few = ("nothing", "harm +2 sd")
    return [
        Row(name, event, replace(scene, **EVENTS[event]), looks=name in plain)  # type: ignore[arg-type]
        for name, scene in (plain | SPECIAL).items()
        for event in (EVENTS if name in plain else few)
    ]


def measured(row: Row, runs: range, seed: int) -> Counter[str]:
    """Judge a row's fleets by all rules; delays are summed in minutes."""
    found: Counter[str] = Counter()
    for run in runs:
        case = row.scene.case(np.random.default_rng([seed, run]))
        found[f"ours {judge(case).verdict}"] += 1
        at = _found_at(case) if row.looks else None
        found["looks fail"] += at is not None
        found["looks minutes"] += round((at or 0) * row.scene.soak / LOOKS)
        for name, rule in RIVALS.items():
            found[name] += rule(case)
    return found


RIVALS: dict[str, Callable[[Case], bool]] = {
    "z": z_score,
    "kayenta": kayenta,
    "pooled": kayenta_pooled,
}


def _found_at(case: Case) -> int | None:
    looks = (k for k in range(1, LOOKS + 1) if judge(case, look=k).verdict is Verdict.FAIL)
    return next(looks, None)


def table(found: Sequence[tuple[Row, Counter[str]]], runs: int) -> Iterator[str]:
    """Give the lines of the table."""
    yield (
        "| fleet | what happens | FAIL, whole soak | held | FAIL, six looks | found after "
        "| z-score | Kayenta, before/after | Kayenta, pooled |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for row, count in found:
        fails = count["looks fail"]
        after = f"{count['looks minutes'] / fails:.0f} min" if fails else ""
        shares = [
            *(f"{count[key] / runs:.2f}" for key in ("ours fail", "ours inconclusive")),
            f"{fails / runs:.2f}" if row.looks else "",
            after,
            *(f"{count[key] / runs:.2f}" for key in ("z", "kayenta", "pooled")),
        ]
        yield f"| {row.fleet} | {row.event} | " + " | ".join(shares) + " |"


def facts(*, runs: int, seed: int, seconds: float) -> str:
    """Say how the table came to be."""
    small, large = (100 * math.sqrt(p * (1 - p) / runs) for p in (0.01, 0.6))
    return (
        f"{runs} runs a row, seed {seed}, standard error {small:.1f} points at .01 and {large:.1f} "
        f"at .6; soak 60 minutes and 8 days of history where not said otherwise. Python "
        f"{platform.python_version()}, numpy {np.__version__}, {platform.machine()}, "
        f"{os.cpu_count()} processors, {seconds:.0f} s. Made by `make bench-health RUNS={runs}`."
    )


def main() -> int:
    """Measure, print the table and write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=min(os.cpu_count() or 1, 4))
    given = parser.parse_args()
    began, listed = time.monotonic(), rows()
    with Pool(given.processes) as pool:
        jobs = [pool.apply_async(measured, (r, range(given.runs), given.seed)) for r in listed]
        found = []
        for row, job in zip(listed, jobs, strict=True):
            found.append((row, job.get()))
            sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {row.fleet}: {row.event}\n")
    seconds = time.monotonic() - began
    lines = [
        *table(found, given.runs),
        "",
        facts(runs=given.runs, seed=given.seed, seconds=seconds),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text("\n".join([before + BEGIN, *lines, END + after]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
