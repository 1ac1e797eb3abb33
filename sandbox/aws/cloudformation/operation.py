"""Brings a stack's resources to their wanted state, and back again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.cloudformation import nested, policy
from sandbox.aws.cloudformation.compare import removal_policy
from sandbox.aws.cloudformation.intrinsics import Scope, normal
from sandbox.aws.cloudformation.kinds import kind_of
from sandbox.aws.cloudformation.model import (
    MASK,
    STACK_TYPE,
    Desired,
    Json,
    Region,
    Resource,
    Stack,
    Wanted,
    now,
)
from sandbox.aws.cloudformation.nested import NestedStacks
from sandbox.aws.cloudformation.provision import PlainError, Provisioner, ProvisionError
from sandbox.aws.errors import AwsError


class ResourceError(Exception):
    """A resource could not be brought to its wanted state."""

    def __init__(self, logical_id: str, verb: str) -> None:
        super().__init__(logical_id)
        self.logical_id = logical_id
        self.verb = verb


@dataclass(slots=True)
class Operation:
    """A running create, update or delete, and how to undo what it has done so far."""

    region: Region
    stack: Stack
    provisioner: Provisioner
    nested: NestedStacks
    desired: Desired
    undo: list[tuple[str, Resource, Resource | None]] = field(default_factory=list)
    obsolete: list[tuple[Resource, str]] = field(default_factory=list)  # and its policy
    retain: frozenset[str] = frozenset()

    def attempt(self) -> str | None:
        """Bring the stack to its wanted state; gives the reason when that fails."""
        try:
            self.provision()
            self.stack.outputs = self.outputs()
        except ResourceError as failed:
            verb = {"CREATE": "create", "UPDATE": "update"}[failed.verb]
            return f"The following resource(s) failed to {verb}: [{failed.logical_id}]. "
        except (AwsError, ProvisionError) as error:  # an output asks for what does not exist
            return f"{error} "
        return None

    def outputs(self, desired: Desired | None = None) -> list[Json]:
        """The stack's outputs, now that the resources they name exist."""
        shown = []
        for key, output in (desired or self.desired).outputs.items():
            value = self.actual(output)
            export = value.get("Export") or {}
            shown.append({
                "OutputKey": key,
                "OutputValue": value.get("Value"),
                "Description": value.get("Description"),
                "ExportName": export.get("Name"),
            })  # fmt: skip
        return shown

    def provision(self) -> None:
        """Bring every resource to its wanted state; raises ``ResourceError`` at the first miss."""
        for logical_id, wanted in self.desired.resources.items():
            self._provision_one(logical_id, wanted)
        for logical_id in list(self.stack.resources):
            if logical_id not in self.desired.resources:
                self._let_go(logical_id)

    def _let_go(self, logical_id: str) -> None:
        """Take a resource out of the stack; it is deleted once all else has succeeded."""
        gone = self.stack.resources[logical_id]
        try:
            self._check_policy("Delete", logical_id, gone.type)
        except ProvisionError as error:
            self._event(logical_id, gone.type, "UPDATE_FAILED", resource=gone, reason=str(error))
            raise ResourceError(logical_id, "UPDATE") from error
        del self.stack.resources[logical_id]
        self.undo.append(("removed", gone, None))
        before = self.stack.previous.resources if self.stack.previous else {}
        how = removal_policy(before[logical_id]) if logical_id in before else "Delete"
        self.obsolete.append((gone, how))

    def _provision_one(self, logical_id: str, wanted: Wanted) -> None:
        current = self.stack.resources.get(logical_id)
        verb = "CREATE" if current is None else "UPDATE"
        try:
            properties, tags = self.actual(wanted.properties), self.actual(wanted.tags)
            if current is None:
                self._create(logical_id, wanted, properties=properties, tags=tags)
            elif wanted.type == STACK_TYPE or normal([current.properties, current.tags]) != normal(
                [properties, tags]
            ):
                self._modify(current, wanted, properties=properties, tags=tags)
        except (ProvisionError, AwsError) as error:
            reason, known = str(error), current or getattr(error, "resource", None)
            self._event(logical_id, wanted.type, f"{verb}_FAILED", resource=known, reason=reason)
            raise ResourceError(logical_id, verb) from error

    def _create(self, logical_id: str, wanted: Wanted, *, properties: Any, tags: Any) -> Resource:
        self._event(logical_id, wanted.type, "CREATE_IN_PROGRESS", properties=properties)
        made = self._made(logical_id, wanted, properties=properties, tags=tags)
        self.stack.resources[logical_id] = made
        self.undo.append(("created", made, None))
        self._event(logical_id, wanted.type, "CREATE_COMPLETE", resource=made)
        return made

    def _modify(self, current: Resource, wanted: Wanted, *, properties: Any, tags: Any) -> None:
        logical_id, kind = current.logical_id, kind_of(wanted.type)
        keys = set(current.properties) | set(properties)
        changed = {
            k for k in keys if normal(current.properties.get(k)) != normal(properties.get(k))
        }
        replaces = any(kind.recreation(key) == "Always" for key in changed)
        self._check_policy("Replace" if replaces else "Modify", logical_id, wanted.type)
        if replaces:
            self.provisioner.check_replaceable(current, properties)
        reason = (
            "Requested update requires the creation of a new physical resource; hence creating one."
        )
        self._event(logical_id, wanted.type, "UPDATE_IN_PROGRESS", resource=current,
                    reason=reason if replaces else None, properties=properties)  # fmt: skip
        if replaces:
            made = self._made(logical_id, wanted, properties=properties, tags=tags)
            self.undo.append(("replaced", made, current))
            self.obsolete.append((current, wanted.policy("UpdateReplacePolicy")))
        else:
            made = self._updated(current, properties=properties, tags=tags)
            self.undo.append(("updated", made, current))
        made.status = "UPDATE_COMPLETE"
        self.stack.resources[logical_id] = made
        self._event(logical_id, wanted.type, "UPDATE_COMPLETE", resource=made)

    def _made(self, logical_id: str, wanted: Wanted, *, properties: Any, tags: Any) -> Resource:
        if wanted.type == STACK_TYPE:
            self.provisioner.refuse_denied("create", kind=wanted.type, logical_id=logical_id)
            return self.nested.create(logical_id, properties=properties, tags=tags)
        return self.provisioner.create(
            stack=self.stack.name, stack_arn=self.stack.arn, logical_id=logical_id,
            kind=wanted.type, properties=properties, tags=tags,
        )  # fmt: skip

    def _updated(
        self, resource: Resource, *, properties: Any, tags: Any, rollback: bool = False
    ) -> Resource:
        if resource.type != STACK_TYPE:
            return self.provisioner.update(
                resource, properties=properties, tags=tags, rollback=rollback
            )
        action = "rollback" if rollback else "update"
        self.provisioner.refuse_denied(action, kind=resource.type, logical_id=resource.logical_id)
        change = self.nested.roll_back if rollback else self.nested.update
        try:
            return change(resource, properties=properties, tags=tags)
        except ProvisionError:
            if not rollback and self.nested.is_open(resource):  # nor could it roll itself back
                self.undo.append(("updated", resource, resource))
            raise

    def _check_policy(self, action: str, logical_id: str, kind: str) -> None:
        refusal = policy.refusal(self.stack.policy, action=action, logical_id=logical_id, kind=kind)
        if refusal:
            raise PlainError(refusal)

    def actual(self, value: Mapping[str, Any]) -> Any:
        """Put the ids and attributes of real resources in the place of their symbols."""
        scope = Scope(template={}, parameters={}, pseudo={"AWS::Region": self.region.name},
                      exports={})  # fmt: skip
        return scope.resolve(dict(value), self._lookup)

    def _lookup(self, logical_id: str, attribute: str | None) -> Any:
        resource = self.stack.resources[logical_id]
        if resource.type == STACK_TYPE and attribute is not None:
            return nested.output(resource.handle, attribute)
        return self.provisioner.attribute(resource, attribute)

    def roll_back(self) -> list[str]:
        """Undo everything, newest first; the logical ids that could not be undone."""
        failed = []
        remaining: list[tuple[str, Resource, Resource | None]] = []
        for kind, made, before in reversed(self.undo):
            try:
                self._undo_one(kind, made, before)
            except ProvisionError as error:
                failed.append(made.logical_id)
                remaining.insert(0, (kind, made, before))
                self._event(made.logical_id, made.type, "UPDATE_FAILED", resource=made,
                            reason=str(error))  # fmt: skip
        self.undo = remaining
        return failed

    def _undo_one(self, kind: str, made: Resource, before: Resource | None) -> None:
        logical_id = made.logical_id
        if kind == "removed":
            self.stack.resources[logical_id] = made
        elif kind == "updated" and before is not None:
            self._event(logical_id, made.type, "UPDATE_IN_PROGRESS", resource=made)
            undone = self._updated(
                made, properties=before.properties, tags=before.tags, rollback=True
            )
            self.stack.resources[logical_id] = undone
            self._event(logical_id, made.type, "UPDATE_COMPLETE", resource=undone)
        elif kind == "replaced" and before is not None:
            self.stack.resources[logical_id] = before
            self._event(logical_id, made.type, "UPDATE_COMPLETE", resource=before)
            self._remove(made, how="Delete")
        else:
            self._remove(made, how=self._creation_policy(logical_id))
            self.stack.resources.pop(logical_id, None)

    def _creation_policy(self, logical_id: str) -> str:
        """A rollback deletes what it created, unless DeletionPolicy says Retain, plainly."""
        wanted = self.desired.resources.get(logical_id)
        how = wanted.policy("DeletionPolicy") if wanted is not None else "Delete"
        return "Delete" if how == "RetainExceptOnCreate" else how

    def clean_up(self) -> None:
        """Delete what was replaced or removed; a failure here does not fail the update."""
        self.nested.clean_up()
        for resource, how in reversed(self.obsolete):
            try:
                self._remove(resource, how=how)
            except ProvisionError:  # recorded as DELETE_FAILED: the resource is left behind
                continue

    def delete_all(self) -> list[str]:
        """Delete the stack's resources, last created first; the ids that could not be deleted."""
        failed = []
        wanted = self.desired.resources
        order = [*(k for k in self.stack.resources if k not in wanted), *reversed(list(wanted))]
        for logical_id in [key for key in order if key in self.stack.resources]:
            how = removal_policy(wanted[logical_id]) if logical_id in wanted else "Delete"
            try:
                self._remove(
                    self.stack.resources[logical_id],
                    how="Retain" if logical_id in self.retain else how,
                )
            except ProvisionError:
                failed.append(logical_id)
        return failed

    def _remove(self, resource: Resource, *, how: str) -> None:
        """Delete a resource, or let go of it; raises ``ProvisionError``."""
        name, kind = resource.logical_id, resource.type
        if how.startswith("Retain"):
            resource.status = "DELETE_SKIPPED"
            self._event(name, kind, "DELETE_SKIPPED", resource=resource)
            return
        self._event(name, kind, "DELETE_IN_PROGRESS", resource=resource)
        try:
            if kind == STACK_TYPE:
                self.provisioner.refuse_denied("delete", kind=kind, logical_id=name)
                self.nested.delete(resource)
            else:
                self.provisioner.delete(resource)
        except ProvisionError as error:
            resource.status, resource.reason = "DELETE_FAILED", str(error)
            self._event(name, kind, "DELETE_FAILED", resource=resource, reason=str(error))
            raise
        resource.status, resource.timestamp = "DELETE_COMPLETE", now()
        self._event(name, kind, "DELETE_COMPLETE", resource=resource)

    def _event(
        self,
        logical_id: str,
        kind: str,
        status: str,
        *,
        resource: Resource | None = None,
        reason: str | None = None,
        properties: Any = None,
    ) -> None:
        shown = None if properties is None else self._masked(json.dumps(normal(properties)))
        self.stack.record(
            logical_id=logical_id, physical_id=resource.physical_id if resource else None,
            kind=kind, status=status, reason=reason, properties=shown,
        )  # fmt: skip

    def _masked(self, text: str) -> str:
        secrets = [p.text for p in self.desired.parameters.values() if p.no_echo and p.text]
        for secret in secrets:
            text = text.replace(secret, MASK)
        return text
