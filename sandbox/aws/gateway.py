"""The WSGI application: authenticates, injects faults, logs, and passes on to who answers."""

from __future__ import annotations

import datetime as dt
import http
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.aws import alarms, buckets, metrics
from sandbox.aws.cloudformation.service import NAMESPACE, CloudFormation
from sandbox.aws.errors import AwsError, validation_error
from sandbox.aws.faults import Fault, Faults, injected_error
from sandbox.aws.identity import STS_NAMESPACE, Caller, Identities, caller_identity
from sandbox.aws.journal import Call, Journal, kept_params
from sandbox.aws.organizations import Organizations
from sandbox.aws.pace import Pace
from sandbox.aws.partitions import is_region
from sandbox.aws.permissions import Permissions
from sandbox.aws.render import render_result
from sandbox.aws.runcommand.service import RunCommand
from sandbox.aws.wire import Environ, Reply, Request, read_request, render_error

ADMIN_PREFIX = "/_sandbox/"
_TARGET_ACCOUNT = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):")

StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]


class DroppedError(ConnectionError):
    """The connection is to be closed without an answer; the server knows what to do."""


@dataclass(slots=True)
class Gateway:
    """All of AWS behind one endpoint."""

    moto: WsgiApp
    admin: Callable[[Environ], Reply]
    cloudformation: CloudFormation
    identities: Identities
    permissions: Permissions
    organizations: Organizations
    run_command: RunCommand
    faults: Faults
    journal: Journal
    pace: Pace
    stopping: threading.Event

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if str(environ.get("PATH_INFO", "")).startswith(ADMIN_PREFIX):
            return _send(self.admin(environ), start_response)
        request, started = read_request(environ), time.monotonic()
        time_stamp = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        outcome = _Outcome()
        try:
            reply = self._answer(environ, request, outcome)
            outcome.status = reply[0]
            return _send(reply, start_response)
        finally:  # a dropped connection is logged too: status None
            self.journal.add(
                Call(
                    time=time_stamp,
                    account=outcome.account,
                    region=request.region,
                    service=request.service,
                    operation=request.operation,
                    params=kept_params(request.params),
                    status=outcome.status,
                    error=outcome.error,
                    fault=outcome.fault,
                    caller=outcome.caller,
                    seconds=round(time.monotonic() - started, 4),
                )
            )

    def _answer(self, environ: Environ, request: Request, outcome: _Outcome) -> Reply:
        if request.region and not is_region(request.region):
            environ["sandbox.drop"]()  # as near as one address comes to a name that leads nowhere
            raise DroppedError(request.region)
        try:
            caller = self.identities.authenticate(request)
            outcome.caller, outcome.account = caller.arn, _account(request, caller)
            fault = self.faults.take(
                account=outcome.account, region=request.region, service=request.service,
                operation=request.operation,
            )  # fmt: skip
            if fault is None:
                return self._perform(environ, request, caller)
            outcome.fault = fault.kind
            return self._with_fault(
                fault, environ, request, perform=lambda: self._perform(environ, request, caller)
            )
        except AwsError as error:
            outcome.error = error.code
            return render_error(error, service=request.service, protocol=request.protocol)

    def _with_fault(
        self, fault: Fault, environ: Environ, request: Request, *, perform: Callable[[], Reply]
    ) -> Reply:
        if fault.kind in ("lost_reply", "lost_503", "reset_after"):
            perform()
        if fault.kind in ("slow", "timeout"):
            self.stopping.wait(fault.seconds)
        if fault.kind == "slow":
            return perform()
        if fault.kind == "not_xml":
            return 500, {"Content-Type": "text/html"}, b"<html><body>Bad Gateway<br></body></html>"
        if fault.kind == "error":
            raise AwsError(fault.code, fault.message, status=fault.status)
        if error := injected_error(fault.kind, request):
            raise error
        if fault.kind in ("reset", "reset_after"):
            environ["sandbox.drop"]()
        raise DroppedError(fault.kind)

    def _perform(self, environ: Environ, request: Request, caller: Caller) -> Reply:
        self.permissions.check(caller, request)
        size = self.pace.page_size
        now = dt.datetime.now(dt.UTC)
        own = alarms.answer(request, caller=caller, size=size)
        own = own or metrics.answer(request, caller=caller, size=size, now=now)
        if own := own or self.run_command.answer(request, caller=caller):
            return own
        alarms.check(request)
        if request.service == "cloudformation":
            role = str(request.params.get("RoleARN") or "")
            if self.identities.is_absent(role):
                raise validation_error(f"Role {role} is invalid or cannot be assumed")
            result = self.cloudformation.call(
                request.operation, request.params, caller=caller, region=request.region
            )
            return render_result(request.operation, result, namespace=NAMESPACE)
        if (request.service, request.operation) == ("sts", "AssumeRole"):
            result = self.identities.assume_role(caller, request.params)
            return render_result(request.operation, result, namespace=STS_NAMESPACE)
        if (request.service, request.operation) == ("sts", "GetCallerIdentity"):
            result = caller_identity(caller)
            return render_result(request.operation, result, namespace=STS_NAMESPACE)
        if request.service == "s3":
            buckets.check_owner(environ, caller)
        if request.service == "organizations":
            return self.organizations.answer(request, caller=caller, size=self.pace.page_size)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = caller.account
        status, headers, body = _call_wsgi(self.moto, environ)
        if status == http.HTTPStatus.OK and alarms.is_description(request):
            body = alarms.described(body, request, caller=caller, size=size)
            headers.pop("Content-Length", None)
        return status, headers, body


@dataclass(slots=True)
class _Outcome:
    """What is known of a call so far, for the log."""

    account: str = ""
    status: int | None = None
    error: str | None = None
    fault: str | None = None
    caller: str | None = None


def _account(request: Request, caller: Caller) -> str:
    """The account that a call is about: for AssumeRole, the one that it leads into."""
    if request.operation == "AssumeRole":
        match = _TARGET_ACCOUNT.match(str(request.params.get("RoleArn", "")))
        if match:
            return match.group(1)
    return caller.account


def _call_wsgi(app: WsgiApp, environ: Environ) -> Reply:
    seen: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        seen["status"], seen["headers"] = int(status.split(" ", 1)[0]), dict(headers)

    body = b"".join(app(environ, start))
    return seen["status"], seen["headers"], body


def _send(reply: Reply, start_response: StartResponse) -> Iterable[bytes]:
    status, headers, body = reply
    phrase = http.HTTPStatus(status).phrase
    headers.setdefault("Content-Length", str(len(body)))
    start_response(f"{status} {phrase}", list(headers.items()))
    return [body]
