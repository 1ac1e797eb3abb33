"""Reads manifests as Kubernetes does, but nothing that is no JSON, and within bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar

import yaml

from phased_rollout.config.bounds import check
from phased_rollout.errors import ChangeError

_INT = range(-(2**63), 2**64)
_TAGS = ("null", "bool", "int", "float", "str", "seq")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # C or Python
    """YAML as Kubernetes reads it: a time is text, and no key stands twice."""

    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in _TAGS
    }


def _refuse(node: yaml.Node, what: str) -> yaml.YAMLError:
    return yaml.YAMLError(f"line {node.start_mark.line + 1}: {what}")


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[str, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise _refuse(node, "must be a mapping: correct it")
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _refuse(key, "a key must be text: remove the mapping or list before the ':'")
        if key.value in seen:
            raise _refuse(key, f"the key {key.value!r} stands twice: remove one")
        seen.add(key.value)
    loader.flatten_mapping(node)
    return {
        _key(loader, key): loader.construct_object(value, deep=True) for key, value in node.value
    }


def _key(loader: Any, node: yaml.Node) -> str:
    key = loader.construct_object(node, deep=True)
    if isinstance(key, bool):
        return str(key).lower()
    if isinstance(key, str | int):
        return str(key)
    raise _refuse(node, "a key must be text: quote it")


def _number(loader: Any, node: yaml.Node) -> int | float:
    is_int = node.tag.endswith("int")
    try:
        found = (loader.construct_yaml_int if is_int else loader.construct_yaml_float)(node)
    except (ValueError, LookupError, OverflowError) as error:
        raise _refuse(node, "is no number that can be held: correct it, or quote it") from error
    if found not in _INT if is_int else not math.isfinite(found):
        raise _refuse(node, "is no number that JSON and 64 bits can hold: quote it if it is text")
    value: int | float = found
    return value


def _boolean(loader: Any, node: yaml.ScalarNode) -> bool:
    try:
        return bool(loader.construct_yaml_bool(node))
    except KeyError as error:
        raise _refuse(node, "is no boolean: write true or false") from error


for _tag, _construct in (
    ("map", _mapping),
    ("int", _number),
    ("float", _number),
    ("bool", _boolean),
):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _construct)
for _tag in ("timestamp", "value"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", lambda _, node: str(node.value))


def documents(file: str, text: str) -> Iterator[tuple[int, Any]]:
    """Give each document that is not empty with its line; raises ChangeError."""
    try:
        check(text)
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            value = loader.construct_document(node)
            if value is not None:
                yield node.start_mark.line + 1, value
    except (yaml.YAMLError, ValueError) as error:
        said = str(error).replace("\n", " ")
        raise ChangeError(f"{file}: not valid YAML: {said}") from error
