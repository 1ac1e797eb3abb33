"""What channels.yaml says of HTTP probes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from phased_rollout.config.fields import Duration, Maybe, Positive, Strict, Text
from phased_rollout.config.kinds import ConnectionId, SignalKind
from phased_rollout.config.metrics import plain
from phased_rollout.config.rules import Filled, Matching

Status = Annotated[int, Field(ge=100, le=599)]


def _nobody(url: str) -> str:
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("names a user: put it into an Airflow connection, and name that")
    return url


Url = Annotated[
    str,
    AfterValidator(_nobody),
    Matching(
        # A host that a target chooses only within a domain: else an inventory chose whom we ask.
        r"https?://([A-Za-z0-9.-]+|([A-Za-z0-9.-]|\{\w+\})*(\.[A-Za-z0-9-]+)+)(:\d{1,5})?(/[^\s#]*)?",
        "is no address to probe: write http or https, and a host whose last part is no "
        "placeholder, such as https://{name}.example.org/health",
    ),
]
UrlPath = Annotated[
    str, Matching(r"/(?!/)[^\s#]*", "is no path below the connection's host: begin with /")
]
Pointer = Annotated[
    str,
    Matching(r"(/[^\s/]*)+", "is no JSON pointer: write one such as /status or /checks/0/state"),
]


class HttpProbe(Strict):
    """A GET of an address of each target, and what the answer has to be.

    :param url: with ``{name}`` and so on for the target's own; without credentials
    :param connection: Airflow connection of type ``http``, and ``path`` below it, in place of url
    :param status: that are good; 200 unless set
    :param contains: text in the answer
    :param json_: JSON pointer to the value that has to be there
    :param max_latency: until the whole answer is there
    :param failures: probes in a row that have to fail before that is harm
    :param unreachable: what it means that no connection can be made at all
    """

    kind: SignalKind
    url: Maybe[Url] = None
    connection: Maybe[ConnectionId] = None
    path: Maybe[UrlPath] = None
    status: Maybe[Annotated[list[Status], Filled("name at least one status")]] = None
    contains: Maybe[Text] = None
    json_: Annotated[
        dict[Pointer, str | int | float | bool | None] | None, Filled("name a value")
    ] = Field(default=None, alias="json")
    max_latency: Maybe[Duration] = None
    timeout: Maybe[Duration] = None
    failures: Maybe[Positive] = None
    pause: Maybe[Duration] = None
    unreachable: Maybe[Literal["unknown", "harm"]] = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        by_connection = [self.connection is not None, self.path is not None]
        if self.url is None and not all(by_connection):
            raise ValueError("say whom to ask: set url, or connection and path")
        if self.url is not None and any(by_connection):
            raise ValueError("has two addresses: set either url, or connection and path")
        return self

    def options(self) -> dict[str, Any]:
        """Give what was set."""
        found = plain(self)
        return {key.rstrip("_"): value for key, value in found.items()}
