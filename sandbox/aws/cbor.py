"""The part of CBOR (RFC 8949) that Smithy's RPC v2 protocol uses, which CloudWatch speaks."""

from __future__ import annotations

import datetime as dt
import struct
from typing import Any

_EPOCH_TAG = 1
_BREAK = object()


def dumps(value: Any) -> bytes:  # noqa: PLR0911 one for each type
    """Encode None, booleans, numbers, text, bytes, times, lists and dicts."""
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(major=0, number=value) if value >= 0 else _head(major=1, number=-1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, dt.datetime):
        return _head(major=6, number=_EPOCH_TAG) + dumps(value.timestamp())
    if isinstance(value, bytes):
        return _head(major=2, number=len(value)) + value
    if isinstance(value, str):
        data = value.encode()
        return _head(major=3, number=len(data)) + data
    if isinstance(value, dict):
        body = b"".join(dumps(key) + dumps(item) for key, item in value.items())
        return _head(major=5, number=len(value)) + body
    return _head(major=4, number=len(value)) + b"".join(dumps(item) for item in value)


def _head(*, major: int, number: int) -> bytes:
    for size, code, bound in (
        (0, None, 24),
        (1, "B", 1 << 8),
        (2, "H", 1 << 16),
        (4, "I", 1 << 32),
    ):
        if number < bound:
            if code is None:
                return bytes([major << 5 | number])
            return bytes([major << 5 | 24 + size.bit_length() - 1]) + struct.pack(
                ">" + code, number
            )
    return bytes([major << 5 | 27]) + struct.pack(">Q", number)


def loads(data: bytes) -> Any:
    """Decode one value; raises ``ValueError`` for what is no CBOR."""
    try:
        return _Reader(data).value()
    except (IndexError, RecursionError, TypeError, OverflowError, OSError, struct.error) as error:
        raise ValueError(f"not CBOR: {error}") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def value(self) -> Any:
        first = self._take(1)[0]
        major, info = first >> 5, first & 31
        if major == 7:  # noqa: PLR2004 RFC 8949 §3.1: simple values and floats
            return self._simple(info)
        number = None if info == 31 else self._number(info)  # noqa: PLR2004 indefinite length
        if major == 0:
            return number
        if major == 1:
            return -1 - (number or 0)
        if major == 6:  # noqa: PLR2004 a tag; only the epoch tag changes the value's type
            item = self.value()
            return dt.datetime.fromtimestamp(item, dt.UTC) if number == _EPOCH_TAG else item
        return self._sequence(major, number)

    def _sequence(self, major: int, count: int | None) -> Any:
        if major in (2, 3):
            data = self._take(count) if count is not None else b"".join(self._items(None, raw=True))
            return data if major == 2 else data.decode()  # noqa: PLR2004 bytes, else text
        if major == 4:  # noqa: PLR2004 an array
            return self._items(count)
        flat = self._items(None if count is None else 2 * count)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def _items(self, count: int | None, *, raw: bool = False) -> list[Any]:
        items: list[Any] = []
        while count is None or len(items) < count:
            item = self.value()
            if item is _BREAK:
                break
            items.append(item.encode() if raw and isinstance(item, str) else item)
        return items

    def _simple(self, info: int) -> Any:
        floats = {25: ("e", 2), 26: ("f", 4), 27: ("d", 8)}
        if info in floats:
            code, size = floats[info]
            return struct.unpack(">" + code, self._take(size))[0]
        return {20: False, 21: True, 31: _BREAK}.get(info)

    def _number(self, info: int) -> int:
        if info < 24:  # noqa: PLR2004 the number itself
            return info
        return int.from_bytes(self._take(1 << info - 24), "big")

    def _take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) < size:
            raise ValueError("truncated CBOR")
        self._at += size
        return piece
