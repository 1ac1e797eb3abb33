"""Answers the calls of Run Command, and the list of managed nodes, as AWS documents them."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.aws.errors import AwsError
from sandbox.aws.identity import Caller
from sandbox.aws.pace import Pace
from sandbox.aws.paging import page
from sandbox.aws.runcommand import documents
from sandbox.aws.runcommand.commands import Command, Invocation
from sandbox.aws.runcommand.hosts import Host, Hosts, Outcome
from sandbox.aws.runcommand.shell import run
from sandbox.aws.scheduler import Scheduler
from sandbox.aws.wire import Reply, Request

Json = dict[str, Any]
MOST = 50
"""Hosts of a command, and items of a page."""
_LONGEST_COMMENT = 100


class RunCommand:
    """Sends commands to hosts and remembers what became of them. Thread-safe."""

    def __init__(self, scheduler: Scheduler, pace: Pace) -> None:
        self.hosts = Hosts()
        self._scheduler, self._pace = scheduler, pace
        self._lock = threading.RLock()
        self._commands: list[Command] = []
        self._outcomes: list[Outcome] = []

    def reset(self) -> None:
        with self._lock:
            self.hosts.clear()
            self._commands.clear()
            self._outcomes.clear()

    def decide(self, outcome: Outcome | None) -> None:
        """Let commands end so from now on; None: as the hosts' files let them."""
        with self._lock:
            if outcome is None:
                self._outcomes.clear()
            else:
                self._outcomes.append(outcome)

    def answer(self, request: Request, *, caller: Caller) -> Reply | None:
        """Answer a call that is ours; None for all others of Systems Manager."""
        ours: dict[str, Callable[[str, str, Json], Json]] = {
            "SendCommand": self._send,
            "ListCommands": self._list,
            "ListCommandInvocations": self._invocations,
            "GetCommandInvocation": self._invocation,
            "DescribeInstanceInformation": self._nodes,
            **self._described(request),
        }
        if request.service != "ssm" or request.operation not in ours:
            return None
        with self._lock:
            body = ours[request.operation](caller.account, request.region, request.params)
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode()

    def _described(self, request: Request) -> dict[str, Callable[[str, str, Json], Json]]:
        """DescribeDocument, of public documents only: moto knows those of an account."""
        if not documents.is_public(str(request.params.get("Name", ""))):
            return {}
        return {"DescribeDocument": self._document}

    def _document(self, account: str, region: str, params: Json) -> Json:
        name = params["Name"]
        version = params.get("DocumentVersion", "")
        content, number = documents.find(name, version, account=account, region=region)
        declared = [
            {"Name": key, "Type": value["type"],
             **({"DefaultValue": str(value["default"])} if "default" in value else {})}
            for key, value in content["parameters"].items()
        ]  # fmt: skip
        return {"Document": {"Name": name, "DocumentVersion": number, "Parameters": declared}}

    # hosts

    def _nodes(self, account: str, region: str, params: Json) -> Json:
        filters = params.get("Filters") or []
        by_tag = {each["Key"].startswith("tag") for each in filters}
        if len(by_tag) > 1:
            message = "Tag filters can't be combined with other filter types."
            raise AwsError("InvalidInstanceInformationFilterValue", message)
        found = [h for h in self.hosts.all(account, region) if h.matches(filters)]
        listed = [host.described() for host in sorted(found, key=lambda host: host.id)]
        return self._paged("InstanceInformationList", listed, params, unset=10)

    # commands

    def _send(self, account: str, region: str, params: Json) -> Json:
        wanted = list(params.get("InstanceIds") or [])
        if not 0 < len(wanted) <= MOST or len(params.get("Comment", "")) > _LONGEST_COMMENT:
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: 'instanceIds' holds {len(wanted)} of at most "
                f"{MOST}, or 'comment' more than {_LONGEST_COMMENT} characters",
            )
        if len(set(wanted)) < len(wanted):
            raise AwsError("DuplicateInstanceId", "You can't specify an instance ID in more than "
                           "one association.")  # fmt: skip
        if gone := [i for i in wanted if self.hosts.get(account, region, i) is None]:
            message = f"Instances [[{', '.join(gone)}]] not in a valid state for account {account}"
            raise AwsError("InvalidInstanceId", message)
        name, version = params["DocumentName"], params.get("DocumentVersion", "")
        content, number = documents.find(name, version, account=account, region=region)
        given = params.get("Parameters") or {}
        documents.check(content, given)
        command = Command(
            account, region, name, number, given, [Invocation(each) for each in wanted],
            comment=params.get("Comment", ""),
            concurrency=params.get("MaxConcurrency", "50"),
            errors=params.get("MaxErrors", "0"),
            lag=self._pace.command_lag,
        )  # fmt: skip
        self._commands.append(command)
        script = documents.script_of(content, given)
        self._later(command, script)
        return {"Command": command.described()}

    def _later(self, command: Command, script: str) -> None:
        pause = self._pace.seconds(command.account)
        self._scheduler.later(pause, lambda: self._advance(command, script))

    def _advance(self, command: Command, script: str) -> None:
        with self._lock:
            held = command.account in self._pace.held
            if held or command.take(lambda each: self._run(command, each, script)):
                self._later(command, script)

    def _run(self, command: Command, each: Invocation, script: str) -> None:
        host = self.hosts.get(command.account, command.region, each.host)
        decided = [
            o
            for o in self._outcomes
            if o.covers(each.host, account=command.account, document=command.document)
        ]
        if host is None or host.ping != "Online":
            each.details = "Undeliverable" if host is None else "DeliveryTimedOut"
        elif decided:
            each.details, each.err = decided[-1].details, decided[-1].output
            each.code = 1
        else:
            self._perform(host, each, script)

    def _perform(self, host: Host, each: Invocation, script: str) -> None:
        result = run(script, host.files)
        each.code, each.out, each.err = result.code, result.out, result.err
        each.details = "Failed" if result.code else "Success"
        if result.code:
            each.err += f"failed to run commands: exit status {result.code}"

    def _listed(self, account: str, region: str, params: Json) -> list[Command]:
        """The commands that the filters leave, the newest first."""
        now = dt.datetime.now(dt.UTC)
        found = [
            c
            for c in reversed(self._commands)
            if (c.account, c.region) == (account, region) and c.listed_at <= now
        ]
        if wanted := params.get("CommandId"):
            found = [c for c in found if c.id == wanted]
        if host := params.get("InstanceId"):
            found = [c for c in found if any(i.host == host for i in c.invocations)]
        return [c for c in found if all(_passes(c, f) for f in params.get("Filters") or [])]

    def _list(self, account: str, region: str, params: Json) -> Json:
        found = [command.described() for command in self._listed(account, region, params)]
        return self._paged("Commands", found, params, unset=MOST)

    def _invocations(self, account: str, region: str, params: Json) -> Json:
        host, details = params.get("InstanceId"), bool(params.get("Details"))
        found = [
            command.invocation(each, details=details)
            for command in self._listed(account, region, params)
            for each in command.invocations
            if host in (None, each.host)
        ]
        return self._paged("CommandInvocations", found, params, unset=MOST)

    def _invocation(self, account: str, region: str, params: Json) -> Json:
        for command in self._listed(account, region, {"CommandId": params["CommandId"]}):
            for each in command.invocations:
                if each.host == params["InstanceId"]:
                    return command.content(each)
        raise AwsError("InvocationDoesNotExist", "")

    def _paged(self, key: str, items: Sequence[Json], params: Json, *, unset: int) -> Json:
        size = min(self._pace.page_size, int(params.get("MaxResults") or unset), MOST)
        shown, following = page(items, token=params.get("NextToken"), size=size)
        return {key: shown, **({"NextToken": following} if following else {})}


def _passes(command: Command, given: Json) -> bool:
    key, value = given["key"], str(given["value"])
    if key in ("InvokedAfter", "InvokedBefore"):
        moment = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
        return bool((command.at >= moment) == (key == "InvokedAfter"))
    if key == "DocumentName":
        return command.document == value
    if key == "Status":
        return command.status == value
    raise AwsError("InvalidFilterKey", f"The specified key isn't valid: {key}")
