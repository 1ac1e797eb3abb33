"""What each built-in kind of inventory wants to be told, and how a channel selects from it."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from phased_rollout.adapters import INVENTORIES
from phased_rollout.config.fields import Maybe, Positive, Strict, TargetName, Text, choice
from phased_rollout.config.kinds import (
    OTHER,
    AccountId,
    ConnectionId,
    ExternalId,
    HoldSettings,
    Region,
    Role,
    known_in,
    shape_of,
)
from phased_rollout.config.rules import WRITTEN, Filled, Matching
from phased_rollout.model.selection import Unlisted

InventoryKind = Annotated[str, known_in(INVENTORIES)]
UnlistedPolicy = Annotated[Unlisted, BeforeValidator(choice(Unlisted))]
Pointer = Annotated[
    str,
    Matching(
        r"(/[^/\s]*)+|[^./\s][^.\s]*(\.[^.\s]+)*",
        "is no path into an answer: write keys with dots between them, such as metadata.name",
    ),
]
"""The way to a value in a JSON answer: ``metadata.name``; a number is a position in a list."""


def _relative(text: str) -> str:
    if "://" in text or text.startswith("//"):
        raise ValueError(
            f"{WRITTEN} names a host: write the path only, the connection has the host"
        )
    return text


class InventorySettings(BaseModel):
    """What every kind of inventory may set.

    :param unlisted: what an active target in no channel does to a plan
    :param outside: names or address values of those that are meant to be in no channel
    """

    unlisted: Maybe[UnlistedPolicy] = None
    outside: Maybe[list[Text]] = None


class Organizations(Strict, InventorySettings):
    """The accounts of an AWS organization.

    :param account: the management account, or a delegated administrator
    :param role: to read with; the connection as it is unless set
    :param region: any of the partition; that of the substrate unless set
    """

    kind: InventoryKind
    account: AccountId
    connection: Maybe[ConnectionId] = None
    role: Maybe[Role] = None
    external_id: Maybe[ExternalId] = None
    region: Maybe[Region] = None


class RegistryFile(Strict, InventorySettings):
    """A YAML or JSON file of targets; the path is relative to channels.yaml."""

    kind: InventoryKind
    path: Text


class RegistryHttp(Strict, InventorySettings):
    """A service that lists targets as JSON.

    :param path: below the connection's host
    :param items: where the list is; the whole answer unless set
    :param name: where an item's name is, and so on
    :param labels: of each label where its value is, or where a mapping of them is
    :param active: values of the state that mean active
    :param next: where the link to the next page is
    """

    kind: InventoryKind
    connection: ConnectionId
    path: Annotated[Text, AfterValidator(_relative)]
    items: Maybe[Pointer] = None
    name: Pointer
    address: Annotated[dict[Text, Pointer], Filled("say where the parts of an address are")]
    labels: Maybe[Pointer | dict[Text, Pointer]] = None
    state: Maybe[Pointer] = None
    active: Maybe[Annotated[list[Text], Filled("name the states that mean active")]] = None
    next: Maybe[Pointer] = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.state is None) != (self.active is None):
            raise ValueError("set state and active together: where it is, and what means active")
        return self


class OtherInventory(InventorySettings):
    """An inventory of another package: it judges its options itself."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    kind: InventoryKind


def options_of(inventory: InventorySettings) -> dict[str, Any]:
    """Give the options that were set, without kind and policy."""
    return inventory.model_dump(exclude={"kind", "unlisted", "outside"}, exclude_none=True)


AnyInventory = Annotated[
    Annotated[Organizations, Tag("kind=organizations")]
    | Annotated[RegistryFile, Tag("kind=file")]
    | Annotated[RegistryHttp, Tag("kind=http")]
    | Annotated[OtherInventory, Tag(OTHER)],
    Discriminator(shape_of(INVENTORIES)),
]


class SelectSettings(Strict):
    """Which targets of the inventory are a channel's. Never all of them by saying nothing."""

    ou: Maybe[Annotated[list[Text], Filled("name at least one organizational unit")]] = None
    labels: Maybe[Annotated[dict[Text, str], Filled("name at least one label")]] = None
    at_least: Maybe[Positive] = None
    hold: Maybe[dict[TargetName, HoldSettings]] = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.ou is None and self.labels is None:
            raise ValueError("selects nothing: say which targets by ou, by labels, or by both")
        return self


class RegistryEntry(Strict):
    """A target in a registry file."""

    name: TargetName
    address: Annotated[dict[Text, Text], Filled("say where the target is")]
    state: Text = "ACTIVE"
    labels: dict[Text, str] = Field(default_factory=dict)
    ou: list[Text] = Field(default_factory=list)


class Registry(Strict):
    """The shape of a registry file."""

    targets: Annotated[list[RegistryEntry], Filled("name at least one target")]
