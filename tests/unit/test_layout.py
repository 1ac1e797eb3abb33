"""The layout and the direction of imports that design relies on."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "plugins/phased_rollout"
LAYERS = [  # from the top; a module imports from its own layer and those below it
    ["dag_factory", "dag_control", "dag_params", "dag_settings", "dag_source", "cli", "ui"],
    ["operators", "sensors"],
    ["triggers"],
    ["rollout"],
    ["substrates", "health", "inventory"],
    [
        "aws",
        "aws_errors",
        "certificates",
        "claims",
        "debts",
        "http_access",
        "locks",
        "notify",
        "present",
    ],
    ["records"],
    [
        "changes",
        "config",
        "adapters",
        "metrics",
        "pointers",
        "record_names",
        "recurrence",
        "sources",
        "storage",
        "templates",
    ],
    ["model", "judge"],
    ["errors"],
]
EXCEPTIONS = {("sensors", "operators")}  # a sensor is a task too: callbacks and clock are shared
PURE = {"model": set(), "errors": set(), "judge": {"numpy"}}
"""Parts that do no input and output, and what they may use besides the standard library."""
WITHOUT_AIRFLOW = {*PURE, "config", "changes", "cli", "adapters", "recurrence"}
HEAVY = ("boto3", "botocore", "kubernetes", "cfnlint", "numpy", "scipy", "pandas", "moto", "plotly")


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules() -> list[Path]:
    return [p for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"]


def rank(part: str) -> int:
    return next(n for n, layer in enumerate(LAYERS) if part in layer)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_downwards_only(path: Path) -> None:
    part = part_of(path)
    for name in imports_of(path):
        if name.startswith("phased_rollout."):
            other = name.split(".")[1]
            assert rank(part) <= rank(other), f"{part} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_core_is_pure_and_the_edge_of_the_file_is_free_of_airflow(path: Path) -> None:
    part, names = part_of(path), {name.split(".")[0] for name in imports_of(path)}
    if part in PURE:
        assert names <= {*sys.stdlib_module_names, "phased_rollout", *PURE[part]}
    if part in WITHOUT_AIRFLOW:
        assert "airflow" not in names


def test_nothing_but_tests_and_the_demo_imports_the_sandbox() -> None:
    shipped = [*modules(), *(ROOT / "dags").rglob("*.py")]
    assert [p for p in shipped if any(n.startswith("sandbox") for n in imports_of(p))] == []


def test_the_dag_file_is_short_and_named_in_the_way_airflow_looks_for() -> None:
    text = (ROOT / "dags/rollouts.py").read_text()
    assert len(text.splitlines()) <= 25
    assert "airflow" in text.lower()
    assert "dag" in text


def test_airflow_does_not_execute_the_package_as_loose_plugin_files() -> None:
    assert (ROOT / "plugins/.airflowignore").read_text() == "phased_rollout/\n"


def test_modules_stay_small() -> None:
    long = {
        str(p.relative_to(PACKAGE)): lines
        for p in modules()
        if (lines := len(p.read_text().splitlines())) > 300
    }
    assert long == {}


def last_word_of(code: str, *, home: Path) -> str:
    """Run code in a process of its own, as Airflow would; gives the last line that it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"AIRFLOW_HOME": str(home), "PYTHONPATH": str(ROOT / "plugins")},
    )
    return done.stdout.splitlines()[-1]


def test_nothing_heavy_and_no_page_is_imported_while_a_dag_is_parsed(tmp_path: Path) -> None:
    code = (
        "import sys; from phased_rollout.dag_factory import build_dags; build_dags(); "
        f"print(sorted({{m.split('.')[0] for m in sys.modules}} & {set(HEAVY)!r}), "
        "[m for m in sys.modules if m.startswith('phased_rollout.ui')])"
    )
    assert last_word_of(code, home=tmp_path) == "[] []"


def test_a_task_that_reads_records_of_a_local_folder_loads_no_client_of_a_cloud(
    tmp_path: Path,
) -> None:
    code = (
        "import sys; from phased_rollout.records import RecordStore; "
        "store = RecordStore.from_environment(); store.create(store.root / 'a.json', {}); "
        "print(store.names(store.root), 'boto3' in sys.modules)"
    )
    assert last_word_of(code, home=tmp_path) == "['a.json'] False"


def test_what_a_plan_asks_the_judge_needs_no_numpy(tmp_path: Path) -> None:
    code = "import sys; import phased_rollout.judge.attainability; print('numpy' in sys.modules)"
    assert last_word_of(code, home=tmp_path) == "False"
