"""Canonical JSON and its SHA-256: how content is named."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """Give the one text of a JSON value: sorted keys, no spaces, UTF-8 kept (after RFC 8785)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest_of(value: Any) -> str:
    """Name a JSON value by its content: 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
