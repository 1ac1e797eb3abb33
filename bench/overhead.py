"""What a rollout takes beyond its soaks."""

from __future__ import annotations

import sys
from itertools import count

from bench.report import Row, middle, spread
from bench.system import STOCK, Rollout, System, running

CHANNELS, TARGETS, SOAK, PHASE = 4, 3, 3.0, 0.02
_ONE = Rollout("one", 1, CHANNELS, TARGETS, SOAK, {})


def rows(*, runs: int) -> list[Row]:
    """Measure our Dag, the same graph without work and the plain Dag, in turn."""
    with running(_ONE, phase=PHASE) as system:
        ours, empty, plain = _measured(system, runs, "one", "one_empty", "one_plain")
    with running(_ONE, phase=PHASE, env=STOCK) as system:
        (stock,) = _measured(system, runs, "one_plain")
    least, half = middle(ours) / middle(empty), middle(ours) / middle(stock)
    cause = (
        f"the graph alone, with tasks that do nothing, takes {middle(empty):.1f} s: five tasks one "
        "after the other, each scheduled and started in a process of its own; the plain has three"
    )
    return [
        Row("a channel of our rollout, beside the empty Dag", least, 1.5, "×"),
        Row(
            "the same, beside the plain Dag under Airflow's stock settings",
            half,
            0.5,
            "×",
            cause=cause,
        ),
        Row("our rollout, our settings", middle(ours), note=spread(ours)),
        Row("the empty Dag, our settings", middle(empty), note=spread(empty)),
        Row("the plain Dag, our settings", middle(plain), note=spread(plain)),
        Row("the plain Dag, stock settings", middle(stock), note=spread(stock)),
    ]


def _measured(system: System, runs: int, *dags: str) -> list[list[float]]:
    """Give, for each Dag, the seconds that each run took for a channel beyond its soak."""
    taken: dict[str, list[float]] = {dag: [] for dag in dags}
    turn = count()
    for _ in range(runs):
        for dag in dags:
            run_id, wall = system.roll(dag, turn=0 if dag.endswith("_empty") else next(turn))
            taken[dag].append((wall - CHANNELS * SOAK) / CHANNELS)
            sys.stderr.write(f"{dag}: {wall:.1f} s\n{system.story(dag, run_id)}\n")
            sys.stderr.flush()
    return list(taken.values())
