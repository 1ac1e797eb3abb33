"""The audit of dependencies: what was found fails, and what was not asked is never called clean."""

from __future__ import annotations

import json
from pathlib import Path
from runpy import run_path
from subprocess import CompletedProcess
from typing import Any

import pytest

AUDIT = run_path(str(Path(__file__).parents[2] / ".ci" / "audit.py"))
CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 3
GOOD: dict[str, Any] = {"name": "one", "version": "1.0", "vulns": []}
BAD = {"name": "two", "version": "2.0", "vulns": [{"id": "OSV-1", "fix_versions": ["2.1"]}]}
SKIPPED = {"name": "three", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("dependencies", "status", "said"),
    [
        ([GOOD], CLEAN, "1 pins, of none"),
        ([GOOD, BAD], VULNERABLE, "two 2.0: OSV-1, mended in 2.1"),
        ([GOOD, BAD, SKIPPED], VULNERABLE, "two 2.0"),
        ([GOOD, SKIPPED], NOT_AUDITED, "not audited: three: not found"),
        ([], NOT_AUDITED, "names no dependency"),
    ],
)
def test_what_the_service_answers_decides(
    dependencies: list[dict[str, Any]], status: int, said: str
) -> None:
    done = CompletedProcess("", 1, json.dumps({"dependencies": dependencies, "fixes": []}), "")
    found, lines = AUDIT["verdict"](done)
    assert found == status
    assert said in lines[0]


@pytest.mark.parametrize("printed", ["", "<html>", "[]", "{}", "null"])
def test_without_an_answer_nothing_was_audited_whatever_the_tool_ends_with(printed: str) -> None:
    for code in (0, 1, 2):
        done = CompletedProcess("", code, printed, "a\ncannot be reached")
        found, lines = AUDIT["verdict"](done)
        assert (found, len(lines)) == (NOT_AUDITED, 1)
        assert "cannot be reached" in lines[0]
