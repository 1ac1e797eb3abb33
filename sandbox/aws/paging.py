"""Pages of a list, with opaque tokens."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

from sandbox.aws.errors import validation_error

T = TypeVar("T")


def page(items: Sequence[T], *, token: str | None, size: int) -> tuple[list[T], str | None]:
    """The items of one page, and the token of the next one, if there is one."""
    start = offset_of(token)
    rest = start + size
    return list(items[start:rest]), token_of(rest) if rest < len(items) else None


def newest_first(items: Sequence[T], *, token: str | None, size: int) -> tuple[list[T], str | None]:
    """Like :func:`page`, backwards; items that are appended meanwhile do not shift the pages."""
    end = offset_of(token) if token else len(items)
    start = max(0, end - size)
    return list(reversed(items[start:end])), token_of(start) if start else None


def token_of(offset: int) -> str:
    """The token of the page that begins there."""
    return base64.urlsafe_b64encode(f"page:{offset}".encode()).decode()


def offset_of(token: str | None) -> int:
    """Where the page of a token begins."""
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("page:"))
    except (binascii.Error, ValueError):
        raise validation_error(f"Invalid NextToken: {token}") from None
