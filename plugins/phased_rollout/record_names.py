"""How records are named: so that names sort by time, and fit any file system and object storage."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from phased_rollout.errors import RecordError

TIME = "%Y%m%dT%H%M%S.%fZ"
_LONGEST_NAME = 150


def stamp(at: datetime) -> str:
    """Write a moment so that names sort by time."""
    return at.astimezone(UTC).strftime(TIME)


def safe_name(name: str) -> str:
    """Make a name fit for a path: no separator, no ``~``, no leading dot; raises RecordError."""
    safe = quote(name, safe="").replace("~", "%7E").replace(".", "%2E")
    if len(safe) > _LONGEST_NAME:
        raise RecordError(f"{name[:40]}…: too long for the record store: use a shorter name")
    return safe
