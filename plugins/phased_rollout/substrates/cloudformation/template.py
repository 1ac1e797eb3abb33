"""Templates as text: what they declare, what they become for one target, and how that is named."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.digest import canonical_json, digest_of
from phased_rollout.model.target_state import Artifact

LIMIT = 51_200  # bytes of TemplateBody; more has to go through a bucket
HIDDEN = "****"  # how CloudFormation reports the value of a NoEcho parameter
_NAMES = ("template.yaml", "template.yml", "template.json")
_REFERENCE = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):[^{}]+\}\}")


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter as its template declares it.

    :param default: None when a value has to be given
    :param hidden: NoEcho: its value never reads back
    """

    default: str | None
    hidden: bool


def parsed(text: str) -> dict[str, Any]:
    """Read a JSON or YAML template, every scalar as text; raises ChangeError.

    Short intrinsics (``!Ref``) are read as their bare values: only parameters are looked at.
    """
    try:
        if text.lstrip().startswith("{"):
            try:
                document = json.loads(text, parse_int=str, parse_float=str)
            except ValueError:
                document = _yaml(text)
        else:
            document = _yaml(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ChangeError(f"the template is neither JSON nor YAML: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Resources"), dict):
        raise ChangeError("the template has no `Resources`: CloudFormation needs at least one")
    if not document["Resources"]:
        raise ChangeError("the template's `Resources` are empty: nothing would be rolled out")
    return document


def _yaml(text: str) -> Any:
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    return yaml.load(text, Loader=loader)  # noqa: S506  # BaseLoader builds only text, lists, dicts


def declared(document: Mapping[str, Any]) -> dict[str, Declared]:
    """Give the parameters that a parsed template declares."""
    found = document.get("Parameters") or {}
    if not isinstance(found, dict):
        raise ChangeError("the template's `Parameters` are no mapping")
    return {
        name: Declared(
            default=_text(value["Default"]) if "Default" in value else None,
            hidden=_text(value.get("NoEcho", "false")).lower() == "true",
        )
        for name, value in found.items()
        if isinstance(value, dict)
    }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def artifact(
    text: str,
    *,
    parameters: Mapping[str, str],
    hidden: frozenset[str],
    tags: Mapping[str, str],
    capabilities: tuple[str, ...],
) -> Artifact:
    """Name a configuration by what a stack reports of it; the body holds what restore needs.

    Left out of the digest: NoEcho values (they never read back) and capabilities (permission, not
    content).
    """
    shown = {name: value for name, value in parameters.items() if name not in hidden}
    digest = digest_of(
        {
            "template": canonical(text),
            "parameters": {name: _readable(value) for name, value in shown.items()},
            "tags": {_readable(name): _readable(value) for name, value in tags.items()},
        }
    )
    body = {
        "template": text,
        "parameters": dict(parameters),
        "hidden": sorted(hidden),
        "tags": dict(tags),
        "capabilities": sorted(capabilities),
    }
    return Artifact(digest=digest, body=body)


def canonical(text: str) -> str:
    """Give the one form of a template: JSON parsed, of YAML its text, both as they read back."""
    try:
        return _readable(canonical_json(json.loads(text)))
    except ValueError:
        return _readable(text.replace("\r\n", "\n").replace("\r", "\n").strip() + "\n")


def _readable(text: str) -> str:
    """Give what reads back: CloudFormation answers ``?`` for each character that is not ASCII.

    Source: aws-cloudformation/cloudformation-coverage-roadmap issues 814 and 1220.
    """
    return re.sub(r"[^\x00-\x7f]", "?", text)


def render(change: Change, *, channel: str, target: str, capabilities: tuple[str, ...]) -> Artifact:
    """Give a change as one target would run it; raises ChangeError with all problems at once."""
    name, text = _template_of(change)
    try:
        known = declared(parsed(text))
    except ChangeError as error:
        raise ChangeError(f"change {change.name!r}: {name}: {error}") from error
    given = change.parameters_for(channel=channel, target=target)
    problems = [*_too_long(text), *_problems(known, given)]
    if problems:
        raise ChangeError(
            "\n".join(f"change {change.name!r}: {name}: {problem}" for problem in problems)
        )
    defaults = {
        key: value.default
        for key, value in known.items()
        if value.default is not None and not value.hidden
    }
    return artifact(
        text,
        parameters={**defaults, **given},
        hidden=frozenset(key for key, value in known.items() if value.hidden),
        tags=change.tags,
        capabilities=tuple({*change.capabilities, *capabilities}),
    )


def _template_of(change: Change) -> tuple[str, str]:
    found = [name for name in _NAMES if name in change.files]
    if len(found) != 1:
        raise ChangeError(
            f"change {change.name!r}: give exactly one of {', '.join(_NAMES)}; "
            f"found {', '.join(found) or 'none'}"
        )
    return found[0], change.files[found[0]]


def _too_long(text: str) -> list[str]:
    size = len(text.encode())
    if size <= LIMIT:
        return []
    return [f"{size:,} bytes; CloudFormation takes at most {LIMIT:,} without a bucket"]


def _problems(known: Mapping[str, Declared], given: Mapping[str, str]) -> list[str]:
    declares = ", ".join(sorted(known)) or "none"
    undeclared = [
        f"parameter {name!r} is given but the template does not declare it; it declares: {declares}"
        for name in sorted(set(given) - set(known))
    ]
    missing = [
        f"parameter {name!r} has no default: give it a value"
        for name, parameter in sorted(known.items())
        if name not in given and parameter.default is None and not parameter.hidden
    ]
    literal = [
        f"parameter {name!r} is NoEcho: a value given here would be stored in the records; give a "
        "dynamic reference such as {{resolve:secretsmanager:…}}, or nothing to keep the stack's own"
        for name, value in sorted(given.items())
        if name in known and known[name].hidden and not _REFERENCE.fullmatch(value)
    ]
    return undeclared + missing + literal
