"""What a rollout takes beyond its soaks."""

from __future__ import annotations

from itertools import count

from bench.report import Row, middle, spread
from bench.system import STOCK, Rollout, System, running

CHANNELS, TARGETS, SOAK, PHASE = 4, 3, 4.0, 0.02
_ONE = Rollout("one", 1, CHANNELS, TARGETS, SOAK, {})


def rows(*, runs: int) -> list[Row]:
    """Measure our Dag, the same graph without work and the plain Dag, in turn."""
    with running(_ONE, phase=PHASE) as system:
        ours, empty, plain = _measured(system, runs, "one", "one_empty", "one_plain")
    with running(_ONE, phase=PHASE, env=STOCK) as system:
        (stock,) = _measured(system, runs, "one_plain")
    least, half = middle(ours) / middle(empty), middle(ours) / middle(stock)
    return [
        Row("a channel of our rollout, beside the empty Dag", least, 1.5, "×", cause=_CAUSE),
        Row("the same, beside the plain Dag under Airflow's stock settings", half, 0.5, "×",
            cause=_CAUSE),
        Row("our rollout, our settings", middle(ours), note=spread(ours)),
        Row("the empty Dag, our settings", middle(empty), note=spread(empty)),
        Row("the plain Dag, our settings", middle(plain), note=spread(plain)),
        Row("the plain Dag, stock settings", middle(stock), note=spread(stock)),
    ]  # fmt: skip


_CAUSE = (
    "an apply that waits for its stack costs a deferral of at least 2 s (Airflow loses shorter "
    "ones) and a second process, which the empty graph does not have."
)


def _measured(system: System, runs: int, *dags: str) -> list[list[float]]:
    """Give, for each Dag, the seconds that each run took for a channel beyond its soak."""
    taken: dict[str, list[float]] = {dag: [] for dag in dags}
    turn = count()
    for run in range(runs + 1):
        for dag in dags:
            wall = system.roll(dag, turn=0 if dag.endswith("_empty") else next(turn))[1]
            if run:  # the first one warms up
                taken[dag].append((wall - CHANNELS * SOAK) / CHANNELS)
    return list(taken.values())
