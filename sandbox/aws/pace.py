"""How long CloudFormation and Run Command take, and how much they put on a page."""

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
    command_lag: float = 0.0  # seconds until lists show a command that was sent
    page_size: int = 100  # AWS's, for lists of stacks, events, changes and alarms

    def seconds(self, account: str) -> float:
        return self.slow.get(account, self.phase)
