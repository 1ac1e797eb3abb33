"""Templates as text: what they declare, what they become for one target, and how that is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from phased_rollout.changes import IN_A_REQUEST, MAX_BYTES, TEMPLATES
from phased_rollout.config.bounds import check
from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.digest import canonical_json, digest_of
from phased_rollout.model.target_state import Artifact
from phased_rollout.substrates.cloudformation.spec import StackSpec
from phased_rollout.templates import REFERENCE

HIDDEN = "****"  # how CloudFormation reports the value of a NoEcho parameter


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
    check(text)
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
    except (ValueError, RecursionError):  # no JSON, or nested too deep
        return _readable(text.replace("\r\n", "\n").replace("\r", "\n").strip() + "\n")


def _readable(text: str) -> str:
    """Give what reads back: CloudFormation answers ``?`` for each character that is not ASCII.

    Source: aws-cloudformation/cloudformation-coverage-roadmap issues 814 and 1220.
    """
    return re.sub(r"[^\x00-\x7f]", "?", text)


def recovered(earlier: Artifact, *, known: Artifact) -> Artifact:
    """Put back what did not read back of characters beyond ASCII, where ``known`` has the same."""
    if "unknown" in earlier.body or "unknown" in known.body:
        return earlier
    body = dict(earlier.body)
    if canonical(known.body["template"]) == canonical(body["template"]):
        body["template"] = known.body["template"]
    for what in ("parameters", "tags"):
        same = {_readable(key): (key, value) for key, value in known.body[what].items()}
        body[what] = dict(
            same[key] if key in same and _readable(same[key][1]) == value else (key, value)
            for key, value in body[what].items()
        )
    return Artifact(digest=earlier.digest, body=body)


def too_long(text: str, *, has_bucket: bool) -> str:
    """Say why CloudFormation would not take a template of this length; nothing when it would."""
    size = len(text.encode())
    if has_bucket and size > MAX_BYTES:
        return f"{size:,} bytes; CloudFormation takes at most {MAX_BYTES:,}"
    if not has_bucket and size > IN_A_REQUEST:
        return f"{size:,} bytes; CloudFormation takes at most {IN_A_REQUEST:,} without a bucket"
    return ""


@dataclass(frozen=True, slots=True)
class _Source:
    """A stack's template in the change."""

    file: str
    text: str
    declared: Mapping[str, Declared]


def render(
    change: Change, specs: Sequence[StackSpec], *, channel: str, target: str, has_bucket: bool
) -> dict[str, Artifact]:
    """Give a change as each stack of a target would run it; raises ChangeError, all at once."""
    given = change.parameters_for(channel=channel, target=target)
    sources = {spec.name: _source(change, spec) for spec in specs}
    problems = [
        *(
            f"{source.file}: {problem}"
            for source in {source.file: source for source in sources.values()}.values()
            for problem in (too_long(source.text, has_bucket=has_bucket), *_problems(source, given))
            if problem
        ),
        *_undeclared(list(sources.values()), given),
    ]
    if problems:
        raise ChangeError("\n".join(f"change {change.name!r}: {problem}" for problem in problems))
    return {
        spec.name: _artifact_of(sources[spec.name], change, given, granted=spec.capabilities)
        for spec in specs
    }


def _artifact_of(
    source: _Source, change: Change, given: Mapping[str, str], *, granted: tuple[str, ...]
) -> Artifact:
    known = source.declared
    defaults = {
        key: value.default
        for key, value in known.items()
        if value.default is not None and not value.hidden
    }
    return artifact(
        source.text,
        parameters={**defaults, **{key: value for key, value in given.items() if key in known}},
        hidden=frozenset(key for key, value in known.items() if value.hidden),
        tags=change.tags,
        capabilities=tuple({*change.capabilities, *granted}),
    )


def _source(change: Change, spec: StackSpec) -> _Source:
    names = (spec.template,) if spec.template else TEMPLATES
    found = [name for name in names if name in change.files]
    if len(found) != 1:
        raise ChangeError(
            f"change {change.name!r}: give exactly one of {', '.join(names)} for the stack "
            f"{spec.name!r}; found {', '.join(found) or 'none'}"
        )
    text = change.files[found[0]]
    try:
        return _Source(found[0], text, declared(parsed(text)))
    except ChangeError as error:
        raise ChangeError(f"change {change.name!r}: {found[0]}: {error}") from error


def _undeclared(sources: Sequence[_Source], given: Mapping[str, str]) -> Iterator[str]:
    by_file = {source.file: sorted(source.declared) for source in sources}
    known = {name for names in by_file.values() for name in names}
    declares = "; ".join(f"{file}: {', '.join(names) or 'none'}" for file, names in by_file.items())
    for name in sorted(set(given) - known):
        yield f"parameter {name!r} is given but no template declares it; declared are: {declares}"


def _problems(source: _Source, given: Mapping[str, str]) -> Iterator[str]:
    for name, parameter in sorted(source.declared.items()):
        if name not in given and parameter.default is None and not parameter.hidden:
            yield f"parameter {name!r} has no default: give it a value"
        if name in given and parameter.hidden and not REFERENCE.fullmatch(given[name]):
            yield (
                f"parameter {name!r} is NoEcho: a value given here would be stored in the records; "
                "give a dynamic reference such as {{resolve:secretsmanager:…}}, or nothing to keep "
                "the stack's own"
            )
