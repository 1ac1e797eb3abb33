"""A change of settings: one file that gives the fields their values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from phased_rollout.config.document import parse
from phased_rollout.config.nodes import Node
from phased_rollout.config.problems import Problems, did_you_mean, shortened
from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.digest import canonical_json

FILES = (".yaml", ".yml", ".json")
_EXACT = 2**53


def values_of(change: Change, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the value of each field that the change sets; raises ChangeError with all problems."""
    problems: list[str] = []
    if change.parameters or change.channels or change.targets or change.given:
        problems.append("settings take no parameters: write the values into the file")
    if change.tags or change.capabilities:
        problems.append("settings have no tags and no capabilities: remove them")
    if len(change.files) != 1:
        problems.append(f"keep one file of values, not {', '.join(sorted(change.files))}")
    problems = [f"change {change.name!r}: {problem}" for problem in problems]
    for file, text in change.files.items():
        values, found = _parsed(file, text, tuple(fields))
        problems += found
    if problems:
        raise ChangeError("\n".join(problems))
    return dict(values)


def normalised(value: Any) -> Any:
    """Give a value as it is compared: null is absent, and 2.0 is 2."""
    if isinstance(value, dict):
        return {key: normalised(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [normalised(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)
    return value


@lru_cache(maxsize=8)  # the same for each of thousands of tenants
def _parsed(
    file: str, text: str, fields: tuple[str, ...]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    noted = Problems(file)
    if not file.endswith(FILES):
        noted.add(f"unknown file: values are in a file that ends with {', '.join(FILES)}")
        return {}, tuple(noted.texts())
    found = _json(text, noted) if file.endswith(".json") else _yaml(text, noted)
    if found is None:
        return {}, tuple(noted.texts())
    values, lines = found
    if not values:
        noted.add("holds no value, so nothing would be rolled out: set a field")
    for name, value in values.items():
        if name not in fields:
            close = did_you_mean(name, fields) or f": known are {', '.join(fields)}"
            noted.add(f"the substrate has no such field{close}", line=lines[name], path=(name,))
        elif value is None:
            what = "has no value: give it one, or remove the field, which takes it away"
            noted.add(what, line=lines[name], path=(name,))
    return values, tuple(noted.texts())


def _yaml(text: str, noted: Problems) -> tuple[dict[str, Any], dict[str, int]] | None:
    document = parse(text, noted)
    if document is None:
        return None
    if not isinstance(document.root.value, dict):
        noted.add("must be a mapping of fields to their values: correct it")
        return None
    for path, line, node in _scalars(document.root):
        # A version 2.10 must not become 2.1, nor a country's code NO false.
        if not isinstance(node.value, str) and node.text != canonical_json(node.value):
            means = canonical_json(node.value)
            what = f"YAML reads {shortened(node.text)} as {means}: quote it, or write {means}"
            if node.value is not None:
                noted.add(what, line=line, path=path)
    children = document.root.children
    return document.root.value, {str(key): line for key, (line, _) in children.items()}


def _scalars(
    node: Node, path: tuple[str | int, ...] = (), line: int = 1
) -> Iterator[tuple[tuple[str | int, ...], int, Node]]:
    if not isinstance(node.value, (dict, list)):
        yield path, line, node
    for key, (at, child) in node.children.items():
        yield from _scalars(child, (*path, key), at)


def _json(text: str, noted: Problems) -> tuple[dict[str, Any], dict[str, int]] | None:
    try:
        value = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unambiguous)
    except json.JSONDecodeError as error:
        noted.add(f"not valid JSON: {error.msg.lower()}: correct it", line=error.lineno)
        return None
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, ValueError) else "nested too deep"
        noted.add(f"not usable: {what}: correct it")
        return None
    if not isinstance(value, dict):
        noted.add("must be a mapping of fields to their values: correct it")
        return None
    where = {key: max(0, text.find(json.dumps(key, ensure_ascii=False))) for key in value}
    return value, {key: text.count("\n", 0, start) + 1 for key, start in where.items()}


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found
