"""The inventory of outcomes names tests that exist, and every slow one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INVENTORY = (ROOT / "docs/outcomes.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", INVENTORY)


def functions_of(path: Path) -> list[str]:
    """Name the test functions of a module."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.parse(path.read_text()).body if isinstance(node, functions)]
    return [node.name for node in found if node.name.startswith("test_")]


def slow_tests() -> list[tuple[str, str]]:
    modules = [
        path
        for path in sorted((ROOT / "tests/integration").glob("test_*.py"))
        if "pytest.mark.faults" in path.read_text()
    ]
    return [(str(p.relative_to(ROOT)), name) for p in modules for name in functions_of(p)]


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED)))
def test_every_test_that_the_inventory_names_exists(path: str, name: str) -> None:
    assert name in functions_of(ROOT / path)


@pytest.mark.parametrize(("path", "name"), slow_tests())
def test_every_test_that_disturbs_airflow_is_in_the_inventory(path: str, name: str) -> None:
    assert (path, name) in NAMED


def test_every_row_of_the_inventory_names_a_test() -> None:
    rows = [line for line in INVENTORY.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith("| what happens")]
    assert len(rows) > 30
    assert [row for row in rows if "`tests/" not in row] == []
