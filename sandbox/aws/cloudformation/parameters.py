"""Resolves and checks the parameters of a stack as CloudFormation does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.aws.cloudformation.model import Json, Parameter
from sandbox.aws.errors import validation_error

_SSM = "AWS::SSM::Parameter::Value<"

ReadSsm = Callable[[str], str | None]


def resolve_parameters(
    *,
    declared: Mapping[str, Json],
    submitted: Sequence[Json],
    previous: Mapping[str, Parameter],
    read_ssm: ReadSsm,
) -> dict[str, Parameter]:
    """Every declared parameter with its value: submitted, previous, or the default."""
    given = {str(item.get("ParameterKey")): item for item in submitted}
    if unknown := [key for key in given if key not in declared]:
        raise validation_error(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values = {
        key: _value(key, spec, item=given.get(key), previous=previous)
        for key, spec in declared.items()
    }
    if missing := [key for key, value in values.items() if value is None]:
        raise validation_error(f"Parameters: [{', '.join(missing)}] must have values")
    return {
        key: _parameter(key, spec=declared[key], value=str(value), read_ssm=read_ssm)
        for key, value in values.items()
    }


def _value(
    key: str, spec: Json, *, item: Json | None, previous: Mapping[str, Parameter]
) -> str | None:
    if item is None:
        default = spec.get("Default")
        return None if default is None else _scalar(default)
    keeps = str(item.get("UsePreviousValue", "")).lower() == "true"
    if keeps == ("ParameterValue" in item):
        raise validation_error(
            f"Invalid input for parameter key {key}. Need to specify either usePreviousValue as "
            "true or a value for the parameter"
        )
    if not keeps:
        return str(item["ParameterValue"])
    if key not in previous:
        raise validation_error(
            f"Invalid input for parameter key {key}. Cannot specify usePreviousValue as true for "
            "a parameter key not in the previous template"
        )
    return previous[key].value


def _scalar(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parameter(key: str, *, spec: Json, value: str, read_ssm: ReadSsm) -> Parameter:
    kind = str(spec.get("Type", "String"))
    text = value
    if from_ssm := kind.startswith(_SSM):
        kind = kind.removeprefix(_SSM).removesuffix(">")
        found = read_ssm(value)
        if found is None:
            raise validation_error(
                f"Unable to fetch parameters [{value}] from parameter store for this account."
            )
        text = found
    resolved = _typed(key, kind=kind, text=text)
    _check(key, spec=spec, value=value, numeric=kind == "Number")
    no_echo = str(spec.get("NoEcho", "")).lower() == "true"
    return Parameter(key, value, resolved, no_echo=no_echo, from_ssm=from_ssm)


def _typed(key: str, *, kind: str, text: str) -> Any:
    if kind == "Number":
        return _number(key, text)
    if kind == "List<Number>":
        return [_number(key, item.strip()) for item in text.split(",")]
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [item.strip() for item in text.split(",")]
    return text


def _number(key: str, text: str) -> int | float:
    try:
        return int(text) if re.fullmatch(r"\s*-?\d+\s*", text) else float(text)
    except ValueError:
        raise validation_error(f"Parameter '{key}' must be a number") from None


def _check(key: str, *, spec: Json, value: str, numeric: bool) -> None:
    problem = _problem(spec, value, numeric=numeric)
    if problem is None:
        return
    if described := spec.get("ConstraintDescription"):
        raise validation_error(f"Parameter '{key}' failed to satisfy constraint: {described}")
    raise validation_error(f"Parameter '{key}' {problem}")


def _problem(spec: Json, value: str, *, numeric: bool) -> str | None:  # noqa: PLR0911 one a rule
    allowed = spec.get("AllowedValues")
    if allowed and value not in [_scalar(item) for item in allowed]:
        return f"must be one of AllowedValues [{', '.join(_scalar(item) for item in allowed)}]"
    pattern = spec.get("AllowedPattern")
    if pattern and not re.fullmatch(str(pattern), value):
        return f"must match pattern {pattern}"
    if len(value) < int(spec.get("MinLength", 0)):
        return f"must contain at least {spec['MinLength']} characters"
    if "MaxLength" in spec and len(value) > int(spec["MaxLength"]):
        return f"must contain at most {spec['MaxLength']} characters"
    if numeric and "MinValue" in spec and float(value) < float(spec["MinValue"]):
        return f"must be a number not less than {spec['MinValue']}"
    if numeric and "MaxValue" in spec and float(value) > float(spec["MaxValue"]):
        return f"must be a number not greater than {spec['MaxValue']}"
    return None
