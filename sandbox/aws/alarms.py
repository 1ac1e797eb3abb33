"""CloudWatch's alarms where moto falls short: pages, kinds, rules of composite alarms, tags."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox.aws import cbor
from sandbox.aws.backends import backend
from sandbox.aws.errors import validation_error
from sandbox.aws.identity import Caller
from sandbox.aws.paging import page
from sandbox.aws.wire import Reply, Request

_KINDS = {"MetricAlarm": "MetricAlarms", "CompositeAlarm": "CompositeAlarms"}
_MOST_NAMES = 100
_WORD = re.compile(r'\s*(?:(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*"?([^")]*)"?\s*\)|([A-Z]+|[()]))')


def is_description(request: Request) -> bool:
    """Whether this asks for alarms, in a protocol whose answer we can rewrite."""
    is_it = (request.service, request.operation) == ("cloudwatch", "DescribeAlarms")
    return is_it and request.protocol in ("cbor", "json")


def check(request: Request) -> None:
    """Refuse what AWS refuses."""
    if len(request.params.get("AlarmNames") or []) > _MOST_NAMES:
        message = "The collection AlarmNames must not have a size greater than 100."
        raise validation_error(message)


def described(body: bytes, request: Request, *, caller: Caller, size: int) -> bytes:
    """One page of moto's answer, by name: of the kinds that were asked for, metric alarms alone
    unless told; ``MaxRecords`` may make it smaller."""
    is_json = request.protocol == "json"
    answer: dict[str, Any] = json.loads(body) if is_json else cbor.loads(body)
    kinds = request.params.get("AlarmTypes") or ["MetricAlarm"]
    found = [
        (key, alarm)
        for kind, key in _KINDS.items()
        if kind in kinds
        for alarm in answer.get(key) or []
    ]
    found.sort(key=lambda item: str(item[1]["AlarmName"]))
    limit = min(size, int(request.params.get("MaxRecords") or size))
    shown, token = page(found, token=request.params.get("NextToken"), size=limit)
    known = backend("cloudwatch", account=caller.account, region=request.region).alarms
    for key in _KINDS.values():
        answer[key] = [alarm for kind, alarm in shown if kind == key]
    for alarm in answer["CompositeAlarms"]:
        alarm["StateValue"] = _state(alarm["AlarmName"], known)
    answer |= {"NextToken": token} if token else {}
    return json.dumps(answer).encode() if is_json else cbor.dumps(answer)


def _state(name: str, known: dict[str, Any]) -> str:
    """The state of an alarm; of a composite one, what its rule makes of the others."""
    alarm = known.get(name)
    if alarm is None:
        return "INSUFFICIENT_DATA"
    if alarm.rule is None:
        return str(alarm.state_value)
    return "ALARM" if _holds(str(alarm.rule), known) else "OK"


def _holds(rule: str, known: dict[str, Any]) -> bool:
    words = []
    for state, name, word in _WORD.findall(rule):
        if state:
            words.append(str(_state(name.strip(), known) == state))
        else:
            words.append({"TRUE": "True", "FALSE": "False"}.get(word, word.lower()))
    if unknown := set(words) - {"True", "False", "and", "or", "not", "(", ")"}:
        raise validation_error(f"AlarmRule must not contain {sorted(unknown)}")
    return bool(eval(" ".join(words), {"__builtins__": {}}))  # noqa: S307 these seven words only


def answer(request: Request, *, caller: Caller, size: int) -> Reply | None:
    """The answer to what moto does not have; None for all else."""
    call = (request.service, request.operation)
    if call == ("cloudwatch", "PutCompositeAlarm"):
        return _put_composite(request, caller=caller)
    kinds = request.params.get("ResourceTypeFilters")
    if call == ("tagging", "GetResources") and kinds == ["cloudwatch:alarm"]:
        return _tagged(request, caller=caller, size=size)
    return None


def _put_composite(request: Request, *, caller: Caller) -> Reply:
    cloudwatch = backend("cloudwatch", account=caller.account, region=request.region)
    rule = str(request.params["AlarmRule"])
    _holds(rule, cloudwatch.alarms)
    blank = dict.fromkeys((
        "namespace", "metric_name", "comparison_operator", "evaluation_periods", "period",
        "threshold", "statistic",
    ))  # fmt: skip
    cloudwatch.put_metric_alarm(
        **blank,
        name=str(request.params["AlarmName"]),
        description=request.params.get("AlarmDescription"),
        dimensions=[],
        alarm_actions=request.params.get("AlarmActions") or [],
        rule=rule,
        tags=request.params.get("Tags"),
    )
    if request.protocol == "cbor":
        headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return 200, headers, cbor.dumps({})
    return 200, {"Content-Type": "application/x-amz-json-1.0"}, b"{}"


def _tagged(request: Request, *, caller: Caller, size: int) -> Reply:
    """One page of the alarms that carry all the tags."""
    cloudwatch = backend("cloudwatch", account=caller.account, region=request.region)
    found = []
    for _, alarm in sorted(cloudwatch.alarms.items()):
        tags = cloudwatch.tagger.get_tag_dict_for_resource(alarm.alarm_arn)
        if tags and all(_matches(tags, wanted) for wanted in request.params.get("TagFilters", [])):
            listed = [{"Key": key, "Value": value} for key, value in tags.items()]
            found.append({"ResourceARN": alarm.alarm_arn, "Tags": listed})
    limit = min(size, int(request.params.get("ResourcesPerPage") or size))
    shown, token = page(found, token=request.params.get("PaginationToken"), size=limit)
    answer = {"ResourceTagMappingList": shown, "PaginationToken": token or ""}
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()


def _matches(tags: dict[str, str], wanted: dict[str, Any]) -> bool:
    values = wanted.get("Values") or []
    return wanted["Key"] in tags and (not values or tags[wanted["Key"]] in values)
