"""Reads AWS requests and renders AWS errors, in whichever protocol the client speaks."""

from __future__ import annotations

import gzip
import io
import json
import re
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from sandbox.aws import cbor
from sandbox.aws.errors import AwsError

_CREDENTIAL = re.compile(r"Credential=([^/,]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_NAMES = {"monitoring": "cloudwatch"}  # signing names that nobody uses
_XML_SERVICES = frozenset({"s3", "route53", "cloudfront"})

Environ = dict[str, Any]
Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """One API request: who calls which operation of which service, with which parameters."""

    service: str
    region: str
    access_key: str
    token: str
    operation: str
    protocol: str  # query, json, cbor, rest-json or rest-xml
    params: dict[str, Any] = field(repr=False)


def read_request(environ: Environ) -> Request:
    """Parse without consuming: the body can be read again by whoever handles the request."""
    match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    access_key, region, service = match.groups() if match else ("", "", "")
    protocol, operation, params = _operation(environ, service=service, body=_body(environ))
    return Request(
        service=_NAMES.get(service, service) or "unknown",
        region=region,
        access_key=access_key,
        token=environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""),
        operation=operation,
        protocol=protocol,
        params=params,
    )


def _body(environ: Environ) -> bytes:
    if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:
        body: bytes = environ["wsgi.input"].read()
        environ["CONTENT_LENGTH"] = str(len(body))
    else:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    if environ.pop("HTTP_CONTENT_ENCODING", None) == "gzip":  # SDKs compress PutMetricData
        body = gzip.decompress(body)
        environ["CONTENT_LENGTH"] = str(len(body))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _operation(environ: Environ, *, service: str, body: bytes) -> tuple[str, str, dict[str, Any]]:
    path = str(environ.get("PATH_INFO", "/"))
    if environ.get("HTTP_SMITHY_PROTOCOL") == "rpc-v2-cbor":
        return "cbor", path.rsplit("/", 1)[-1], _mapping(cbor.loads, body)
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return "json", str(target).rsplit(".", 1)[-1], _mapping(json.loads, body)
    form = dict(parse_qsl(str(environ.get("QUERY_STRING", "")), keep_blank_values=True))
    if "x-www-form-urlencoded" in str(environ.get("CONTENT_TYPE", "")):
        form |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if "Action" in form:
        return "query", form["Action"], unflatten(form)
    protocol = "rest-xml" if service in _XML_SERVICES else "rest-json"
    return protocol, f"{environ.get('REQUEST_METHOD', 'GET')} {path}", dict(form)


def _mapping(decode: Any, body: bytes) -> dict[str, Any]:
    try:
        value = decode(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def unflatten(form: dict[str, str]) -> dict[str, Any]:
    """Turn ``Tags.member.1.Key=a`` into ``{"Tags": [{"Key": "a"}]}``."""
    tree: dict[str, Any] = {}
    for name, value in form.items():
        node, parts = tree, name.replace(".member.", ".#").split(".")
        for part in parts[:-1]:
            child = node.get(part)
            node[part] = child if isinstance(child, dict) else {}
            node = node[part]
        node[parts[-1]] = value
    return {key: _listed(value) for key, value in tree.items()}


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key[:1] == "#" and key[1:].isdigit() for key in node):
        ordered = sorted(node, key=lambda key: int(key[1:]))
        return [_listed(node[key]) for key in ordered]
    return {key: _listed(value) for key, value in node.items()}


def render_error(error: AwsError, *, service: str, protocol: str) -> Reply:
    """The error body that botocore parses into ``ClientError`` for this protocol."""
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": request_id}
    fault = "Sender" if error.status < 500 else "Receiver"  # noqa: PLR2004 HTTP's 5xx
    if protocol == "cbor":
        headers |= {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        headers["x-amzn-query-error"] = f"{error.code};{fault}"
        body = cbor.dumps({"__type": error.code, "message": error.message})
    elif protocol in ("json", "rest-json"):
        headers |= {"Content-Type": "application/x-amz-json-1.0", "x-amzn-ErrorType": error.code}
        headers["x-amzn-query-error"] = f"{error.code};{fault}"
        body = json.dumps({"__type": error.code, "message": error.message}).encode()
    else:
        headers["Content-Type"] = "text/xml"
        body = _xml_error(error, service=service, fault=fault, request_id=request_id).encode()
    return error.status, headers, body


def _xml_error(error: AwsError, *, service: str, fault: str, request_id: str) -> str:
    inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if service == "ec2":
        errors = f"<Errors><Error>{inner}</Error></Errors>"
        return f"<Response>{errors}<RequestID>{request_id}</RequestID></Response>"
    if service in _XML_SERVICES:
        return f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
    detail = f"<Error><Type>{fault}</Type>{inner}</Error><RequestId>{request_id}</RequestId>"
    return f"<ErrorResponse>{detail}</ErrorResponse>"
