"""Nested stacks: stacks that are resources of another, and run within its operation."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sandbox.aws.cloudformation.compare import compare, has_changes
from sandbox.aws.cloudformation.intake import read_desired
from sandbox.aws.cloudformation.model import STACK_TYPE, Desired, Json, Region, Resource, Stack, now
from sandbox.aws.cloudformation.provision import PlainError
from sandbox.aws.errors import AwsError

if TYPE_CHECKING:
    from sandbox.aws.cloudformation.operation import Operation


@dataclass(slots=True)
class NestedStacks:
    """Creates, updates and deletes the nested stacks of one operation's stack.

    What an update of a nested stack makes obsolete is kept until the whole tree has succeeded, so
    that a failure elsewhere in it rolls the nested stack back too.
    """

    region: Region
    parent: Stack
    begin: Callable[[Region, Stack, Desired], Operation]
    _open: dict[str, Operation] = field(default_factory=dict)  # updated, and not cleaned up

    def create(self, logical_id: str, *, properties: Json, tags: dict[str, Any]) -> Resource:
        """A new nested stack; one that fails is deleted again. Raises ``ProvisionError``."""
        child = self.region.add(nested_name(self.parent, logical_id), "CREATE_IN_PROGRESS")
        child.parent, child.token = self.parent, self.parent.token
        try:
            child.desired = nested_desired(
                self.region, self.parent.desired, child, properties=properties, tags=tags
            )
        except AwsError as error:
            del self.region.stacks[child.name], self.region.archive[child.arn]
            raise PlainError(error.message) from error
        made = Resource(logical_id, STACK_TYPE, child.arn, properties, tags, child,
                        "CREATE_COMPLETE")  # fmt: skip
        child.enter("CREATE_IN_PROGRESS", reason="User Initiated")
        operation = self.begin(self.region, child, child.desired)
        if failure := operation.attempt():
            child.enter("CREATE_FAILED", reason=failure)
            operation.roll_back()
            self._gone(child)
            raise PlainError(
                f"Embedded stack {child.arn} was not successfully created: {failure}", resource=made
            )
        child.enter("CREATE_COMPLETE")
        return made

    def update(self, resource: Resource, *, properties: Json, tags: dict[str, Any]) -> Resource:
        """The nested stack with what its template says now, wherever that lies."""
        child: Stack = resource.handle
        try:
            desired = nested_desired(
                self.region, self.parent.desired, child, properties=properties, tags=tags
            )
        except AwsError as error:
            raise PlainError(error.message) from error
        if child.desired is not None:
            changes = compare(old=child.desired, new=desired, resources=child.resources)
            if not has_changes(old=child.desired, new=desired, changes=changes):
                return _changed(resource, properties, tags)
        child.previous, child.desired, child.token = child.desired, desired, self.parent.token
        child.updated = now()
        child.enter("UPDATE_IN_PROGRESS", reason="User Initiated")
        operation = self._open[child.arn] = self.begin(self.region, child, desired)
        if failure := operation.attempt():
            self._undo(child, reason=failure)
            raise PlainError(
                f"Embedded stack {child.arn} was not successfully updated. Currently in "
                f"UPDATE_ROLLBACK_IN_PROGRESS with reason: {failure}"
            )
        child.enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        return _changed(resource, properties, tags)

    def is_open(self, resource: Resource) -> bool:
        """Whether a nested stack was updated, and neither cleaned up nor rolled back."""
        return resource.physical_id in self._open

    def roll_back(self, resource: Resource, *, properties: Json, tags: dict[str, Any]) -> Resource:
        """The nested stack as it was before the operation."""
        child: Stack = resource.handle
        if child.arn in self._open:
            self._undo(child, reason=None)
        return _changed(resource, properties, tags)

    def _undo(self, child: Stack, *, reason: str | None) -> None:
        child.desired = child.previous
        child.enter("UPDATE_ROLLBACK_IN_PROGRESS", reason=reason)
        operation = self._open[child.arn]
        if failed := operation.roll_back():
            reason = f"The following resource(s) failed to update: [{', '.join(failed)}]. "
            child.enter("UPDATE_ROLLBACK_FAILED", reason=reason)
            raise PlainError(f"Embedded stack {child.arn} was not successfully updated: {reason}")
        del self._open[child.arn]
        child.outputs = operation.outputs(child.desired)
        child.enter("UPDATE_ROLLBACK_COMPLETE")

    def delete(self, resource: Resource) -> None:
        """The end of a nested stack; one that is gone already is fine."""
        child: Stack = resource.handle
        if child.status == "DELETE_COMPLETE" or child.desired is None:
            return
        child.token = self.parent.token
        child.enter("DELETE_IN_PROGRESS", reason="User Initiated")
        if failed := self.begin(self.region, child, child.desired).delete_all():
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            child.enter("DELETE_FAILED", reason=reason)
            raise PlainError(f"Embedded stack {child.arn} was not successfully deleted: {reason}")
        child.enter("DELETE_COMPLETE")
        self.region.remove(child)

    def clean_up(self) -> None:
        """Finish what was updated, now that the whole tree has succeeded."""
        for arn, operation in self._open.items():
            operation.clean_up()
            self.region.archive[arn].enter("UPDATE_COMPLETE")
        self._open.clear()

    def _gone(self, child: Stack) -> None:
        child.enter("DELETE_IN_PROGRESS", reason="User Initiated")
        child.enter("DELETE_COMPLETE")
        self.region.remove(child)


def nested_name(parent: Stack, logical_id: str) -> str:
    """The name that a nested stack is given, another one each time."""
    return f"{parent.name[:60]}-{logical_id[:40]}-{secrets.token_hex(6).upper()}"


def nested_desired(
    region: Region, parent: Desired | None, child: Stack, *, properties: Json, tags: dict[str, Any]
) -> Desired:
    """What a nested stack shall be; capabilities and service role are its parent's."""
    if parent is None:
        raise AwsError("InternalFailure", "the parent has no template", status=500)
    parameters = properties.get("Parameters") or {}
    submitted = {
        "TemplateURL": properties.get("TemplateURL"),
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": _text(value)}
            for key, value in parameters.items()
        ],
        "Tags": [{"Key": key, "Value": str(value)} for key, value in tags.items()],
        "Capabilities": list(parent.capabilities),
        "RoleARN": parent.role_arn,
    }
    return read_desired(submitted, region=region, stack=child)


def output(child: Stack, name: str) -> Any:
    """``Fn::GetAtt: [Nested, Outputs.Name]``; raises ``ProvisionError``."""
    key = name.removeprefix("Outputs.")
    for each in child.outputs:
        if each["OutputKey"] == key:
            return each["OutputValue"]
    raise PlainError(f"Output '{key}' not found in stack '{child.arn}'")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _changed(resource: Resource, properties: Json, tags: dict[str, Any]) -> Resource:
    return replace(resource, properties=properties, tags=tags, status="UPDATE_COMPLETE",
                   reason=None, timestamp=now())  # fmt: skip
