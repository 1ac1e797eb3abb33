"""The record of what a stack started, from which anybody can end it: `make down`, the guard.

It is the file `stack.json` in the state folder and exists as long as something may be running.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from sandbox.stack.database import DATABASE, STOP_SIGNAL, Traces, clean_up
from sandbox.stack.environment import write_private
from sandbox.stack.processes import Owned, end, is_alive, session_members

# What uses the API server and the database ends before them.
_ORDER = (
    ("migrate", "scheduler", "triggerer", "dag-processor"),
    ("api-server",),
    ("aws", "kubernetes", "tenants"),
)
_GRACE = 5.0
_DATABASE_GRACE = 15.0


@dataclass(frozen=True, slots=True)
class Registry:
    """What one stack started: addresses, processes, and what the database leaves behind."""

    url: str = ""
    aws_endpoint: str | None = None
    processes: tuple[Owned, ...] = ()
    traces: Traces = field(default_factory=Traces)

    @staticmethod
    def path(state: Path) -> Path:
        """Return the file of a state folder."""
        return state / "stack.json"

    @classmethod
    def load(cls, state: Path) -> "Registry | None":
        """Read the record of a state folder; None when nothing was started there."""
        try:
            raw = json.loads(cls.path(state).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        processes = tuple(Owned(**process) for process in raw.pop("processes"))
        return cls(processes=processes, traces=Traces(**raw.pop("traces")), **raw)

    def save(self, state: Path) -> None:
        """Write the record; a reader sees the old or the new one, never a half."""
        fields = {
            "url": self.url,
            "aws_endpoint": self.aws_endpoint,
            "processes": [process.as_dict() for process in self.processes],
            "traces": asdict(self.traces),
        }
        draft = self.path(state).with_suffix(".draft")
        write_private(draft, json.dumps(fields, indent=1))
        draft.replace(self.path(state))

    def with_process(self, process: Owned) -> "Registry":
        """Return this record with one more process."""
        return replace(self, processes=(*self.processes, process))

    def named(self, name: str) -> list[Owned]:
        """Return the processes of one component, the newest last."""
        return [process for process in self.processes if process.name == name]

    def running(self) -> list[Owned]:
        """Return the processes that still run, or that left something running."""
        return [p for p in self.processes if is_alive(p) or session_members(p)]

    def end_all(self) -> None:
        """End everything that was started, in order.

        :raises ProcessesLeftError: when something survives
        """
        for names in _ORDER:
            end([p for name in names for p in self.named(name)], grace=_GRACE)
        known = {name for names in _ORDER for name in names} | {DATABASE}
        end([p for p in self.processes if p.name not in known], grace=_GRACE)
        end(self.named(DATABASE), number=STOP_SIGNAL, grace=_DATABASE_GRACE)
        clean_up(self.traces)


def stop_recorded(state: Path) -> list[str]:
    """End the stack of a state folder, whoever started it; return the names of what was ended."""
    registry = Registry.load(state)
    if registry is None:
        return []
    names = [process.name for process in registry.running()]
    registry.end_all()
    Registry.path(state).unlink(missing_ok=True)
    return names
