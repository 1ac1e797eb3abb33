"""What a ChangeSet would do, nested stacks included, in the words of a preview."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phased_rollout.model.target_state import Artifact, Difference, Preview, TargetState
from phased_rollout.substrates.cloudformation.api import StackApi
from phased_rollout.substrates.cloudformation.irreversible import irreversible
from phased_rollout.substrates.cloudformation.stack import NESTED, ChangeSet

_DEPTH = 10  # of nested stacks that are looked into
_ACTIONS = {"Dynamic": "Modify", "Import": "Add"}


def seen(api: StackApi, made: ChangeSet, *, state: TargetState, artifact: Artifact) -> Preview:
    """Say what a ChangeSet that is ready would make of a stack in ``state``."""
    changes = list(_changes(api, made, depth=_DEPTH))
    return Preview(
        differences=tuple(_difference(change) for change in changes) or (_of_no_resource(api),),
        notes=tuple(_tags_removed(state, artifact)),
        irreversible=tuple(irreversible(state, artifact, changes, has_bucket=bool(api.bucket))),
    )


def _changes(
    api: StackApi, made: ChangeSet, *, depth: int, path: str = ""
) -> Iterator[dict[str, Any]]:
    """Give the ResourceChanges, each named by its path through the nested stacks."""
    for change in api.changes(made):
        name = path + change["LogicalResourceId"]
        nested = api.find_set(change["ChangeSetId"]) if change.get("ChangeSetId") else None
        readable = nested is not None and (nested.no_change or nested.status == "CREATE_COMPLETE")
        yield {**change, "LogicalResourceId": name, "Unseen": not (readable and depth)}
        if nested is not None and readable and depth:
            yield from _changes(api, nested, depth=depth - 1, path=f"{name}/")


def _difference(change: Mapping[str, Any]) -> Difference:
    action, replacement = change["Action"], change.get("Replacement")
    policy, kind = change.get("PolicyAction", ""), change.get("ResourceType", "")
    modify = action in ("Modify", "Dynamic")
    unseen = kind == NESTED and modify and change["Unseen"]
    because = sorted(
        {
            detail["Target"]["Name"]
            for detail in change.get("Details", [])
            if detail.get("Target", {}).get("Name")
        }
    )
    words = [
        f"because of {', '.join(because)}" if because else "",
        f"replacement: {replacement or 'not said'}" if modify and replacement != "False" else "",
        f"policy: {policy}" if policy else "",
        "what changes within it cannot be previewed" if unseen else "",
    ]
    return Difference(
        action="Replace" if modify and replacement == "True" else _ACTIONS.get(action, action),
        resource=change["LogicalResourceId"],
        kind=kind,
        destructive=action == "Remove"
        or (modify and replacement != "False")
        or policy in ("Delete", "ReplaceAndDelete")
        or unseen,
        detail="; ".join(word for word in words if word),
    )


def _of_no_resource(api: StackApi) -> Difference:
    return Difference(
        action="Modify",
        resource=api.name,
        kind=NESTED,
        detail="no resource changes: outputs, parameters, metadata or tags only",
    )


def _tags_removed(state: TargetState, artifact: Artifact) -> Iterator[str]:
    earlier = state.running.body["tags"] if state.running else {}
    if removed := sorted(set(earlier) - set(artifact.body["tags"])):
        yield f"removes tags that the change does not declare: {', '.join(removed)}"
