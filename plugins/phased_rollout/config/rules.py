"""Rules of single fields: what is said when one is broken, and its JSON Schema says the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core.core_schema import (
    CoreSchema,
    no_info_after_validator_function,
    no_info_before_validator_function,
)

WRITTEN = "{written}"
"""In a ValueError's text this stands for the value as it is written in the file."""

Json = dict[str, Any]
_SMALLEST = {"array": "minItems", "object": "minProperties"}


@dataclass(frozen=True, slots=True)
class Matching:
    """Accept text that matches as a whole; editors are told the pattern."""

    pattern: str
    mend: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        compiled = re.compile(self.pattern, re.ASCII)

        def check(text: str) -> str:
            if not compiled.fullmatch(text):
                raise ValueError(f"{WRITTEN} {self.mend}")
            return text

        return no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return {**handler(schema), "pattern": f"^({self.pattern})$"}


@dataclass(frozen=True, slots=True)
class NotNull:
    """Refuse a key that is there and has no value; editors are told so."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_before_validator_function(_not_null, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        return _without_null(handler(schema))


@dataclass(frozen=True, slots=True)
class Filled:
    """Refuse a mapping or list that is null or empty; editors are told so."""

    mend: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def check(value: Any) -> Any:
            if value is None or value in ([], {}):
                raise ValueError(f"{'has no value' if value is None else 'is empty'}: {self.mend}")
            return value

        return no_info_before_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> Json:
        told = _without_null(handler(schema))
        smallest = _SMALLEST.get(told.get("type", ""))
        return {**told, smallest: 1} if smallest else told


def _not_null(value: Any) -> Any:
    if value is None:
        raise ValueError("has no value: give it one, or remove the key")
    return value


def _without_null(told: Json) -> Json:
    kept = [each for each in told.get("anyOf", ()) if each != {"type": "null"}]
    return kept[0] if len(kept) == 1 else {"anyOf": kept} if kept else told
