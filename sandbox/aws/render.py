"""Renders results of the query protocol as XML."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any
from xml.sax.saxutils import escape

from sandbox.aws.wire import Reply


def render_result(operation: str, result: dict[str, Any], *, namespace: str) -> Reply:
    """``{"StackId": ...}`` as ``<OpResponse><OpResult><StackId>``; absent values are left out."""
    request_id = str(uuid.uuid4())
    body = (
        f'<{operation}Response xmlns="{namespace}"><{operation}Result>{_members(result)}'
        f"</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId>"
        f"</ResponseMetadata></{operation}Response>"
    )
    return 200, {"Content-Type": "text/xml", "x-amzn-RequestId": request_id}, body.encode()


def _members(values: dict[str, Any]) -> str:
    return "".join(f"<{k}>{_value(v)}</{k}>" for k, v in values.items() if v is not None)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return _members(value)
    if isinstance(value, (list, tuple)):
        return "".join(f"<member>{_value(item)}</member>" for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return escape(str(value))
