"""The contract between the engine and the systems that tell how targets fare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from phased_rollout.adapters import SIGNALS, load
from phased_rollout.model.definition import AdapterSpec, Target
from phased_rollout.model.target_state import Observation


class Signal(Protocol):
    """One source of health. Reads only. Built as ``cls(options)``."""

    def observe(self, target: Target) -> Sequence[Observation]:
        """Say how the target fares now: at least one observation.

        What cannot be known (no data, nothing matched) is an UNKNOWN observation, never OK. Raises
        UnreachableError when the system could not be asked. Called from many threads at once.
        """


def build(specs: Sequence[AdapterSpec]) -> list[Signal]:
    """Build the signals that a channel declares."""
    return [load(spec, group=SIGNALS) for spec in specs]
