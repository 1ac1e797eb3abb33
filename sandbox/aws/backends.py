"""Reaches into moto's services: what the layer reads and sets without an API call."""

from __future__ import annotations

import json
from typing import Any

from sandbox.aws.partitions import partition_of


def backend(service: str, *, account: str, region: str) -> Any:
    """Moto's backend of a service."""
    from moto.backends import get_backend  # noqa: PLC0415 loading a service costs seconds

    table: Any = get_backend  # its overloads want literals
    return table(service)[account][region]


def read_ssm(name: str, *, account: str, region: str) -> str | None:
    """The value of an SSM parameter, or None when it does not exist."""
    parameter = backend("ssm", account=account, region=region).get_parameter(name)
    return None if parameter is None else str(parameter.value)


def alarm_state(name: str, *, account: str, region: str) -> str | None:
    """The state of a CloudWatch alarm, or None when it does not exist."""
    alarm = backend("cloudwatch", account=account, region=region).alarms.get(name)
    return None if alarm is None else str(alarm.state_value)


def set_alarm_state(name: str, state: str, *, reason: str, account: str, region: str) -> None:
    """Put an alarm in a state; one that has just been deleted is left alone."""
    alarm = backend("cloudwatch", account=account, region=region).alarms.get(name)
    if alarm is not None:
        alarm.update_state(reason, "{}", state)


def read_object(bucket: str, key: str, *, account: str, region: str) -> bytes | None:
    """An object of an account's own bucket in the partition of a region, or None."""
    from moto.s3.models import s3_backends  # noqa: PLC0415 loading a service costs seconds

    found = s3_backends[account][partition_of(region)].get_object(bucket, key)
    return None if found is None else bytes(found.value)


def dynamic_value(source: str, reference: str, *, account: str, region: str) -> str | None:
    """What a dynamic reference like ``{{resolve:ssm:name:version}}`` stands for."""
    if source.startswith("ssm"):
        return read_ssm(reference, account=account, region=region)
    name, _, rest = reference.partition(":SecretString:")
    secrets = backend("secretsmanager", account=account, region=region)
    text = str(secrets.get_secret_value(name, "", "")["SecretString"])
    key = rest.split(":")[0]
    return str(json.loads(text)[key]) if key else text


def exists(kind: str, name: str, *, account: str, region: str) -> bool:
    """Whether a named resource is there already, for services whose create is idempotent."""
    if kind == "AWS::SQS::Queue":
        return name in backend("sqs", account=account, region=region).queues
    if kind == "AWS::SNS::Topic":
        topics = backend("sns", account=account, region=region).topics
        return any(topic.name == name for topic in topics.values())
    return False


def reset_all() -> None:
    """Make moto forget everything, in all accounts."""
    from moto.core.base_backend import BackendDict  # noqa: PLC0415 as above
    from moto.core.model_instances import reset_model_data  # noqa: PLC0415 as above

    BackendDict.reset()
    reset_model_data()
