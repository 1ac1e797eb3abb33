"""Whatever befalls a rollout: order is kept, no rollback is missed, nothing else is restored.

``PHASED_ROLLOUT_EXAMPLES`` sets how many random lives are tried, with other random numbers each
time; the usual run is short and always the same.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.machine import Rollouts

MANY = os.environ.get("PHASED_ROLLOUT_EXAMPLES")
SETTINGS = settings(
    max_examples=int(MANY or 100),
    stateful_step_count=25,
    derandomize=not MANY,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def test_nothing_that_befalls_a_rollout_breaks_its_promises() -> None:
    run_state_machine_as_test(Rollouts, settings=SETTINGS)
