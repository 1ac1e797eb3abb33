"""Label and field selectors of lists."""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]

_SET = re.compile(r"(?P<key>[\w./-]+) (?P<word>in|notin) \((?P<values>[^)]*)\)")


def by_labels(selector: str, content: Json) -> bool:
    """Say whether an object's labels match ``a=b,c!=d,e,!f,g in (h,i)``."""
    labels = content["metadata"].get("labels") or {}
    return all(
        _matches(part.strip(), labels) for part in re.split(r",(?![^(]*\))", selector) if part
    )


def _matches(part: str, labels: Json) -> bool:
    if found := _SET.fullmatch(part):
        values = {value.strip() for value in found["values"].split(",")}
        return (labels.get(found["key"]) in values) is (found["word"] == "in")
    if "!=" in part:
        key, value = part.split("!=")
        return bool(labels.get(key) != value)
    if "=" in part:
        key, value = re.split(r"==?", part, maxsplit=1)
        return bool(labels.get(key) == value)
    return part[1:] not in labels if part.startswith("!") else part in labels


def by_fields(selector: str, content: Json) -> bool:
    """Say whether fields of an object have the values of ``metadata.name=a,b.c!=d``."""
    for part in selector.split(","):
        key, value = part.replace("==", "=").split("=")
        value_at: Any = content
        for name in key.removesuffix("!").split("."):
            value_at = (value_at or {}).get(name)
        if (str(value_at or "") == value) is key.endswith("!"):
            return False
    return True
