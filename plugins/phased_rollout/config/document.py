"""Reads YAML as plain values, and knows for each of them where in the file it stands.

Built on the parser's events instead of ``yaml.load``, because that keeps the last of two equal keys
silently, expands alias bombs, forgets positions, and crashes the process on 200,000 open brackets.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from phased_rollout.config.composer import Composer, GaveUpError
from phased_rollout.config.nodes import Node, Scalars
from phased_rollout.config.problems import Problems

MAX_BYTES = 4_000_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HINTS = {
    "found character that cannot start any token": (
        "indent with spaces, and quote a text that begins with @, ` or %"
    ),
    "did not find expected alphabetic or numeric character": (
        'quote a text that begins with * or &, such as "* * * * *"'
    ),
    "mapping values are not allowed in this context": (
        "check the indentation, and quote a text that holds ': '"
    ),
}


@dataclass(frozen=True, slots=True)
class Document:
    """A file that could be parsed."""

    root: Node

    def find(self, path: Sequence[str | int]) -> tuple[int, Node]:
        """Give line and node of a path; of its nearest parent when it is not in the file."""
        line, node = self.root.line, self.root
        for part in path:
            if part not in node.children:
                break
            line, node = node.children[part]
        return line, node


def read_text(file: Path, problems: Problems, *, limit: int = MAX_BYTES) -> str | None:
    """Read a UTF-8 file; None, with a problem noted, when that cannot be done safely."""
    try:
        unfit = _unfit(file.stat(), limit)
        if unfit:
            problems.add(unfit)
            return None
        with file.open("rb") as stream:
            data = stream.read(limit + 1)
    except FileNotFoundError:
        problems.add("no such file: create it, or correct its name")
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        problems.add(f"cannot be read: {reason.lower()}")
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{data[error.start]:02x} is not UTF-8: save the file as UTF-8"
        problems.add(what, line=line)
        return None


def parse(text: str, problems: Problems, *, scalars: Scalars = Scalars.TYPED) -> Document | None:
    """Parse one YAML document; None, with a problem noted, when there is none."""
    composer = Composer(problems, scalars)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            composer.take(event)
    except GaveUpError:
        return None
    except yaml.MarkedYAMLError as error:
        problems.add(_syntax(error), line=_line(error))
        return None
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1
        problems.add("a character that YAML does not allow: remove it", line=line)
        return None
    root = composer.root
    if root is None or root.value is None or (root.value == "" and not root.text):
        problems.add("the file is empty: write its settings into it")
        return None
    return Document(root)


def _unfit(status: os.stat_result, limit: int) -> str:
    if stat.S_ISDIR(status.st_mode):
        return "is a folder: name a file in it"
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file: name one"
    if status.st_size > limit:
        return f"is larger than {limit:,} bytes: split it"
    return ""


def _line(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _syntax(error: yaml.MarkedYAMLError) -> str:
    said = ", ".join(part for part in (error.context, error.problem) if part)
    hint = _HINTS.get(error.problem or "", "check the indentation, quotes and commas here")
    return f"not valid YAML: {said}: {hint}"
