"""What channels.yaml says of fleets in AWS Systems Manager, and the commands that hosts run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from phased_rollout.config.clusters import RecordName
from phased_rollout.config.fields import Maybe, Strict, TargetName, Traits
from phased_rollout.config.kinds import (
    AccountId,
    ConnectionId,
    ExternalId,
    HoldSettings,
    Hop,
    Region,
    Role,
    SubstrateKind,
)
from phased_rollout.config.rules import WRITTEN, Filled, Matching

TAG = "tag:"
"""Begins the keys of an address that are tags, as in filters of Systems Manager."""

DocumentName = Annotated[
    str,
    Matching(r"[a-zA-Z0-9_\-.:/]{3,128}", "is no document of Systems Manager: write name or ARN"),
]
DocumentVersion = Annotated[
    str,
    Matching(
        r"[1-9][0-9]{0,9}",
        'is no version that stays what it is: write its number in quotes, such as "3"',
    ),
]
ParameterName = Annotated[
    str, Matching(r"[a-zA-Z0-9]{1,128}", "cannot name a parameter: use letters and digits")
]
TagKey = Annotated[
    str,
    Matching(r"[\w\s.:/=+@-]{1,128}", "cannot be a tag's key: letters, digits and .:/=+@-_"),
]
TagValue = Annotated[
    str, Matching(r"[\w\s.:/=+@-]{1,256}", "cannot be a tag's value: letters, digits and .:/=+@-_")
]


def _texts(value: Any) -> list[str]:
    """Give a parameter's values as Systems Manager takes them: always a list of texts."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(each, (list, dict)) or each is None for each in values):
        raise ValueError("must be a text or a list of texts: write anything else as JSON in quotes")
    return [json.dumps(each) if not isinstance(each, str) else each for each in values]


_TEXT = {"type": ["string", "number", "boolean"]}
Texts = Annotated[
    list[str],
    BeforeValidator(_texts),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}),
]


def _share(value: Any) -> str:
    """Accept a number of hosts, or a percentage below half of them."""
    found = None if isinstance(value, bool) else _SHARE.fullmatch(str(value))
    if found is None:
        raise ValueError(f"{WRITTEN} is no number of hosts: write one, or a percentage such as 5%")
    if found[2] and int(found[1]) >= _HALF:
        raise ValueError(f"{WRITTEN} would let half of the hosts fail: write less than 50%")
    return f"{int(found[1])}{found[2]}"


_SHARE, _HALF = re.compile(r"(\d{1,6})(%?)", re.ASCII), 50
Share = Annotated[
    str,
    BeforeValidator(_share),
    WithJsonSchema({"type": ["integer", "string"], "pattern": r"^\d{1,6}%?$"}),
]


class CommandSettings(Strict):
    """A command: a document in one version, with its parameters."""

    document: DocumentName
    version: DocumentVersion
    parameters: dict[ParameterName, Texts] = Field(default_factory=dict)


class ChangeCommand(CommandSettings):
    """The shape of a change's command.yaml.

    :param remove: what takes the change away from a host that reported nothing before
    """

    remove: Maybe[CommandSettings] = None


class Fleets(Strict):
    """A command on the hosts of each slice.

    :param connection: and role, external_id, via, region: as of ``cloudformation``
    :param record: names the rollout in comments of commands, and below ``/phased-rollout/`` in the
        Parameter Store of each account: one for each definition
    :param reports: the command whose output tells what a host runs
    :param max_failed_hosts: of a slice, as a number or a percentage
    :param hosts_at_once: of one command
    :param commands_at_once: of a slice; each goes to at most 50 hosts
    """

    kind: SubstrateKind
    connection: ConnectionId
    role: Role
    record: RecordName
    reports: CommandSettings
    region: Maybe[Region] = None
    external_id: Maybe[ExternalId] = None
    via: Maybe[list[Hop]] = None
    max_failed_hosts: Maybe[Share] = None
    hosts_at_once: Maybe[Annotated[int, Field(ge=1, le=50)]] = None
    commands_at_once: Maybe[Annotated[int, Field(ge=1, le=20)]] = None

    def options(self) -> dict[str, Any]:
        """Give what was set."""
        return self.model_dump(exclude={"kind"}, exclude_none=True)


class SliceTarget(Strict):
    """The hosts of an account and region that have all of these tags."""

    name: TargetName
    account: AccountId
    tags: Annotated[dict[TagKey, TagValue], Filled("name at least one tag")]
    region: Maybe[Region] = None
    hold: Maybe[HoldSettings] = None
    traits: Maybe[Traits] = None

    def address(self, region: str | None) -> dict[str, str]:
        """Give account, region and tags.

        :param region: of the substrate
        """
        where = {"account": self.account, "region": self.region or region or ""}
        return where | {f"{TAG}{key}": value for key, value in self.tags.items()}


Raw = Mapping[str, Any]


def place_of(target: Raw, substrate: Raw) -> tuple[str, ...]:
    """Name the slice that a target is; nothing when it cannot be told."""
    tags = target.get("tags")
    if not isinstance(tags, dict):
        return ()
    where = target.get("account"), target.get("region", substrate.get("region"))
    found = (*where, *(f"{key}={tags[key]}" for key in sorted(tags, key=str)))
    return tuple(map(str, found)) if all(isinstance(each, str) for each in where) else ()


def as_written(address: Mapping[str, str]) -> dict[str, Any]:
    """Give an address as channels.yaml would have it: tags of their own."""
    tags = {k.removeprefix(TAG): v for k, v in address.items() if k.startswith(TAG)}
    return {k: v for k, v in address.items() if not k.startswith(TAG)} | {"tags": tags}
