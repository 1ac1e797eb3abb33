"""Reads what a caller submits for a stack: template, parameters, tags, capabilities."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from sandbox.aws import backends, buckets
from sandbox.aws.cloudformation.desired import Place, Submission, build_desired
from sandbox.aws.cloudformation.model import Desired, Json, Region, Stack
from sandbox.aws.cloudformation.parameters import resolve_parameters
from sandbox.aws.cloudformation.templates import (
    MAX_BODY_BYTES,
    MAX_URL_BYTES,
    parse_template,
    required_capabilities,
)
from sandbox.aws.errors import AwsError, validation_error

_STACK_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_S3_HOST = re.compile(r"(?:(.+)\.)?s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?")
_MAX_TAGS = 50


def listed(params: Mapping[str, Any], name: str) -> list[Any] | None:
    """A list of the request; None when it is absent, empty when it was sent empty."""
    value = params.get(name)
    return value if isinstance(value, list) or value is None else []


def flag(params: Mapping[str, Any], name: str) -> bool:
    return str(params.get(name, "")).lower() == "true"


def stack_name(params: Mapping[str, Any]) -> str:
    """A valid name for a new stack."""
    name = str(params.get("StackName", ""))
    if not _STACK_NAME.fullmatch(name):
        raise validation_error(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    return name


def template_text(params: Mapping[str, Any], *, current: Desired | None, region: Region) -> str:
    """The text of the template, from the body, a bucket, or the stack itself."""
    body, url = params.get("TemplateBody"), params.get("TemplateURL")
    previous = flag(params, "UsePreviousTemplate")
    if [body is not None, url is not None, previous].count(True) != 1:
        raise validation_error("Either Template URL or Template Body must be specified.")
    if body is not None:
        if len(str(body).encode()) > MAX_BODY_BYTES:
            raise validation_error(
                "1 validation error detected: Value at 'templateBody' failed to satisfy "
                f"constraint: Member must have length less than or equal to {MAX_BODY_BYTES}"
            )
        return str(body)
    if url is not None:
        return _from_bucket(str(url), region)
    if current is None:
        raise validation_error(
            "Cannot specify usePreviousTemplate as true for a changeSetType CREATE"
        )
    return current.text


def _from_bucket(url: str, region: Region) -> str:
    """Read with the caller's rights, so never another account's bucket."""
    parts = urlsplit(url)
    host = _S3_HOST.fullmatch(parts.hostname or "")
    if parts.scheme != "https" or host is None:
        raise validation_error("TemplateURL must be a supported URL.")
    path = unquote(parts.path.lstrip("/"))
    bucket, key = (host.group(1), path) if host.group(1) else tuple(path.partition("/")[::2])
    owner = buckets.owner_of(bucket)
    if owner is None:
        raise _s3_error("The specified bucket does not exist")
    if owner != region.account:
        raise _s3_error("Access Denied")
    content = backends.read_object(bucket, key, account=region.account, region=region.name)
    if content is None:
        raise _s3_error("The specified key does not exist.")
    if len(content) > MAX_URL_BYTES:
        raise validation_error(f"Template may not exceed {MAX_URL_BYTES} bytes in size.")
    return content.decode()


def _s3_error(what: str) -> AwsError:
    more = "http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"
    return validation_error(f"S3 error: {what}\nFor more information check {more}")


def read_desired(
    params: Mapping[str, Any], *, region: Region, stack: Stack, reviewed: bool = False
) -> Desired:
    """Check a submission for ``stack`` and resolve it; ``AwsError`` for what is refused.

    A change set, which is reviewed, needs no leave to expand macros, and is told of any other that
    is missing only once they were expanded.
    """
    current = stack.desired
    text = template_text(params, current=current, region=region)
    template = parse_template(text)
    capabilities = tuple(listed(params, "Capabilities") or ())
    if not (reviewed and template.get("Transform")) and (
        missing := missing_capabilities(template, capabilities, reviewed=reviewed)
    ):
        raise AwsError("InsufficientCapabilitiesException", missing)
    submission = Submission(
        text=text,
        parameters=resolve_parameters(
            declared=template.get("Parameters") or {},
            submitted=listed(params, "Parameters") or [],
            previous=current.parameters if current else {},
            read_ssm=lambda name: backends.read_ssm(
                name, account=region.account, region=region.name
            ),
        ),
        tags=_tags(params, current=current),
        capabilities=capabilities,
        role_arn=params.get("RoleARN") or (current.role_arn if current else None),
        notification_arns=_notification_arns(params, current=current),
    )
    desired = build_desired(submission, place=place_of(region, stack))
    if current is not None:
        _check_types(old=current, new=desired)
    return desired


def place_of(region: Region, stack: Stack) -> Place:
    return Place(region.account, region.name, stack.name, stack.arn, region.exports())


def missing_capabilities(
    template: Mapping[str, Any], given: tuple[str, ...], *, reviewed: bool
) -> str | None:
    """What CloudFormation says when a template needs a capability that was not granted."""
    if template.get("Transform") and not reviewed and "CAPABILITY_AUTO_EXPAND" not in given:
        return "Requires capabilities : [CAPABILITY_AUTO_EXPAND]"
    required = required_capabilities(template)
    enough = set(required) | ({"CAPABILITY_NAMED_IAM"} if required else set())
    if required and not enough & set(given):
        return f"Requires capabilities : [{', '.join(required)}]"
    return None


def _tags(params: Mapping[str, Any], *, current: Desired | None) -> dict[str, str]:
    submitted = listed(params, "Tags")
    if submitted is None:
        return dict(current.tags) if current else {}
    tags = {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in submitted}
    if len(submitted) > _MAX_TAGS:
        raise validation_error(f"Number of tags exceeds the limit of {_MAX_TAGS}")
    if len(tags) < len(submitted):
        raise validation_error("Tags must not contain duplicate keys")
    if reserved := [key for key in tags if not key or key.lower().startswith("aws:")]:
        raise validation_error(f"Tag keys must not be empty or start with aws: {reserved}")
    return tags


def _notification_arns(params: Mapping[str, Any], *, current: Desired | None) -> tuple[str, ...]:
    submitted = listed(params, "NotificationARNs")
    if submitted is None:
        return current.notification_arns if current else ()
    return tuple(submitted)


def _check_types(*, old: Desired, new: Desired) -> None:
    both = set(old.resources) & set(new.resources)
    changed = sorted(n for n in both if old.resources[n].type != new.resources[n].type)
    if changed:
        raise validation_error(
            "Update of resource type is not permitted. The new template modifies resource type "
            f"of the following resources: [{', '.join(changed)}]"
        )


def described_parameters(template: Mapping[str, Any]) -> list[Json]:
    """The template's parameter declarations, as the summary operations tell them."""
    return [
        {
            "ParameterKey": key,
            "DefaultValue": spec.get("Default"),
            "ParameterType": spec.get("Type", "String"),
            "NoEcho": str(spec.get("NoEcho", False)).lower() == "true",
            "Description": spec.get("Description"),
            "ParameterConstraints": {"AllowedValues": spec.get("AllowedValues")},
        }
        for key, spec in (template.get("Parameters") or {}).items()
    ]
