"""How far an apply or a restore of a slice has come, kept in the Parameter Store of its account.

It is written before commands are sent, so that whoever takes over knows since when to look for
them, and which may have been sent although no list shows them yet.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any

from phased_rollout.substrates.ssm.fleet import Fleet, Sent

LAG = timedelta(minutes=2)
"""How long a command may not be listed although it was sent."""

_SKEW = timedelta(minutes=5)  # between this clock and that of AWS
_LONGEST = 3000


def now() -> datetime:
    """Read the clock: an attempt tells when something was done, to whichever process asks."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An apply or a restore.

    :param digest: of what it applies; empty for a restore
    :param nonce: of its comments: a token may come twice
    :param since: when it was begun, ISO 8601 in UTC
    :param first: and ``last``: waves that were sent at ``at``, the last one not among them
    :param reason: why it was refused
    :param undoes: the attempt that it takes back: its token, nonce and since
    """

    token: str
    digest: str
    nonce: str = field(default_factory=lambda: token_hex(4))
    since: str = field(default_factory=lambda: (now() - _SKEW).strftime("%Y-%m-%dT%H:%M:%SZ"))
    first: int = 0
    last: int = 0
    at: str = ""
    reason: str = ""
    undoes: tuple[str, str, str] | None = None

    @property
    def rollout(self) -> str:
        """Name the rollout that it is of."""
        return self.token.partition("-")[0]

    @property
    def begins(self) -> str:
        """How the comments of its commands begin."""
        return _begins(self.token, self.nonce)

    def comment(self, wave: int) -> str:
        """Give the comment of a command, at most 100 characters."""
        return f"{self.begins}{wave}"

    def sent(self, fleet: Fleet) -> dict[int, Sent]:
        """Give its commands that are listed, by wave."""
        listed = fleet.sent(since=self.since, begins=self.begins)
        return {int(each.comment.removeprefix(self.begins)): each for each in listed}

    def undone(self, fleet: Fleet) -> list[Sent]:
        """Give the commands that it takes back, the oldest first."""
        if self.undoes is None:
            return []
        token, nonce, since = self.undoes
        return fleet.sent(since=since, begins=_begins(token, nonce))

    def unclear(self, sent: dict[int, Sent]) -> list[int]:
        """Name the waves of which nobody can say yet whether they were sent."""
        missing = [wave for wave in range(self.first, self.last) if wave not in sent]
        return missing if missing and now() < datetime.fromisoformat(self.at) + LAG else []

    def is_busy(self, fleet: Fleet) -> bool:
        """Say whether a command of it is under way, or may be."""
        if not self.last:
            return False
        sent = self.sent(fleet)
        return bool(self.unclear(sent)) or any(each.is_open for each in sent.values())


def _begins(token: str, nonce: str) -> str:
    return f"phased-rollout {token} {nonce} wave "


def load(fleet: Fleet) -> Attempt | None:
    """Give the last attempt at a slice; None when there was none."""
    found: dict[str, Any] | None = fleet.kept(f"slice/{fleet.name}")
    if found is None:
        return None
    undoes = found.pop("undoes")
    return Attempt(**found, undoes=tuple(undoes) if undoes else None)


def save(fleet: Fleet, attempt: Attempt) -> None:
    """Keep an attempt as the last one."""
    kept = asdict(attempt) | {"reason": attempt.reason[:_LONGEST]}
    fleet.keep(f"slice/{fleet.name}", kept, anew=True)
