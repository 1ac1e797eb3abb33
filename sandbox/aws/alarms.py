"""Pages ``DescribeAlarms``, which moto answers in one piece."""

from __future__ import annotations

import json
from typing import Any

from sandbox.aws import cbor
from sandbox.aws.paging import page
from sandbox.aws.wire import Request


def is_paged(request: Request) -> bool:
    """Whether this is a request that moto answers unpaged, in a protocol that we can cut."""
    is_it = (request.service, request.operation) == ("cloudwatch", "DescribeAlarms")
    return is_it and request.protocol in ("cbor", "json")


def paged(body: bytes, request: Request, *, size: int) -> bytes:
    """One page of moto's answer, by name; ``MaxRecords`` may make it smaller."""
    is_json = request.protocol == "json"
    answer: dict[str, Any] = json.loads(body) if is_json else cbor.loads(body)
    limit = min(size, int(request.params.get("MaxRecords") or size))
    alarms = sorted(answer.get("MetricAlarms") or [], key=lambda alarm: str(alarm["AlarmName"]))
    shown, token = page(alarms, token=request.params.get("NextToken"), size=limit)
    answer["MetricAlarms"] = shown
    answer |= {"NextToken": token} if token else {}
    return json.dumps(answer).encode() if is_json else cbor.dumps(answer)
