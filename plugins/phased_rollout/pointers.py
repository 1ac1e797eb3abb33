"""Ways into a JSON value: ``metadata.name``, or a JSON pointer (RFC 6901) such as ``/a~1b/0``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

ABSENT = object()
"""What is found off the way."""


def parts_of(pointer: str | None) -> tuple[str, ...]:
    """Give the steps of a way; none lead to the value itself."""
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        return tuple(pointer.split("."))
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/"))


def at(value: Any, parts: Sequence[str]) -> Any:
    """Follow a way; gives ABSENT when it leads nowhere."""
    for part in parts:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


def placed(document: Any, parts: Sequence[str], value: Any) -> Any:
    """Give a copy in which the value stands there; ABSENT takes away what does.

    Mappings that are missing on the way are made, but not for the sake of taking away. Raises
    ValueError where something else is in the way.
    """
    if not parts:
        return value
    if document is None or document is ABSENT:
        return ABSENT if value is ABSENT else {parts[0]: placed(ABSENT, parts[1:], value)}
    if isinstance(document, list) and parts[0].isdecimal() and int(parts[0]) < len(document):
        number = int(parts[0])
        inner = placed(document[number], parts[1:], value)
        return [*document[:number], *([] if inner is ABSENT else [inner]), *document[number + 1 :]]
    if not isinstance(document, dict):
        raise ValueError(f"{parts[0]!r} cannot be set in {type(document).__name__}")
    inner = placed(document.get(parts[0], ABSENT), parts[1:], value)
    kept = {key: each for key, each in document.items() if key != parts[0] or inner is not ABSENT}
    return kept if inner is ABSENT else kept | {parts[0]: inner}
