"""Processes are killed before and after each side effect that a rollout has: docs/faults.md."""

from __future__ import annotations

import os
import time

import pytest

from tests.integration.kills import Matrix
from tests.integration.verdicts import keep, rows_of, uncovered
from tests.integration.world import World

KINDS = os.environ.get("FAULTS_KILL", "task").split()
MATRIX = LISTENER = Matrix(*KINDS)
SCENARIOS = MATRIX.scenarios
AT_ONCE = 12
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(2700),
    *[pytest.mark.scenario(s.name) for s in SCENARIOS],
]


def test_whatever_is_killed_at_any_side_effect_the_rollout_ends_as_if_nothing_had_happened(
    world: World,
) -> None:
    began = time.monotonic()
    rows = rows_of(MATRIX, MATRIX.ended(world))
    keep(MATRIX, rows, seconds=time.monotonic() - began)
    assert [(r["run"], r["effect"], r["problems"]) for r in rows if r["problems"]] == []
    assert {r["kills"] for r in rows if r["hit"]} == set(KINDS)
    if MATRIX.is_whole:
        assert uncovered(MATRIX, rows) == []
