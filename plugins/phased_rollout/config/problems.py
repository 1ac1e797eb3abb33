"""Collects what is wrong, so that all of it can be told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

Path = tuple[str | int, ...]
"""The way from the root of a file to a value: keys and list positions."""

_SHOWN = 100
_LENGTH = 60
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(slots=True)
class Problems:
    """The problems of one file, each with its line."""

    file: str
    _found: set[tuple[int, str]] = field(default_factory=set)

    def add(self, what: str, *, line: int = 1, path: Path = ()) -> None:
        """Note a problem.

        :param what: lower case; what is wrong and how to mend it
        """
        self._found.add((line, f"{in_words(path)}: {what}" if path else what))

    def __bool__(self) -> bool:
        return bool(self._found)

    def texts(self) -> list[str]:
        """Give ``file:line: path: what`` in the order of the file, each problem on one line."""
        found = sorted(self._found)
        texts = [on_one_line(f"{self.file}:{line}: {what}") for line, what in found[:_SHOWN]]
        if len(found) > _SHOWN:
            line, more = found[_SHOWN][0], len(found) - _SHOWN
            texts.append(on_one_line(f"{self.file}:{line}: {more} more problems: mend these first"))
        return texts


def in_words(path: Path) -> str:
    """Write a path as people do: ``rollouts.aws_accounts.channels[1].soak``."""
    words = ""
    for part in path:
        if isinstance(part, str) and _BARE_KEY.fullmatch(part):
            words += f".{part}" if words else part
        else:
            words += f"[{part if isinstance(part, int) else repr(shortened(part))}]"
    return words


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Give ``, did you mean 'soak'?``, or nothing when nothing is close."""
    close = get_close_matches(word[:_LENGTH], list(known), n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def shortened(text: str) -> str:
    """Cut a text that would drown its message."""
    return text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"


def on_one_line(text: str) -> str:
    """Show what would break a line, or steer a terminal, as its escape."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )
