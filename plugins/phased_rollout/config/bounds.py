"""Refuses YAML that would grow, or nest, beyond all bounds when it is built.

PyYAML's loaders recurse in C: 200,000 open brackets end the process, and nothing can catch that.
"""

from __future__ import annotations

import yaml

from phased_rollout.config.composer import MAX_DEPTH, MAX_VALUES, size_of

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TooMuchError(yaml.YAMLError):
    """The text nests too deep, refers to itself or expands to too many values."""


def check(text: str) -> None:
    """Read a text's events once, without building anything; raises yaml.YAMLError."""
    open_: list[tuple[str | None, int]] = []
    sizes: dict[str, int] = {}
    total = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.CollectionStartEvent):
            if len(open_) == MAX_DEPTH:
                raise TooMuchError(f"line {line}: nested more than {MAX_DEPTH} levels: flatten it")
            open_.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            total += (size := size_of(event.value))
            if event.anchor is not None:
                sizes[event.anchor] = size
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_):
                raise TooMuchError(f"line {line}: *{event.anchor} refers to itself: remove it")
            total += sizes.get(event.anchor or "", 1)
        if total > MAX_VALUES:
            what = f"more than {MAX_VALUES:,} values with all aliases expanded: use fewer"
            raise TooMuchError(f"line {line}: {what}")
