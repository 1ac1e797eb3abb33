"""The shape of a change's change.yaml, and how its values become those of CloudFormation."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from phased_rollout.config.fields import Strict
from phased_rollout.config.kinds import Capability
from phased_rollout.config.rules import WRITTEN, Matching
from phased_rollout.model.versions import CONDITION, VERSION

MAX_VALUE = 4096
"""CloudFormation's limit for the value of a parameter, in bytes."""


def parameter_text(value: Any) -> str:
    """Give a parameter's value as CloudFormation takes it; raises ValueError, without the value."""
    if isinstance(value, list):
        items = [parameter_text(item) for item in value if not isinstance(item, list)]
        if len(items) < len(value):
            raise ValueError("holds a list inside a list: make it one list")
        if any("," in item for item in items):
            raise ValueError("holds a ',' in an item, which would split it in two: remove it")
        text = ",".join(items)
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = value
    elif isinstance(value, (int, float)) and math.isfinite(value):
        text = str(value)
    elif value is None:
        raise ValueError("has no value: give it one, or remove it to use the template's default")
    else:
        raise ValueError("must be one value or a list of values: write JSON as text, in quotes")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("holds half a character, which is no text: correct it")
    if len(text.encode()) > MAX_VALUE:
        raise ValueError(f"is longer than {MAX_VALUE} bytes: shorten it")
    return text


ParameterName = Annotated[
    str,
    Matching(r"[A-Za-z0-9]{1,255}", "cannot name a parameter: use letters and digits only"),
]
Parameters = dict[ParameterName, Annotated[str, BeforeValidator(parameter_text)]]
TagKey = Annotated[
    str,
    Matching(
        r"(?!aws:)[\w\s.:/=+@-]{1,128}",
        "cannot be a tag's key: use letters, digits and .:/=+@-_, at most 128, not aws:…",
    ),
]
TagValue = Annotated[str, Matching(r"(?s).{0,256}", "is too long for a tag: use at most 256")]


InterfaceName = Annotated[
    str,
    Matching(
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}",
        "cannot name an interface: use letters, digits, '_', '-' and '.', at most 100",
    ),
]


def _versions(value: Any) -> tuple[str, ...]:
    given = value if isinstance(value, list) else [value]
    if not given:
        raise ValueError("is empty: name the version that is provided")
    for each in given:
        if not isinstance(each, str) or not re.fullmatch(VERSION, each, re.ASCII):
            shown = each if isinstance(each, str) else WRITTEN
            raise ValueError(f"{shown} is no version: write one such as 2 or 1.4, or a list")
    return tuple(dict.fromkeys(given))


Versions = Annotated[tuple[str, ...], BeforeValidator(_versions)]
Condition = Annotated[
    str, Matching(CONDITION, 'is no condition: write one such as ">=2" or ">=1,<3", in quotes')
]


class Overrides(Strict):
    """Parameters for some channels or targets only."""

    channels: dict[str, Parameters] = Field(default_factory=dict)
    targets: dict[str, Parameters] = Field(default_factory=dict)


class Settings(Strict):
    """The shape of change.yaml."""

    description: str = ""
    parameters: Parameters = Field(default_factory=dict)
    overrides: Overrides = Overrides()
    tags: dict[TagKey, TagValue] = Field(default_factory=dict)
    capabilities: list[Capability] = Field(default_factory=list)
    provides: dict[InterfaceName, Versions] = Field(default_factory=dict)
    requires: dict[InterfaceName, Condition] = Field(default_factory=dict)
