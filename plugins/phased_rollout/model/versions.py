"""Versions that changes provide, and the conditions that others put on them."""

from __future__ import annotations

import operator
import re
from itertools import zip_longest

VERSION = r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}"
"""Numbers with dots; nothing like ``2.0rc1``, because nobody agrees on where that stands."""
CONDITION = rf"(==|!=|>=|<=|>|<) ?{VERSION}( ?, ?(==|!=|>=|<=|>|<) ?{VERSION})*"
"""Comparisons that all have to hold: ``>=2``, ``>=1,<3``."""

_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_TERM = re.compile(rf"([=!<>]+) ?({VERSION})")


def satisfies(version: str, condition: str) -> bool:
    """Say whether a version meets a condition; what is left out is zero: ``2`` is ``2.0``."""
    return all(
        _COMPARE[found[1]](_compared(version, found[2]), 0) for found in _TERM.finditer(condition)
    )


def _compared(one: str, other: str) -> int:
    """Give less than zero, zero or more, as ``one`` is before, the same as or after ``other``."""
    pairs = zip_longest(one.split("."), other.split("."), fillvalue="0")
    return next((int(a) - int(b) for a, b in pairs if int(a) != int(b)), 0)
