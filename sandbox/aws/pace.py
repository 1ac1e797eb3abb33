"""How long CloudFormation takes, and how much it puts on a page."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_PHASE = 0.3


@dataclass(slots=True)
class Pace:
    """``phase``: seconds of one phase of an operation; ``slow``: other seconds for an account.

    Operations in the accounts of ``held`` stand still, wherever they are, until released.
    """

    phase: float = DEFAULT_PHASE
    slow: dict[str, float] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    page_size: int = 100  # AWS's, for lists of stacks, events, changes and alarms

    def seconds(self, account: str) -> float:
        return self.slow.get(account, self.phase)
