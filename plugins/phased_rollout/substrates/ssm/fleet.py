"""The calls on the hosts of one slice. Decides nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from phased_rollout.aws import Access, AccountHook, account
from phased_rollout.aws_errors import RefusedByAwsError
from phased_rollout.config.fleets import TAG
from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.model.digest import canonical_json
from phased_rollout.substrates.ssm.command import Command, pack, unpack

HOSTS = 50
"""Of one command, and items of a page: limits of Systems Manager."""

ONLINE = "Online"
_OPEN = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
_LOST_HOST = ("InvalidInstanceId", "InvalidInstanceInformationFilterValue")
_ERROR_MARK = "----------ERROR-------"
_LONGEST = 300  # characters of an output in a message
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_T = TypeVar("_T")


def until(look: Callable[[], _T], done: Callable[[_T], bool], *, seconds: float) -> _T:
    """Look again, ever more slowly, until it is so or the time is over; give the last look."""
    give_up, pause = time.monotonic() + seconds, _PAUSE
    while True:
        found = look()
        if done(found) or time.monotonic() + pause > give_up:
            return found
        time.sleep(pause)
        pause = min(pause * 1.6, _LONGEST_PAUSE)


def chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Give the items some at a time."""
    listed = list(items)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]


@dataclass(frozen=True, slots=True)
class Sent:
    """A command that Systems Manager lists."""

    id: str
    comment: str
    status: str
    hosts: tuple[str, ...]
    at: datetime

    @property
    def is_open(self) -> bool:
        """Whether it may still run on some host."""
        return self.status in _OPEN


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command on one host.

    :param status: AWS's StatusDetails, without spaces
    :param output: what the host printed
    """

    status: str
    output: str = ""
    errors: str = ""

    @property
    def is_success(self) -> bool:
        return self.status == "Success"

    @property
    def was_not_run(self) -> bool:
        """Whether the host never got it, which says nothing about the change."""
        return self.status in ("DeliveryTimedOut", "Undeliverable", "Terminated") or self.is_open

    @property
    def is_open(self) -> bool:
        return self.status in _OPEN

    def __str__(self) -> str:
        said = (self.errors or self.output).strip()
        short = said if len(said) <= _LONGEST else f"…{said[-_LONGEST:]}"
        return f"{self.status}: {short}" if said else self.status


class Fleet:
    """The hosts of one slice, as its plan froze them, and the store of its account.

    :param options: of the substrate
    :param target: with the hosts that were frozen as its members
    """

    def __init__(self, options: Mapping[str, Any], target: Target) -> None:
        self.access = Access.of(options, target.address)
        self.name = target.name
        self.hosts = target.members
        self.record = str(options["record"])
        self.reports = Command.of(options["reports"])
        self.at_once = int(options.get("commands_at_once") or 4)
        self.hosts_at_once = int(options.get("hosts_at_once") or 10)
        self._tags = {
            k.removeprefix(TAG): v for k, v in target.address.items() if k.startswith(TAG)
        }
        self._share = str(options.get("max_failed_hosts") or "0")

    def __str__(self) -> str:
        return f"{self.access}, {len(self.hosts)} hosts"

    @property
    def hook(self) -> AccountHook:
        """The hook of the account."""
        return account(self.access)

    @property
    def budget(self) -> int:
        """How many hosts may fail or not answer."""
        number = int(self._share.removesuffix("%"))
        return number * len(self.hosts) // 100 if self._share.endswith("%") else number

    def nodes(self) -> dict[str, str]:
        """Give all hosts that have the tags now, each with its PingStatus."""
        filters = [{"Key": f"{TAG}{key}", "Values": [value]} for key, value in self._tags.items()]
        found = self._pages(
            "describe_instance_information",
            "InstanceInformationList",
            Filters=filters,
            MaxResults=HOSTS,
        )
        return {each["InstanceId"]: str(each.get("PingStatus", "")) for each in found}

    # commands

    def send(
        self, command: Command, hosts: Sequence[str], *, comment: str, errors: str, at_once: str
    ) -> str:
        """Send a command, once; give its id. A host that is gone lets nothing be sent."""
        try:
            reply = self._call(
                "send_command",
                InstanceIds=list(hosts),
                DocumentName=command.document,
                DocumentVersion=command.version,
                Parameters={key: list(values) for key, values in command.parameters.items()},
                Comment=comment,
                MaxErrors=errors,
                MaxConcurrency=at_once,
            )
        except RefusedByAwsError as error:
            if error.code in _LOST_HOST:
                raise UnreachableError(str(error)) from error
            raise
        return str(reply["Command"]["CommandId"])

    def sent(self, *, since: str, begins: str) -> list[Sent]:
        """Give the commands since a moment whose comment begins so, the oldest first.

        :param since: ISO 8601 in UTC
        """
        filters = [{"key": "InvokedAfter", "value": since}]
        found = self._pages("list_commands", "Commands", Filters=filters, MaxResults=HOSTS)
        ours = [_sent(each) for each in found if str(each.get("Comment", "")).startswith(begins)]
        return sorted(ours, key=lambda each: each.at)

    def is_open(self, command: str) -> bool:
        """Say whether a command may still run, or is not listed yet."""
        found = self._call("list_commands", CommandId=command).get("Commands", [])
        return not found or _sent(found[0]).is_open

    def outcomes(self, command: str) -> dict[str, Outcome]:
        """Give what became of a command on each host."""
        found = self._pages(
            "list_command_invocations",
            "CommandInvocations",
            CommandId=command,
            Details=True,
            MaxResults=HOSTS,
        )
        return {each["InstanceId"]: _outcome(each) for each in found}

    def check(self, command: Command) -> None:
        """Ask whether the document is there and takes these parameters; raises RefusedError."""
        reply = self._call(
            "describe_document", Name=command.document, DocumentVersion=command.version
        )
        declared = reply["Document"].get("Parameters") or []
        known = {each["Name"] for each in declared}
        if strange := sorted(set(command.parameters) - known):
            raise RefusedError(
                f"{self}: {command} takes no parameter {', '.join(strange)}: it takes "
                f"{', '.join(sorted(known)) or 'none'}"
            )
        needed = {each["Name"] for each in declared if each.get("DefaultValue") is None}
        if missing := sorted(needed - set(command.parameters)):
            raise RefusedError(f"{self}: {command} needs {', '.join(missing)}: set it")

    # what is kept in the Parameter Store

    def kept(self, name: str) -> Any:
        """Give what is kept under a name below the record's; None when nothing is."""
        try:
            reply = self._call("get_parameter", Name=self._path(name))
        except RefusedByAwsError as error:
            if error.code == "ParameterNotFound":
                return None
            raise
        try:
            return unpack(reply["Parameter"]["Value"])
        except (ValueError, OSError) as error:
            raise RefusedError(
                f"{self}: the parameter {self._path(name)} is damaged: delete it to begin anew"
            ) from error

    def keep(self, name: str, value: Any, *, anew: bool) -> None:
        """Keep a value; ``anew`` puts it in the place of another.

        A lost reply is settled by looking whether it is there.
        """
        try:
            self._call(
                "put_parameter",
                Name=self._path(name),
                Value=pack(value),
                Type="String",
                Tier="Intelligent-Tiering",
                Overwrite=anew,
            )
        except RefusedByAwsError as error:
            if anew or error.code != "ParameterAlreadyExists":
                raise
        except UnreachableError:
            if self.kept(name) != json.loads(canonical_json(value)):
                raise

    def _path(self, name: str) -> str:
        return f"/phased-rollout/{self.record}/{name}"

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return self.hook.call(operation, service="ssm", **arguments)

    def _pages(self, operation: str, key: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        return self.hook.pages(operation, key, service="ssm", **arguments)


def _sent(found: Mapping[str, Any]) -> Sent:
    return Sent(
        found["CommandId"],
        str(found.get("Comment", "")),
        str(found["Status"]),
        tuple(found.get("InstanceIds") or ()),
        found["RequestedDateTime"],
    )


def _outcome(found: Mapping[str, Any]) -> Outcome:
    """Read an invocation; the last step that says anything is the one to hear."""
    said = [str(each.get("Output") or "") for each in found.get("CommandPlugins") or ()]
    text = next((each for each in reversed(said) if each.strip()), "")
    output, _, errors = text.partition(_ERROR_MARK)
    status = str(found.get("StatusDetails") or found["Status"]).replace(" ", "")
    return Outcome(status, output.strip(), errors.strip())
