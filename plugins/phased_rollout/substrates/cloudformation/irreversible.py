"""What a rollback could not bring back, named before anything is touched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from phased_rollout.errors import ChangeError
from phased_rollout.model.target_state import Artifact, TargetState
from phased_rollout.substrates.cloudformation.stack import NESTED
from phased_rollout.substrates.cloudformation.template import parsed, recovered, too_long

_RETAINING = ("Retain", "RetainExceptOnCreate")
_NAMES_CONTENT = re.compile(
    r"[?&]versionId=\w|(?<![0-9a-f])[0-9a-f]{32,}(?![0-9a-f])", re.IGNORECASE
)


def irreversible(
    state: TargetState,
    artifact: Artifact,
    changes: Iterable[Mapping[str, Any]],
    *,
    has_bucket: bool,
) -> Iterator[str]:
    """Say it in words, for a stack in ``state`` that would run the artifact.

    :param changes: the ResourceChanges of the ChangeSet
    """
    policies = {name: each.get("DeletionPolicy") for name, each in _resources(artifact).items()}
    for change in changes:
        name = f"{change['LogicalResourceId']} ({change.get('ResourceType', '')})"
        if change.get("PolicyAction") in ("Retain", "ReplaceAndRetain"):
            yield (
                f"{name} leaves its resource behind, which no stack manages then: a rollback does "
                "not take it back"
            )
        if change["Action"] == "Add" and policies.get(change["LogicalResourceId"]) in _RETAINING:
            yield f"{name} is retained: a rollback leaves what was created, and no stack manages it"
    for name, url in sorted(_mutable(artifact) | _mutable(state.running)):
        yield (
            f"{name} ({NESTED}): the content of {url} may change under the same address: a "
            "rollback may bring back another than ran before, and a new content alone is not "
            "rolled out: put a version or a digest into the address"
        )
    if state.running:
        yield from _of_the_stack(state.running, artifact, has_bucket=has_bucket)


def _resources(artifact: Artifact) -> dict[str, dict[str, Any]]:
    try:
        resources = parsed(artifact.body["template"])["Resources"]
    except ChangeError:  # CloudFormation took it, so it is a template all the same
        return {}
    return {name: each for name, each in resources.items() if isinstance(each, dict)}


def _mutable(artifact: Artifact | None) -> set[tuple[str, str]]:
    """Name the nested stacks whose template is at an address that does not name its content."""
    if artifact is None:
        return set()
    return {
        (name, url.partition("?")[0])
        for name, resource in _resources(artifact).items()
        if resource.get("Type") == NESTED
        and (url := _address(resource.get("Properties"), artifact.body["parameters"]))
        and not _NAMES_CONTENT.search(url.split("/", 3)[-1])
    }


def _address(properties: Any, parameters: Mapping[str, str]) -> str:
    """Give the TemplateURL as far as it can be told; empty when it is put together otherwise.

    A short intrinsic reads as its bare value, so ``!Ref Url`` is the name of a parameter.
    """
    value = properties.get("TemplateURL") if isinstance(properties, dict) else None
    if isinstance(value, dict):
        value = value.get("Ref") or value.get("Fn::Sub")
    text = value if isinstance(value, str) else ""
    text = parameters.get(text, text)
    text = re.sub(r"\$\{(\w+)\}", lambda found: parameters.get(found[1], found[0]), text)
    return text if "://" in text else ""


def _of_the_stack(earlier: Artifact, artifact: Artifact, *, has_bucket: bool) -> Iterator[str]:
    body = recovered(earlier, known=artifact).body
    for name in body["hidden"]:
        if name not in artifact.body["hidden"] or name in artifact.body["parameters"]:
            yield f"the earlier value of the NoEcho parameter {name!r} cannot be restored"
    if what := too_long(body["template"], has_bucket=has_bucket):
        yield f"the earlier template cannot be restored: {what}"
    for line in _perhaps_lost(body["template"], known=artifact.body["template"]):
        yield (
            "CloudFormation gives '?' for characters beyond ASCII, and so would a rollback, in the "
            f"earlier template's {line!r}"
        )
    values = {**body["parameters"], **body["tags"]}
    known = {**artifact.body["parameters"], **artifact.body["tags"]}
    for name, value in values.items():
        if "?" in value and value != known.get(name):
            yield f"the '?' in the earlier value of {name!r} may stand for a character that is lost"


def _perhaps_lost(earlier: str, *, known: str) -> list[str]:
    """Give the lines with a ``?`` that the new template does not have as they are."""
    if not earlier.isascii():
        return []  # it was recovered
    same = set(_lines(known))
    return [line for line in _lines(earlier) if "?" in line and line not in same]


def _lines(text: str) -> list[str]:
    with suppress(ValueError):
        text = json.dumps(json.loads(text), indent=0, ensure_ascii=False)
    return [line.strip() for line in text.splitlines()]
