"""The contract between the engine and the systems that know which targets there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from phased_rollout.adapters import INVENTORIES, load
from phased_rollout.model.definition import AdapterSpec
from phased_rollout.model.found import Found


class Source(Protocol):
    """One inventory. Reads only. Built as ``cls(options)``."""

    def list(self) -> Sequence[Found]:
        """Give every target that the system knows, those that are not active too.

        Whole or not at all: an answer that was cut short, changed while it was read, or cannot be
        understood is an error, never a shorter list. Raises UnreachableError when the system could
        not be asked and RefusedError when what it said cannot be used.
        """


def build(spec: AdapterSpec) -> Source:
    """Build the inventory that a definition names."""
    source: Source = load(spec, group=INVENTORIES)
    return source
