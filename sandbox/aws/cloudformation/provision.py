"""Creates, updates and deletes real (moto) resources."""

from __future__ import annotations

import re
import secrets
import string
import uuid
from dataclasses import replace
from typing import Any

from sandbox.aws import backends
from sandbox.aws.cloudformation import inplace
from sandbox.aws.cloudformation.kinds import HANDLE_TYPE, kind_of, model_of
from sandbox.aws.cloudformation.model import Json, Resource, now
from sandbox.aws.denials import Denials

_DYNAMIC = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):([^}]+)\}\}")
_SUFFIX = string.ascii_uppercase + string.digits


class ProvisionError(Exception):
    """A resource handler's failure; the text is CloudFormation's reason."""

    resource: Resource | None = None  # what was made before it failed

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(
            f'Resource handler returned message: "{message}" '
            f"(RequestToken: {uuid.uuid4()}, HandlerErrorCode: {code})"
        )


class PlainError(ProvisionError):
    """A failure that CloudFormation itself words, not a resource handler."""

    def __init__(self, message: str, *, resource: Resource | None = None) -> None:
        Exception.__init__(self, message)
        self.resource = resource


class Provisioner:
    """The resource handlers of one account and region; ``role`` is whose rights they have."""

    def __init__(self, *, account: str, region: str, denials: Denials, role: str = "") -> None:
        self._account = account
        self._region = region
        self._denials = denials
        self._role = role

    def create(
        self, *, stack: str, stack_arn: str, logical_id: str, kind: str, properties: Json,
        tags: dict[str, Any],
    ) -> Resource:  # fmt: skip
        """A new physical resource; raises ``ProvisionError``."""
        self.refuse_denied("create", kind=kind, logical_id=logical_id)
        if kind == HANDLE_TYPE:
            url = f"https://cloudformation-waitcondition-{self._region}.s3.amazonaws.com/{stack}"
            return Resource(logical_id, kind, f"{url}/{logical_id}", properties, tags, None,
                            "CREATE_COMPLETE")  # fmt: skip
        model = model_of(kind)
        name, full = self._named(kind, stack=stack, logical_id=logical_id, properties=properties)
        where = {"account": self._account, "region": self._region}
        if name and backends.exists(kind, name, **where):
            raise ProvisionError(f"{name} already exists", code="AlreadyExists")
        final = self._final(full, kind=kind, tags=tags)
        body = {"Type": kind, "Properties": final}
        extra = {"LogicalId": logical_id, "StackId": stack_arn, "ResourceType": kind}
        handle = _handled(
            lambda: model.create_from_cloudformation_json(
                name or self._generated(stack, logical_id), body, self._account, self._region,
                **extra,
            )
        )  # fmt: skip
        inplace.finish(kind, handle, final)
        return Resource(logical_id, kind, str(handle.physical_resource_id), properties, tags,
                        handle, "CREATE_COMPLETE")  # fmt: skip

    def update(
        self, resource: Resource, *, properties: Json, tags: dict[str, Any], rollback: bool = False
    ) -> Resource:
        """The resource with other properties, in place; raises ``ProvisionError``."""
        action = "rollback" if rollback else "update"
        self.refuse_denied(action, kind=resource.type, logical_id=resource.logical_id)
        handle = resource.handle
        if handle is not None:
            full = self._keep_name(resource, properties)
            final = self._final(full, kind=resource.type, tags=tags)
            handle = _handled(lambda: self._update(resource, final))
        return replace(resource, handle=handle, properties=properties, tags=tags,
                       status="UPDATE_COMPLETE", reason=None, timestamp=now())  # fmt: skip

    def delete(self, resource: Resource) -> None:
        """Remove the physical resource; one that is gone already is fine."""
        self.refuse_denied("delete", kind=resource.type, logical_id=resource.logical_id)
        if resource.handle is None:
            return
        body = {"Type": resource.type, "Properties": self._keep_name(resource, resource.properties)}
        try:
            self._delete(resource, body)
        except Exception as error:
            if not re.search(r"not.?(found|exist)|NonExistent", f"{type(error).__name__} {error}"):
                raise _failure(error) from error

    def check_replaceable(self, resource: Resource, properties: Json) -> None:
        """Two resources of the same name cannot exist side by side."""
        key = model_of(resource.type).cloudformation_name_type()
        if key in properties and properties[key] == resource.properties.get(key):
            raise ProvisionError(
                "CloudFormation cannot update a stack when a custom-named resource requires "
                f"replacing. Rename {properties[key]} and update the stack again.",
                code="InvalidRequest",
            )

    def attribute(self, resource: Resource, name: str | None) -> Any:
        """``Ref`` (no name) or ``Fn::GetAtt`` of a resource."""
        if name is None:
            return resource.physical_id
        return _handled(lambda: resource.handle.get_cfn_attribute(name))

    def refuse_denied(self, action: str, *, kind: str, logical_id: str) -> None:
        """Raise ``ProvisionError`` for what the account's policies forbid."""
        reason = self._denials.reason(
            account=self._account, resource_type=kind, logical_id=logical_id, action=action,
            role=self._role,
        )  # fmt: skip
        if reason is not None:
            raise ProvisionError(reason, code="AccessDenied")

    def _named(
        self, kind: str, *, stack: str, logical_id: str, properties: Json
    ) -> tuple[str, Json]:
        """The resource's name, made up as CloudFormation does when the template gives none."""
        key = model_of(kind).cloudformation_name_type()
        if not key:
            return "", properties
        name = str(properties.get(key) or self._generated(stack, logical_id))
        return name, {**properties, key: name.lower() if kind == "AWS::S3::Bucket" else name}

    def _generated(self, stack: str, logical_id: str) -> str:
        suffix = "".join(secrets.choice(_SUFFIX) for _ in range(12))
        return f"{stack[:24]}-{logical_id[:24]}-{suffix}"

    def _keep_name(self, resource: Resource, properties: Json) -> Json:
        key = model_of(resource.type).cloudformation_name_type()
        if not key or key in properties:
            return properties
        return {**properties, key: getattr(resource.handle, "name", resource.physical_id)}

    def _final(self, properties: Json, *, kind: str, tags: dict[str, Any]) -> Json:
        """What moto gets: dynamic references resolved, tags in the form of this type."""
        final: Json = self._secrets(properties)
        spec = kind_of(kind)
        if spec.tags and tags:
            listed = [{"Key": key, "Value": str(value)} for key, value in tags.items()]
            final[spec.tags] = dict(tags) if spec.tags_are_a_map else listed
        if kind == "AWS::SSM::Parameter" and tags:  # moto wants a list here, unlike CloudFormation
            final[spec.tags] = [{"Key": k, "Value": str(v)} for k, v in tags.items()]
        return final

    def _secrets(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._secrets(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._secrets(item) for item in value]
        if isinstance(value, str) and "{{resolve:" in value:
            return _DYNAMIC.sub(lambda m: self._dynamic(m.group(1), m.group(2)), value)
        return value

    def _dynamic(self, service: str, reference: str) -> str:
        found = backends.dynamic_value(
            service, reference, account=self._account, region=self._region
        )
        if found is None:
            raise ProvisionError(f"could not resolve {service}:{reference}", code="NotFound")
        return found

    def _update(self, resource: Resource, final: Json) -> Any:
        special = inplace.UPDATERS.get(resource.type)
        if special is not None:
            return special(resource, final, self._account, self._region)
        model = model_of(resource.type)
        if getattr(model.update_from_cloudformation_json, "__isabstractmethod__", False):
            return resource.handle  # moto cannot change such a resource: it stays as it is
        return model.update_from_cloudformation_json(
            original_resource=resource.handle,
            new_resource_name=getattr(resource.handle, "name", resource.physical_id),
            cloudformation_json={"Type": resource.type, "Properties": final},
            account_id=self._account,
            region_name=self._region,
        )

    def _delete(self, resource: Resource, body: Json) -> None:
        model = model_of(resource.type)
        if getattr(model.delete_from_cloudformation_json, "__isabstractmethod__", False):
            resource.handle.delete(self._account, self._region)
        else:
            model.delete_from_cloudformation_json(
                resource.physical_id, body, self._account, self._region
            )


def _handled(action: Any) -> Any:
    try:
        return action()
    except ProvisionError:
        raise
    except Exception as error:
        raise _failure(error) from error


def _failure(error: Exception) -> ProvisionError:
    """Moto's models raise whatever their service raises, or trip over a property."""
    message = str(getattr(error, "message", "") or error) or type(error).__name__
    exists = "exist" in f"{type(error).__name__} {message}".lower()
    return ProvisionError(message, code="AlreadyExists" if exists else "GeneralServiceException")
