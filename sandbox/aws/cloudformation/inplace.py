"""In-place updates that moto's own models do wrong: they lose versions, data or properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.aws.backends import backend
from sandbox.aws.cloudformation.model import Json, Resource


def finish(kind: str, handle: Any, final: Json) -> None:
    """Complete what moto's create leaves out."""
    if kind == "AWS::SNS::Topic":
        handle._tags = {tag["Key"]: str(tag["Value"]) for tag in final.get("Tags", [])}


def _update_parameter(resource: Resource, final: Json, account: str, region: str) -> Any:
    """A new version of the parameter, where moto would delete and create it."""
    service = backend("ssm", account=account, region=region)
    tags = {tag["Key"]: str(tag["Value"]) for tag in final.get("Tags", [])}
    name = resource.physical_id
    parameter = service.put_parameter(
        name=name,
        description=final.get("Description"),
        value=final.get("Value"),
        parameter_type=final.get("Type"),
        allowed_pattern=final.get("AllowedPattern"),
        keyid=final.get("KeyId"),
        overwrite=True,
        tags=None,
        data_type=final.get("DataType", "text"),
        tier=final.get("Tier"),
        policies=final.get("Policies"),
    )
    gone = [key for key in resource.tags if key not in tags]
    service.remove_tags_from_resource("Parameter", name, gone)
    service.add_tags_to_resource("Parameter", name, tags)
    return parameter


def _update_log_group(resource: Resource, final: Json, account: str, region: str) -> Any:
    """Retention and tags, where moto cannot update at all."""
    service = backend("logs", account=account, region=region)
    days = final.get("RetentionInDays")
    if days is None:
        service.delete_retention_policy(resource.physical_id)
    else:
        service.put_retention_policy(resource.physical_id, int(days))
    _retag(service, resource, final)
    return service.groups[resource.physical_id]


def _retag(service: Any, resource: Resource, final: Json) -> None:
    tags = {tag["Key"]: str(tag["Value"]) for tag in final.get("Tags", [])}
    arn = resource.handle.arn
    service.untag_resource(arn, [key for key in resource.tags if key not in tags])
    service.tag_resource(arn, tags)


def _update_topic(resource: Resource, final: Json, account: str, region: str) -> Any:
    """Attributes in place, where moto would lose the subscriptions."""
    service = backend("sns", account=account, region=region)
    topic = service.get_topic(resource.physical_id)
    topic.display_name = final.get("DisplayName", "")
    topic.kms_master_key_id = final.get("KmsMasterKeyId", "")
    topic._tags = {tag["Key"]: str(tag["Value"]) for tag in final.get("Tags", [])}
    return topic


_QUEUE_DEFAULTS = {
    "DelaySeconds": 0,
    "MaximumMessageSize": 262_144,
    "MessageRetentionPeriod": 345_600,
    "ReceiveMessageWaitTimeSeconds": 0,
    "VisibilityTimeout": 30,
}


def _update_queue(resource: Resource, final: Json, account: str, region: str) -> Any:
    """All attributes, where moto knows only two."""
    service = backend("sqs", account=account, region=region)
    queue = service.get_queue(resource.handle.name)
    queue.tags = {tag["Key"]: str(tag["Value"]) for tag in final.get("Tags", [])}
    attributes = {key: final.get(key, default) for key, default in _QUEUE_DEFAULTS.items()}
    for key in ("KmsMasterKeyId", "RedrivePolicy"):
        if key in final:
            attributes[key] = final[key]
    queue._set_attributes(attributes)
    return queue


UPDATERS: dict[str, Callable[[Resource, Json, str, str], Any]] = {
    "AWS::Logs::LogGroup": _update_log_group,
    "AWS::SNS::Topic": _update_topic,
    "AWS::SQS::Queue": _update_queue,
    "AWS::SSM::Parameter": _update_parameter,
}
