"""Tells what an update would change: the ``Changes`` of a change set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.aws.cloudformation.intrinsics import normal
from sandbox.aws.cloudformation.kinds import ResourceKind, kind_of
from sandbox.aws.cloudformation.model import MASK, STACK_TYPE, Desired, Json, Resource, Wanted
from sandbox.aws.cloudformation.templates import references

NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)


def has_changes(*, old: Desired, new: Desired, changes: Iterable[Json]) -> bool:
    """Whether an update is worth executing: resources, outputs or stack tags differ.

    Descriptions, the template's metadata, comments, unused conditions and parameters are nothing.
    """
    return (
        any(changes)
        or dict(old.tags) != dict(new.tags)
        or _effective(old.outputs) != _effective(new.outputs)
    )


def _effective(outputs: Mapping[str, Json]) -> Any:
    return normal({key: [out.get("Value"), out.get("Export")] for key, out in outputs.items()})


def compare(*, old: Desired | None, new: Desired, resources: Mapping[str, Resource]) -> list[Json]:
    """Every change, sorted by logical id; ``resources`` are those that the stack has now."""
    before = old.resources if old is not None else {}
    changes: dict[str, Json] = {}
    for name, wanted in new.resources.items():
        if name not in before:
            changes[name] = _change("Add", name, wanted.type)
        elif old is not None:
            details = _details(name, old=old, new=new, changes=changes)
            if details:
                changes[name] = _modify(name, wanted, details=details, resource=resources.get(name))
    for name, gone in before.items():
        if name not in new.resources:
            change = _change("Remove", name, gone.type, resource=resources.get(name))
            changes[name] = change | {"PolicyAction": removal_policy(gone)}
    return [{"Type": "Resource", "ResourceChange": changes[name]} for name in sorted(changes)]


def removal_policy(wanted: Wanted) -> str:
    """What happens to a resource that the template no longer has."""
    policy = wanted.policy("DeletionPolicy")
    return "Retain" if policy.startswith("Retain") else policy


def _change(action: str, name: str, kind: str, *, resource: Resource | None = None) -> Json:
    return {
        "Action": action,
        "LogicalResourceId": name,
        "PhysicalResourceId": resource.physical_id if resource else None,
        "ResourceType": kind,
        "Scope": [],
        "Details": [],
    }


def _modify(name: str, wanted: Wanted, *, details: list[Json], resource: Resource | None) -> Json:
    scope = {detail["Target"]["Attribute"]: None for detail in details}
    replacement = _replacement(details)
    change = _change("Modify", name, wanted.type, resource=resource)
    change |= {"Replacement": replacement, "Scope": list(scope), "Details": details}
    if replacement != "False":
        change["PolicyAction"] = "ReplaceAnd" + wanted.policy("UpdateReplacePolicy")
    return change


def _replacement(details: list[Json]) -> str:
    static = {d["Target"]["RequiresRecreation"] for d in details if d["Evaluation"] == "Static"}
    dynamic = {d["Target"]["RequiresRecreation"] for d in details if d["Evaluation"] == "Dynamic"}
    if "Always" in static:
        return "True"
    if "Conditionally" in static | dynamic or "Always" in dynamic:
        return "Conditional"
    return "False"


def _details(name: str, *, old: Desired, new: Desired, changes: Mapping[str, Json]) -> list[Json]:
    before, after = old.resources[name], new.resources[name]
    kind, details = kind_of(after.type), []
    for prop in sorted(set(before.properties) | set(after.properties)):
        pair = before.properties.get(prop), after.properties.get(prop)
        if normal(pair[0]) != normal(pair[1]):
            details += _property_details(prop, kind=kind, before=before, after=after, old=old,
                                         new=new)  # fmt: skip
        else:
            details += _dynamic_details(prop, kind=kind, value=pair[1], changes=changes)
    if after.type == STACK_TYPE:  # only executing tells whether its own template changed
        details.append(_detail(_target("Properties"), evaluation="Dynamic", source="Automatic"))
    if normal(before.tags) != normal(after.tags):
        details.append(_detail(_target("Tags")))
    for attribute in sorted(set(before.attributes) | set(after.attributes)):
        if before.attributes.get(attribute) != after.attributes.get(attribute):
            details.append(_detail(_target(attribute)))
    return details


def _property_details(
    prop: str, *, kind: ResourceKind, before: Wanted, after: Wanted, old: Desired, new: Desired
) -> list[Json]:
    target = _target("Properties", name=prop, recreation=kind.recreation(prop))
    target |= _values(before.properties.get(prop), after.properties.get(prop), old=old, new=new,
                      path=f"/Properties/{prop}")  # fmt: skip
    raw_before, raw_after = _raw(before, prop), _raw(after, prop)
    causes = [] if raw_before != raw_after else _changed_parameters(raw_after, old=old, new=new)
    if not causes:
        return [_detail(target)]
    first = _detail(target, evaluation="Dynamic")
    return [first, *(_detail(target, source="ParameterReference", cause=c) for c in causes)]


def _dynamic_details(
    prop: str, *, kind: ResourceKind, value: Any, changes: Mapping[str, Json]
) -> list[Json]:
    """A property follows a resource that may get a new id, or an attribute that may change."""
    target = _target("Properties", name=prop, recreation=kind.recreation(prop))
    details = []
    for logical_id, attribute in _symbols(value):
        change = changes.get(logical_id, {})
        if change.get("Action") != "Modify" or "Properties" not in change["Scope"]:
            continue
        if attribute is not None:
            details.append(_detail(target, evaluation="Dynamic", source="ResourceAttribute",
                                   cause=f"{logical_id}.{attribute}"))  # fmt: skip
        elif change["Replacement"] != "False":
            details.append(_detail(target, evaluation="Dynamic", source="ResourceReference",
                                   cause=logical_id))  # fmt: skip
    return details


def _symbols(value: Any) -> list[tuple[str, str | None]]:
    if isinstance(value, list):
        return [found for item in value for found in _symbols(item)]
    if not isinstance(value, dict):
        return []
    if set(value) == {"Ref"}:
        return [(value["Ref"], None)]
    if set(value) == {"Fn::GetAtt"}:
        return [(value["Fn::GetAtt"][0], value["Fn::GetAtt"][1])]
    return [found for item in value.values() for found in _symbols(item)]


def _changed_parameters(raw: Any, *, old: Desired, new: Desired) -> list[str]:
    conditions = new.template.get("Conditions") or {}
    names = set(references(raw))
    names |= {n for c in _conditions(raw, conditions) for n in references(conditions[c])}
    both = names & set(old.parameters) & set(new.parameters)
    return sorted(n for n in both if old.parameters[n].text != new.parameters[n].text)


def _conditions(raw: Any, known: Mapping[str, Any]) -> set[str]:
    if isinstance(raw, list):
        return {name for item in raw for name in _conditions(item, known)}
    if not isinstance(raw, dict):
        return set()
    found = {name for item in raw.values() for name in _conditions(item, known)}
    if isinstance(raw.get("Fn::If"), list) and raw["Fn::If"][0] in known:
        found.add(raw["Fn::If"][0])
    if isinstance(raw.get("Condition"), str) and raw["Condition"] in known:
        found.add(raw["Condition"])
    return found | {n for c in found for n in _conditions(known[c], known) if n not in found}


def _raw(wanted: Wanted, prop: str) -> Any:
    return (wanted.raw.get("Properties") or {}).get(prop)


def _target(attribute: str, *, name: str | None = None, recreation: str = "Never") -> Json:
    target = {"Attribute": attribute, "RequiresRecreation": recreation}
    return target if name is None else {"Attribute": attribute, "Name": name, **target}


def _detail(
    target: Json,
    *,
    evaluation: str = "Static",
    source: str = "DirectModification",
    cause: str | None = None,
) -> Json:
    detail = {"Target": target, "Evaluation": evaluation, "ChangeSource": source}
    return detail if cause is None else detail | {"CausingEntity": cause}


def _values(before: Any, after: Any, *, old: Desired, new: Desired, path: str) -> Json:
    """The property values that ``IncludePropertyValues`` asks for."""
    kind = "Add" if before is None else "Remove" if after is None else "Modify"
    return {
        "Path": path,
        "BeforeValue": _shown(before, old),
        "AfterValue": _shown(after, new),
        "AttributeChangeType": kind,
    }


def _shown(value: Any, desired: Desired) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(normal(value))
    for parameter in desired.parameters.values():
        if parameter.no_echo and parameter.text:
            text = text.replace(parameter.text, MASK)
    return text
