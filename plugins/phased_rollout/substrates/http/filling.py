"""Puts values into requests, so that none of them can be anything but a value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from phased_rollout.config.tenants import PLACEHOLDER
from phased_rollout.pointers import ABSENT


def filled_path(path: str, values: Mapping[str, Any]) -> str:
    """Fill a path and its query; raises ValueError for a value that could lead elsewhere."""

    def quoted(match: re.Match[str]) -> str:
        name = match[1]
        value = values.get(name, ABSENT)
        if value is ABSENT:
            raise ValueError(f"nothing is called {name!r}")
        if isinstance(value, (dict, list)) or value is None or value == "":
            raise ValueError(f"{name!r} has no value that can stand in a path")
        return quote(value if isinstance(value, str) else json.dumps(value), safe="")

    found = PLACEHOLDER.sub(quoted, path)
    if any(part in (".", "..") for part in found.partition("?")[0].split("/")):
        raise ValueError("a value makes a step out of the path")
    return found


def filled_text(text: str, values: Mapping[str, Any]) -> str:
    """Fill a header's value."""
    return PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)


def filled_body(template: Any, values: Mapping[str, Any]) -> Any:
    """Fill a body: a placeholder becomes a JSON value; where there is none, its key goes."""
    if isinstance(template, str):
        match = PLACEHOLDER.fullmatch(template)
        return values.get(match[1], ABSENT) if match else template
    if isinstance(template, dict):
        filled = {key: filled_body(each, values) for key, each in template.items()}
        return {key: each for key, each in filled.items() if each is not ABSENT}
    if isinstance(template, list):
        return [v for v in (filled_body(each, values) for each in template) if v is not ABSENT]
    return template


def merge_patch(current: Any, wanted: Any) -> Any:
    """Give the merge patch (RFC 7396) by which a value becomes another; ABSENT is its removal."""
    if wanted is ABSENT:
        return None
    if not isinstance(wanted, dict):
        return wanted
    before = current if isinstance(current, dict) else {}
    gone = {key: None for key in before if key not in wanted}
    return gone | {key: merge_patch(before.get(key), value) for key, value in wanted.items()}
