"""Turns pydantic's errors into problems that say what, where and how to mend it."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from phased_rollout.config.document import Document
from phased_rollout.config.nodes import Ambiguous, Node, misread
from phased_rollout.config.problems import Path, Problems, did_you_mean, shortened
from phased_rollout.config.rules import WRITTEN

ModelT = TypeVar("ModelT", bound=BaseModel)

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def validated(shape: type[ModelT], document: Document, problems: Problems) -> ModelT | None:
    """Give the document as ``shape``; None, with problems noted, when it has another."""
    known_keys: dict[int, list[str]] = {}
    try:
        return shape.model_validate(document.root.value, context=known_keys)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            _note(error, document, known_keys, problems)
        return None


def _note(
    error: ErrorDetails, document: Document, known_keys: dict[int, list[str]], problems: Problems
) -> None:
    path = _path(error["loc"], document)
    line, node = document.find(path)
    if error["type"] == "missing":
        what = "missing: set it"
    elif error["type"] == "extra_forbidden":
        known = known_keys.get(id(document.find(path[:-1])[1].value), [])
        close = did_you_mean(str(path[-1]), known) or f": known here are {', '.join(known)}"
        what = f"unknown key{close}"
    elif error["loc"][-1:] == ("[key]",):
        what = _what(error, node, str(path[-1]) or "an empty text")
    elif isinstance(node.value, Ambiguous):
        return
    else:
        what = _what(error, node, node.text or _sort(node.value))
    problems.add(what, line=line, path=path)


def _path(location: tuple[str | int, ...], document: Document) -> Path:
    """Drop what pydantic adds to a location: which of several shapes it tried, and ``[key]``."""
    path: list[str | int] = []
    for part in location:
        children = document.find(path)[1].children
        added = isinstance(part, str) and (part.startswith("kind=") or part == "[key]")
        if not added or part in children:
            path.append(part)
    return tuple(path)


def _what(error: ErrorDetails, node: Node, text: str) -> str:
    kind, context, written = error["type"], error.get("ctx", {}), shortened(text)
    if kind == "value_error":
        return str(context["error"]).replace(WRITTEN, written)
    if kind == "string_type" and isinstance(node.value, (bool, int, float)):
        return misread(node)
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {written}"
    if kind == "greater_than_equal":
        return f"must be at least {context['ge']}, not {written}"
    if kind == "literal_error":
        shown = repr(written) if isinstance(node.value, str) else written
        return f"must be {context['expected']}, not {shown}"
    return f"{error['msg'].lower()}: correct it"


def _sort(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return "an empty value" if value is None else "an empty text"
