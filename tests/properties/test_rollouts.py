"""Whatever befalls a rollout: order is kept, no rollback is missed, nothing else is restored.

The usual run is short and always the same. ``LIVES=5000 pytest tests/properties`` tries as many
lives, other ones each time.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.machine import Rollouts

LIVES = os.environ.get("LIVES")
SETTINGS = settings(
    max_examples=int(LIVES or 200),
    stateful_step_count=30,
    derandomize=not LIVES,
    database=None,
    deadline=None,
    phases=[Phase.generate, *([Phase.shrink] if LIVES else [])],  # shrinking takes minutes
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(0 if LIVES else 600)
def test_nothing_that_befalls_a_rollout_breaks_its_promises() -> None:
    run_state_machine_as_test(Rollouts, settings=SETTINGS)
