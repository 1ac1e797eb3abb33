"""The arithmetic and the tables of the benchmark, and what it found to grow too fast."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from bench.empty_graph import same_graph
from bench.parsing import written
from bench.report import Row, figure, middle, rendered, spread, write
from phased_rollout import config
from phased_rollout.dag_factory import build_dags


def test_a_row_says_whether_its_bound_is_kept_and_why_not() -> None:
    rows = [
        Row("kept", 1.3, 1.3, "×"),
        Row("missed", 1.31, 1.3, "×", cause="it does more."),
        Row("beside", 12.34, note="1 run"),
    ]
    assert rendered(rows, made="made so") == [
        "| what | measured | bound | | how |",
        "|---|---|---|---|---|",
        "| kept | 1.30 × | ≤ 1.30 × | met |  |",
        "| missed | 1.31 × | ≤ 1.30 × | **missed** |  |",
        "| beside | 12.3 s |  |  | 1 run |",
        "",
        "Missed, and why:",
        "",
        "- missed: it does more.",
        "",
        "made so",
    ]


def test_figures_are_medians_that_say_how_far_apart_the_runs_were() -> None:
    assert middle([3.0, 1.0, 2.0]) == 2.0
    assert spread([3.0, 1.0, 2.0]) == "median of 3 runs, 1 s to 3 s"
    assert spread([3.0]) == "1 run"
    assert [figure(v, "s") for v in (0, 0.123, 12.34, 123.4)] == [
        "0 s",
        "0.12 s",
        "12.3 s",
        "123 s",
    ]


def test_a_table_is_written_between_its_marks_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "a\n<!-- bench one: begin -->\nold\n<!-- bench one: end -->\nz\n"
    page.write_text(text)
    write("one", ["new"], page=page)
    assert page.read_text() == text.replace("old", "new")
    with pytest.raises(ValueError, match="bench two: begin"):
        write("two", ["new"], page=page)


def serialised(folder: Path, *, channels: int, targets: int) -> int:
    file = written(folder / "channels.yaml", channels=channels, targets=targets)
    return len(json.dumps(DagSerialization.to_dict(build_dags(config.load(file))["one"])))


def test_the_empty_graph_has_the_tasks_and_edges_of_the_rollout(tmp_path: Path) -> None:
    dag = build_dags(config.load(written(tmp_path / "c.yaml", channels=3, targets=2)))["one"]
    empty = same_graph(dag)
    edges = {t.task_id: (t.downstream_task_ids, t.trigger_rule) for t in dag.tasks}
    assert {t.task_id: (t.downstream_task_ids, t.trigger_rule) for t in empty.tasks} == edges


def test_a_dag_does_not_grow_with_its_targets_and_no_faster_than_its_channels(
    tmp_path: Path,
) -> None:
    few, many = (serialised(tmp_path, channels=10, targets=n) for n in (1, 1_000))
    assert many < 1.1 * few
    ten_times = serialised(tmp_path, channels=100, targets=1)
    assert ten_times < 10.5 * few
