"""A parsed YAML file: values, as they are written and as YAML reads them, with their lines."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from phased_rollout.config.problems import shortened


class Scalars(Enum):
    """What an unquoted value becomes.

    TYPED: what YAML 1.1 makes of it. AS_WRITTEN: its text, except null, true and false; the other
    words for booleans are refused. TEXT: always its text, and tags such as ``!Ref`` are let pass.
    """

    TYPED = auto()
    AS_WRITTEN = auto()
    TEXT = auto()


class Ambiguous(str):
    """A text that YAML may read as something else; the problem is noted."""

    __slots__ = ()


@dataclass(slots=True)
class Node:
    """A value and where it stands.

    :param text: a scalar as it is written in the file
    :param children: by key or position: the line of the key, and the value
    :param size: how many values this is once aliases are expanded
    """

    line: int
    value: Any
    text: str = ""
    children: dict[str | int, tuple[int, Node]] = field(default_factory=dict)
    size: int = 1


def misread(node: Node) -> str:
    """Say what YAML made of a scalar that was meant as text."""
    text = shortened(node.text)
    if isinstance(node.value, bool):
        return (
            f'{text} is read by YAML as the boolean {str(node.value).lower()}: quote it: "{text}"'
        )
    value = "" if text == str(node.value) else f"the number {shortened(str(node.value))}"
    return f'{text} is read by YAML as {value or "a number"}: quote it: "{text}"'
