"""Change sets of nested stacks, which ``IncludeNestedStacks`` adds to the one of their parent."""

from __future__ import annotations

from sandbox.aws.cloudformation.compare import NO_CHANGES, compare, has_changes
from sandbox.aws.cloudformation.engine import Engine
from sandbox.aws.cloudformation.model import STACK_TYPE, ChangeSet, Json, Region, Stack
from sandbox.aws.cloudformation.nested import nested_desired, nested_name
from sandbox.aws.cloudformation.provision import ProvisionError
from sandbox.aws.errors import AwsError


def look_into_nested(engine: Engine, region: Region, stack: Stack, change_set: ChangeSet) -> None:
    """Complete a change set that asks for it; with nothing left to change it fails."""
    if not change_set.nested or change_set.status != "CREATE_COMPLETE":
        return
    _add_nested(engine, region, stack, change_set)
    old, new = stack.desired, change_set.desired
    if change_set.status == "FAILED":
        return
    if old is not None and not has_changes(old=old, new=new, changes=change_set.changes):
        _fail(change_set, NO_CHANGES)


def _fail(change_set: ChangeSet, reason: str) -> None:
    change_set.status, change_set.reason = "FAILED", reason
    change_set.execution_status = "UNAVAILABLE"


def _add_nested(engine: Engine, region: Region, stack: Stack, change_set: ChangeSet) -> None:
    """Look into every nested stack; one that would stay as it is is no change.

    One that is yet to be created is in REVIEW_IN_PROGRESS meanwhile. One whose parameters are not
    known before the execution gets no change set of its own.
    """
    same = set()
    for change in change_set.changes:
        shown = change["ResourceChange"]
        if shown["ResourceType"] == STACK_TYPE and shown["Action"] in ("Add", "Modify"):
            made = _made(engine, region, stack, change_set, shown["LogicalResourceId"])
            shown["ChangeSetId"] = made.arn if made is not None else None
            if made is not None and made.reason == NO_CHANGES:
                same.add(shown["LogicalResourceId"])
            elif made is not None and made.status == "FAILED":
                _fail(change_set, f"Nested change set {made.arn} was not successfully created: "
                                  "Currently in FAILED.")  # fmt: skip
    change_set.changes = [c for c in change_set.changes if not _is_idle(c["ResourceChange"], same)]


def _is_idle(shown: Json, same: set[str]) -> bool:
    """Whether this is a nested stack that stays as it is, or changes only if one did."""
    causes = [str(detail.get("CausingEntity", "")) for detail in shown["Details"]]
    only = causes and all(cause.split(".")[0] in same for cause in causes)
    return shown["LogicalResourceId"] in same or bool(only)


def _made(
    engine: Engine, region: Region, stack: Stack, parent: ChangeSet, logical_id: str
) -> ChangeSet | None:
    resource, wanted = stack.resources.get(logical_id), parent.desired.resources[logical_id]
    operation = engine.operation(region, stack, parent.desired)
    try:
        properties, tags = operation.actual(wanted.properties), operation.actual(wanted.tags)
    except (KeyError, ProvisionError):  # it depends on what is yet to be created
        return None
    child = resource.handle if resource else _shell(region, stack, logical_id)
    name = f"{parent.name[:60]}-{logical_id[:60]}"
    made = ChangeSet(name, region.arn(f"changeSet/{name}"), "UPDATE" if resource else "CREATE",
                     parent.desired, {}, None, None, parent=parent, nested=True)  # fmt: skip
    child.change_sets[name] = made
    try:
        desired = nested_desired(region, parent.desired, child, properties=properties, tags=tags)
    except AwsError as error:
        _fail(made, error.message)
        return made
    made.desired, made.status, made.execution_status = desired, "CREATE_COMPLETE", "AVAILABLE"
    made.changes = compare(old=child.desired, new=desired, resources=child.resources)
    _add_nested(engine, region, child, made)
    if child.desired and not has_changes(old=child.desired, new=desired, changes=made.changes):
        _fail(made, NO_CHANGES)
        del child.change_sets[name]
    return made


def _shell(region: Region, parent: Stack, logical_id: str) -> Stack:
    shell = region.add(nested_name(parent, logical_id), "REVIEW_IN_PROGRESS")
    shell.parent = parent
    shell.enter("REVIEW_IN_PROGRESS", reason="User Initiated")
    return shell


def drop_nested(region: Region, change_set: ChangeSet) -> None:
    """Delete the change sets that belong to one that is executed or deleted, and their shells."""
    for change in change_set.changes:
        arn = change["ResourceChange"].get("ChangeSetId")
        for stack in list(region.stacks.values()):
            for name, known in list(stack.change_sets.items()):
                if arn and known.arn == arn:
                    del stack.change_sets[name]
                    drop_nested(region, known)
                    if stack.status == "REVIEW_IN_PROGRESS":
                        stack.enter("DELETE_COMPLETE")
                        region.remove(stack)


def has_nested(change_set: ChangeSet) -> bool:
    """Whether there are change sets of nested stacks that belong to this one."""
    return any(change["ResourceChange"].get("ChangeSetId") for change in change_set.changes)


def family(change_set: ChangeSet) -> Json:
    """The members of a description that tell where a change set belongs."""
    root = change_set
    while root.parent is not None:
        root = root.parent
    return {
        "IncludeNestedStacks": change_set.nested,
        "ParentChangeSetId": change_set.parent.arn if change_set.parent else None,
        "RootChangeSetId": root.arn if change_set.parent else None,
    }
