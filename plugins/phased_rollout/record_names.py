"""How records are named: so that names sort by time, and fit any file system and object storage."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote, unquote

from phased_rollout.errors import RecordError
from phased_rollout.model.ledger import Entry, Kind

TIME = "%Y%m%dT%H%M%S.%fZ"
_LONGEST_NAME = 150
_COUNT_OF_FIELDS = 5
_KINDS = frozenset(Kind)


def stamp(at: datetime) -> str:
    """Write a moment so that names sort by time."""
    return at.astimezone(UTC).strftime(TIME)


def safe_name(name: str) -> str:
    """Make a name fit for a path: no separator, no ``~``, no leading dot; raises RecordError."""
    safe = quote(name, safe="").replace("~", "%7E").replace(".", "%2E")
    if len(safe) > _LONGEST_NAME:
        raise RecordError(f"{name[:40]}…: too long for the record store: use a shorter name")
    return safe


def entry_of(name: str) -> Entry | None:
    """Read what a record of the ledger or of a target is about from its name; None: no such one."""
    parts = name.removesuffix(".json").split("~")
    if len(parts) != _COUNT_OF_FIELDS or parts[1] not in _KINDS:
        return None
    at = datetime.fromisoformat(parts[0])
    return Entry(at, Kind(parts[1]), unquote(parts[2]), unquote(parts[3]))
