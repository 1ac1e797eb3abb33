"""Works out what a stack shall be from a template, parameters and tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from sandbox.aws.cloudformation.intrinsics import Scope, symbol
from sandbox.aws.cloudformation.kinds import kind_of
from sandbox.aws.cloudformation.model import Desired, Json, Parameter, Wanted
from sandbox.aws.cloudformation.templates import parse_template, references
from sandbox.aws.errors import validation_error
from sandbox.aws.partitions import partition_of, suffix_of

_ATTRIBUTES = (
    "CreationPolicy",
    "DeletionPolicy",
    "Metadata",
    "UpdatePolicy",
    "UpdateReplacePolicy",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack is: what the pseudo parameters tell, and the exports it can import."""

    account: str
    region: str
    stack_name: str
    stack_arn: str
    exports: Mapping[str, str]

    def pseudo(self, notification_arns: tuple[str, ...]) -> dict[str, Any]:
        return {
            "AWS::AccountId": self.account,
            "AWS::NotificationARNs": list(notification_arns),
            "AWS::Partition": partition_of(self.region),
            "AWS::Region": self.region,
            "AWS::StackId": self.stack_arn,
            "AWS::StackName": self.stack_name,
            "AWS::URLSuffix": suffix_of(self.region),
        }


@dataclass(frozen=True, slots=True)
class Submission:
    """The checked input of a create, an update or a change set."""

    text: str
    parameters: Mapping[str, Parameter]
    tags: Mapping[str, str]
    capabilities: tuple[str, ...]
    role_arn: str | None
    notification_arns: tuple[str, ...]


def build_desired(submission: Submission, *, place: Place) -> Desired:
    """Resolve everything that does not depend on resources that do not exist yet."""
    template = parse_template(submission.text)
    scope = Scope(
        template=template,
        parameters=submission.parameters,
        pseudo=place.pseudo(submission.notification_arns),
        exports=place.exports,
    )
    wanted = {
        logical_id: _wanted(raw, scope=scope, names=template["Resources"], tags=submission.tags)
        for logical_id, raw in template["Resources"].items()
        if "Condition" not in raw or scope.holds(str(raw["Condition"]))
    }
    _check_needs(wanted)
    return Desired(
        text=submission.text,
        template=template,
        parameters=submission.parameters,
        tags=submission.tags,
        resources=_in_order(wanted),
        outputs=_outputs(template, scope=scope, wanted=wanted),
        capabilities=submission.capabilities,
        role_arn=submission.role_arn,
        notification_arns=submission.notification_arns,
    )


def _wanted(
    raw: Json, *, scope: Scope, names: Mapping[str, Any], tags: Mapping[str, str]
) -> Wanted:
    kind = kind_of(str(raw["Type"]))
    properties = scope.resolve(raw.get("Properties") or {}, symbol)
    own: Any = properties.pop(kind.tags, None) if kind.tags else None
    if isinstance(own, list):
        own = {str(item["Key"]): item.get("Value", "") for item in own}
    depends = raw.get("DependsOn", [])
    needs = set(references(properties)) | set(references(own or {}))
    needs |= {depends} if isinstance(depends, str) else set(depends)
    return Wanted(
        type=str(raw["Type"]),
        properties=properties,
        tags=({**tags, **(own or {})}) if kind.tags else {},
        attributes={key: raw[key] for key in _ATTRIBUTES if key in raw},
        needs=frozenset(needs & set(names)),
        raw=raw,
    )


def _check_needs(wanted: Mapping[str, Wanted]) -> None:
    hard = {
        name
        for item in wanted.values()
        for name in item.needs & frozenset(references([dict(item.properties), dict(item.tags)]))
    }
    if missing := sorted(hard - set(wanted)):
        raise validation_error(
            f"Template format error: Unresolved resource dependencies [{', '.join(missing)}] "
            "in the Resources block of the template"
        )


def _in_order(wanted: Mapping[str, Wanted]) -> dict[str, Wanted]:
    graph = {name: sorted(item.needs & set(wanted)) for name, item in wanted.items()}
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        names = ", ".join(sorted(set(error.args[1])))
        raise validation_error(f"Circular dependency between resources: [{names}]") from None
    return {name: wanted[name] for name in order}


def _outputs(
    template: Mapping[str, Any], *, scope: Scope, wanted: Mapping[str, Wanted]
) -> dict[str, Json]:
    outputs = {}
    for key, raw in (template.get("Outputs") or {}).items():
        if "Condition" in raw and not scope.holds(str(raw["Condition"])):
            continue
        output = scope.resolve({k: v for k, v in raw.items() if k != "Condition"}, symbol)
        missing = {n for n in references(output.get("Value")) if n not in wanted}
        if missing:
            raise validation_error(
                f"Unresolved resource dependencies [{', '.join(sorted(missing))}] in the Outputs "
                "block of the template"
            )
        outputs[key] = output
    return outputs
