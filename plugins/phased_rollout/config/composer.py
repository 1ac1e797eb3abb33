"""Builds nodes from a YAML parser's events, each with its line, and refuses what is ambiguous."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import yaml

from phased_rollout.config.nodes import Ambiguous, Node, Scalars, misread
from phased_rollout.config.problems import Path, Problems, shortened

MAX_VALUES = 500_000
MAX_DEPTH = 100

_RESOLVERS = yaml.SafeLoader.yaml_implicit_resolvers
_BOOLEANS = yaml.constructor.SafeConstructor.bool_values
_NUMBERS = yaml.constructor.SafeConstructor()


def size_of(text: str) -> int:
    """Count a scalar as one value, a long one as many: aliases repeat it in full."""
    return 1 + len(text) // 100


class GaveUpError(Exception):
    """A limit is passed; the problem is noted."""


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not been read yet."""

    node: Node
    key: tuple[int, str] | None = None
    merged: list[Node] = field(default_factory=list)


class Composer:
    """Builds nodes from events, without recursion."""

    def __init__(self, problems: Problems, scalars: Scalars) -> None:
        self.root: Node | None = None
        self._problems = problems
        self._scalars = scalars
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}

    def take(self, event: yaml.Event) -> None:
        """Take the parser's next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin(event, {})
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin(event, [])
        elif isinstance(event, yaml.CollectionEndEvent):
            self._end()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            self._give_up(event, "a second document begins here: keep one in a file")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        line = _line(event)
        self._tag(event, line)
        value = self._typed(event.value, line) if event.implicit[0] else event.value
        node = Node(line, value, event.value, size=size_of(event.value))
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._place(node)

    def _begin(self, event: yaml.CollectionStartEvent, value: dict[str, Any] | list[Any]) -> None:
        line = _line(event)
        if len(self._open) == MAX_DEPTH:
            self._problems.add(f"nested more than {MAX_DEPTH} levels: flatten it", line=line)
            raise GaveUpError
        self._tag(event, line)
        node = Node(line, value)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._open.append(_Open(node))

    def _end(self) -> None:
        ended = self._open.pop()
        node = ended.node
        for merged in ended.merged:
            for key, child in merged.children.items():
                if key not in node.children:
                    node.children[key] = child
                    node.value[key] = child[1].value
        self._place(node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            self._give_up(event, f"no anchor &{event.anchor} stands before this alias: define it")
        elif any(open_.node is node for open_ in self._open):
            self._give_up(event, f"*{event.anchor} refers to itself: remove it")
        else:
            self._place(node, line=_line(event))

    def _place(self, node: Node, *, line: int | None = None) -> None:
        """Put a finished node into the mapping or list that is open around it."""
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        into = parent.node
        into.size += node.size
        if into.size > MAX_VALUES:
            what = f"more than {MAX_VALUES:,} values with all aliases expanded: use fewer aliases"
            self._problems.add(what, line=line or node.line)
            raise GaveUpError
        if isinstance(into.value, list):
            into.children[len(into.value)] = (line or node.line, node)
            into.value.append(node.value)
        elif parent.key is None:
            parent.key = (line or node.line, self._key(node))
        else:
            key_line, key = parent.key
            if key == "<<":
                self._merge(parent, node)
            else:
                if key in into.children:
                    what = f"set already in line {into.children[key][0]}: remove one of the two"
                    self._problems.add(what, line=key_line, path=(*self._path(), key))
                into.children[key] = (key_line, node)
                into.value[key] = node.value
            parent.key = None

    def _key(self, node: Node) -> str:
        if isinstance(node.value, str):
            return node.value
        if isinstance(node.value, (dict, list)):
            what = "a key must be text: remove the mapping or list before the ':'"
        else:
            what = "a key is empty: name it" if node.value is None else f"the key {misread(node)}"
        self._problems.add(what, line=node.line, path=self._path())
        return node.text

    def _merge(self, parent: _Open, node: Node) -> None:
        many = isinstance(node.value, list)
        merged = [child for _, child in node.children.values()] if many else [node]
        if all(isinstance(m.value, dict) for m in merged):
            parent.merged.extend(merged)
        else:
            what = "only a mapping, or a list of mappings, can be merged by '<<'"
            self._problems.add(what, line=node.line, path=self._path())
            parent.node.children.setdefault("<<", (node.line, node))

    def _typed(self, text: str, line: int) -> Any:
        """Give what YAML makes of an unquoted scalar; refuse what is text by accident."""
        tag = next((t for t, r in _RESOLVERS.get(text[:1], ()) if r.match(text)), "str")
        kind = tag.removeprefix("tag:yaml.org,2002:")
        if self._scalars is Scalars.TEXT:
            return text
        if kind in {"null", "bool"}:
            plain = text.lower() in {"true", "false"} or kind == "null"
            if self._scalars is Scalars.AS_WRITTEN and not plain:
                what = f"YAML reads {text} as a boolean: write true or false, or quote it"
                self._problems.add(what, line=line, path=self._path(placing=True))
            return _BOOLEANS.get(text.lower())
        if self._scalars is Scalars.TYPED:
            if text[:1] == "0" and len(text) > 1 and text.isdigit():
                return self._refuse(text, "an octal number", line)
            if kind == "timestamp":
                return self._refuse(text, "a date", line)
            if kind in {"int", "float"}:
                return self._number(kind, text, line)
        return text

    def _number(self, kind: str, text: str, line: int) -> Any:
        node = yaml.ScalarNode("", text)
        construct = _NUMBERS.construct_yaml_int if kind == "int" else _NUMBERS.construct_yaml_float
        try:
            number = construct(node)
            return (
                number
                if math.isfinite(number)
                else self._refuse(text, "infinity or no number", line)
            )
        except (ValueError, OverflowError):
            return self._refuse(text, "a number that it cannot hold", line)

    def _refuse(self, text: str, kind: str, line: int) -> Ambiguous:
        what = f"YAML may read {shortened(text)} as {kind}: quote it if it is text"
        self._problems.add(what, line=line, path=self._path(placing=True))
        return Ambiguous(text)

    def _tag(self, event: yaml.NodeEvent, line: int) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and self._scalars is not Scalars.TEXT:
            what = f"the tag {shortened(tag)} is not allowed: remove it, and quote what is text"
            self._problems.add(what, line=line, path=self._path(placing=True))

    def _path(self, *, placing: bool = False) -> Path:
        """Say where the parser is: the innermost open mapping or list, or what goes into it."""
        path: list[str | int] = []
        for open_ in self._open if placing else self._open[:-1]:
            if isinstance(open_.node.value, list):
                path.append(len(open_.node.value))
            elif open_.key is not None:
                path.append(open_.key[1])
        return tuple(path)

    def _give_up(self, event: yaml.Event, what: str) -> None:
        self._problems.add(what, line=_line(event), path=self._path(placing=True))
        raise GaveUpError


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
