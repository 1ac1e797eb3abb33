"""Reads templates: JSON, or YAML with CloudFormation's short tags."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml

from sandbox.aws.cloudformation.kinds import is_supported
from sandbox.aws.cloudformation.model import Json
from sandbox.aws.errors import validation_error

MAX_BODY_BYTES = 51_200
MAX_URL_BYTES = 1_048_576
_SECTIONS = frozenset({
    "AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings",
    "Conditions", "Transform", "Hooks", "Resources", "Outputs",
})  # fmt: skip
_PSEUDO = frozenset(
    f"AWS::{name}"
    for name in ("AccountId", "NotificationARNs", "NoValue", "Partition", "Region", "StackId",
                 "StackName", "URLSuffix")
)  # fmt: skip
_TRANSFORMS = ("AWS::LanguageExtensions",)
_SUB = re.compile(r"\$\{([^!}][^}]*)\}")
_IAM = re.compile(r"AWS::IAM::(?:AccessKey|Group|InstanceProfile|ManagedPolicy|Policy|Role|User|"
                  r"UserToGroupAddition)$")  # fmt: skip
_IAM_NAMES = ("GroupName", "InstanceProfileName", "ManagedPolicyName", "RoleName", "UserName")


class _Loader(yaml.CSafeLoader):
    """YAML as CloudFormation reads it: short tags, and dates stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _short_tag(loader: _Loader, suffix: str, node: yaml.Node) -> Json:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_tag)


@lru_cache(maxsize=256)
def parse_template(text: str) -> Mapping[str, Any]:
    """A checked template, to be treated as immutable; ``AwsError`` says what is wrong."""
    template = _load(text)
    unknown = sorted(set(template) - _SECTIONS)
    if unknown:
        raise validation_error(f"Invalid template property or properties [{', '.join(unknown)}]")
    if not isinstance(template.get("Resources"), dict) or not template["Resources"]:
        raise validation_error(
            "Template format error: At least one Resources member must be defined."
        )
    transforms = template.get("Transform") or []
    for name in [transforms] if isinstance(transforms, str) else transforms:
        if name not in _TRANSFORMS:
            raise validation_error(f"No transform named {name} found.")
    _check_resources(template)
    _check_references(template)
    return template


def _load(text: str) -> Json:
    try:
        value = json.loads(text) if text.lstrip()[:1] == "{" else yaml.load(text, _Loader)  # noqa: S506 derives from SafeLoader
    except ValueError:
        raise validation_error("Template format error: JSON not well-formed.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise validation_error(f"Template format error: YAML not well-formed.{where}") from None
    if not isinstance(value, dict):
        raise validation_error("Template format error: unsupported structure.")
    return value


def _check_resources(template: Json) -> None:
    unknown: set[str] = set()
    for logical_id, resource in template["Resources"].items():
        if not isinstance(resource, dict) or "Type" not in resource:
            raise validation_error(
                f"Template format error: [/Resources/{logical_id}] Every Resources object must "
                "contain a Type member."
            )
        if not is_supported(str(resource["Type"])):
            unknown.add(str(resource["Type"]))
    if unknown:
        names = ", ".join(sorted(unknown))
        raise validation_error(f"Template format error: Unrecognized resource types: [{names}]")


def _check_references(template: Json) -> None:
    known = set(template["Resources"]) | set(template.get("Parameters") or {}) | _PSEUDO
    for section in ("Resources", "Outputs"):
        named = set(references(template.get(section) or {}))
        if missing := sorted(named - known):
            raise validation_error(
                f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] "
                f"in the {section} block of the template"
            )


def references(value: Any) -> Iterator[str]:
    """Every name that ``Ref``, ``Fn::GetAtt``, ``Fn::Sub`` or ``DependsOn`` points at."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == "Ref" and len(value) == 1:
            yield str(item)
        elif key == "Fn::GetAtt":
            yield item.split(".")[0] if isinstance(item, str) else str(item[0])
        elif key == "Fn::Sub":
            yield from _sub_references(item)
        elif key == "DependsOn":
            yield from [item] if isinstance(item, str) else item
        else:
            yield from references(item)


def _sub_references(item: Any) -> Iterator[str]:
    text, local = (item, {}) if isinstance(item, str) else (item[0], item[1])
    for name in _SUB.findall(text):
        if name.split(".")[0] not in local:
            yield name.split(".")[0]
    yield from references(list(local.values()))


def required_capabilities(template: Mapping[str, Any]) -> list[str]:
    """The acknowledgement that a template with IAM resources needs, if any."""
    iam = [r for r in template["Resources"].values() if _IAM.match(str(r["Type"]))]
    named = any(name in (r.get("Properties") or {}) for r in iam for name in _IAM_NAMES)
    return ["CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"] if iam else []
