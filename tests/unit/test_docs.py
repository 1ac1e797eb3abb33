"""What the pages say is there: tests, keys, links."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

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


CONFIGURE = (ROOT / "docs/configure.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [x for x in links if "://" not in x and not (page.parent / x).exists()]
    assert missing == []


def keys_of(schema: Any) -> set[str]:
    """Name all keys that a JSON schema knows, wherever they stand."""
    if isinstance(schema, list):
        return {key for each in schema for key in keys_of(each)}
    if not isinstance(schema, dict):
        return set()
    named = schema.get("properties", {})
    inner = {key for each in schema.values() for key in keys_of(each)}
    return inner | (set(named) if isinstance(named, dict) else set())


def test_every_key_of_channels_yaml_is_explained() -> None:
    known = keys_of(json.loads((ROOT / "include/channels.schema.json").read_text()))
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`\n]+)`", CONFIGURE))))
    assert len(known) > 70
    assert known - words == set()
