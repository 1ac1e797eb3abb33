"""How long the Dag file takes to parse, and the file of channels to load, in CPU seconds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from bench.empty_graph import same_graph
from bench.report import Row, middle, spread
from phased_rollout import config
from phased_rollout.dag_factory import build_dags

CHANNELS, TARGETS_OF_A_CHANNEL, MOST = 300, 3, 10_000
_COLLECTOR = (
    "Python's collector makes full passes over what is kept, which smaller files do not reach: "
    "without it (gc.disable) both sizes take the same time per target."
)
SIZES = (1_000, 2_000, 5_000, MOST)


def rows(*, runs: int) -> list[Row]:
    """Measure; needs no Airflow that runs."""
    with TemporaryDirectory() as folder:
        return [*_parse(Path(folder) / "channels.yaml", runs), *_load(Path(folder), runs)]


def written(file: Path, *, channels: int, targets: int) -> Path:
    """Write a channels.yaml of listed targets, as a person or a generator would."""
    listed = [
        {
            "name": f"channel-{n}",
            "targets": [
                {"name": f"account-{n}-{m}", "account": f"7{n * targets + m:011d}"}
                for m in range(targets)
            ],
        }
        for n in range(channels)
    ]
    rollout = {
        "substrate": {
            "kind": "cloudformation",
            "connection": "aws",
            "role": "rollout",
            "stack": "baseline",
            "region": "eu-central-1",
        },
        "defaults": {"soak": "1h", "gate": "timer", "waves": {"size": 20}},
        "channels": listed,
    }
    file.write_text(yaml.safe_dump({"version": 1, "rollouts": {"one": rollout}}, sort_keys=False))
    return file


def _parse(file: Path, runs: int) -> list[Row]:
    written(file, channels=CHANNELS, targets=TARGETS_OF_A_CHANNEL)
    dags = list(build_dags(config.load(file)).values())
    ours, empty = [], []
    for _ in range(runs):
        ours.append(_seconds(lambda: _serialised(list(build_dags(config.load(file)).values()))))
        empty.append(_seconds(lambda: _serialised([same_graph(dag) for dag in dags])))
    what = f"{CHANNELS} channels of {TARGETS_OF_A_CHANNEL} targets"
    return [
        Row(
            f"{what}: reading the file, building and serialising all of its Dags",
            middle(ours) / middle(empty),
            1.3,
            "×",
            f"of the same graphs of EmptyOperators; {middle(ours):.1f} s, {spread(ours)}",
        ),
        Row("the same graphs of EmptyOperators", middle(empty), note=spread(empty)),
    ]


def _serialised(dags: list[DAG]) -> None:
    for dag in dags:
        DagSerialization.to_dict(dag)


def _load(folder: Path, runs: int) -> list[Row]:
    found = {}
    for size in SIZES:
        file = written(folder / f"{size}.yaml", channels=10, targets=size // 10)
        found[size] = [_seconds(lambda file=file: config.load(file)) for _ in range(runs)]  # type: ignore[misc]
    each = {size: middle(found[size]) / size for size in SIZES}
    growth = ", ".join(f"{size}: {1e6 * each[size]:.0f} µs" for size in SIZES)
    return [
        Row(
            f"loading and validating {MOST} listed targets",
            middle(found[MOST]),
            1.0,
            note=spread(found[MOST]),
        ),
        Row(
            f"time per target at {MOST} beside that at {SIZES[0]}",
            each[MOST] / each[SIZES[0]],
            1.3,
            "×",
            f"linear growth is 1; {growth}",
            cause=_COLLECTOR,
        ),
    ]


def _seconds(act: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    act()
    return time.process_time() - began
