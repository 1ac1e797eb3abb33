"""Whatever befalls a rollout: order is kept, no rollback is missed, nothing else is restored.

The usual run is short and always the same. ``LIVES=5000 pytest tests/properties`` tries as many
lives, other ones each time.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from tests.builders import a_definition
from tests.properties.machine import CHANNEL, PICK, Rollouts, a_small_channel, edited

LIVES = os.environ.get("LIVES")
SETTINGS = settings(
    max_examples=int(LIVES or 100),
    stateful_step_count=30,
    derandomize=not LIVES,
    database=None,
    deadline=None,
    phases=[Phase.generate, *([Phase.shrink] if LIVES else [])],  # shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)
IN_PLACE = PICK.filter(lambda pick: pick % 8 not in (0, 2, 6))
"""Edits but for those of the open defects in test_guards.py: other order, other gate."""


@pytest.mark.timeout(0 if LIVES else 600)
def test_nothing_that_befalls_a_rollout_breaks_its_promises() -> None:
    run_state_machine_as_test(Rollouts, settings=SETTINGS)


@settings(SETTINGS, max_examples=int(LIVES or 100) // 8)
@given(
    specs=st.lists(CHANNEL, min_size=2, max_size=3),
    edits=st.lists(st.tuples(st.integers(1, 12), IN_PLACE), min_size=1, max_size=4),
)
def test_an_edited_file_alone_never_rolls_back(
    specs: list[dict[str, Any]], edits: list[tuple[int, int]]
) -> None:
    life = Rollouts()
    try:
        channels = [a_small_channel(n, s) for n, s in zip("abc", specs, strict=False)]
        life.build(a_definition(*channels))
        run = life.world.begin("one")
        for actions, pick in edits:
            for _ in range(actions):
                life._next(answering=True)
            life.world.edit(edited(life.world.file, pick))
        life.it_is_left_alone()
        life.nothing_is_wrong()
        assert run.instances.green, life.story()
        assert {act.kind for act in life.world.fleet.log} == {"apply", "verified"}
    finally:
        life.close()
