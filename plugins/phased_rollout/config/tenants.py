"""What channels.yaml says of tenants behind an HTTP API: requests, and what is in the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl

from pydantic import AfterValidator, Field, model_validator

from phased_rollout.config.fields import Duration, Maybe, Strict
from phased_rollout.config.inventories import Pointer
from phased_rollout.config.kinds import ConnectionId, OtherTarget, SubstrateKind
from phased_rollout.config.rules import WRITTEN, Filled, Matching
from phased_rollout.pointers import parts_of

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
TOKEN = "token"  # noqa: S105  # no secret
"""Names an attempt, so that an API may answer it once: ``Idempotency-Key: "{token}"``."""
_SECRET = re.compile(
    r"auth(?!ors?([_-]|$))|cookie|secret|passw|credential|session|signature|(^|[_-])token|token$|"
    r"api[_-]?key|access[_-]?key|^key$|^sig$",
    re.IGNORECASE,
)
_OURS = {"content-length", "host", "if-match", "if-none-match", "connection", "transfer-encoding"}
_MERGE, _WHOLE = "merge", "whole"
_SECRETS_GO = "the connection has the secrets: put it there, into its login, password or extra"

FieldName = Annotated[
    str,
    Matching(
        r"(?!token$)[A-Za-z_][A-Za-z0-9_]{0,63}",
        "cannot name a field: use letters, digits and '_', at most 64, and not token",
    ),
]
HeaderName = Annotated[
    str, Matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", "is no name of a header: correct it")
]
HeaderValue = Annotated[
    str, Matching(r"[\x21-\x7e]([\x20-\x7e]{0,998}[\x21-\x7e])?", "cannot be a header: use ASCII")
]
HttpStatus = Annotated[int, Field(ge=200, le=599)]
Statuses = Annotated[list[HttpStatus], Filled("name at least one, or remove the key")]
Value = str | int | bool
Said = Annotated[list[Value], Filled("name at least one value, or remove the key")]


def _path(text: str) -> str:
    path, _, query = text.partition("?")
    bare = PLACEHOLDER.sub("x", text)
    if "://" in text or text.startswith("//"):
        raise ValueError(
            f"{WRITTEN} names a host: write the path only, the connection has the host"
        )
    if not re.fullmatch(r"[\x21-\x7e]+", bare) or re.search(r"[{}#\\]", bare):
        raise ValueError(
            f"{WRITTEN} is no path: use ASCII, and braces for placeholders such as {{tenant}} only"
        )
    if any(part in (".", "..") for part in path.split("/")):
        raise ValueError(f"{WRITTEN} has a step . or .. in it: write where it leads")
    if secret := [key for key, _ in parse_qsl(query, keep_blank_values=True) if _is_secret(key)]:
        raise ValueError(f"has {secret[0]!r} in its query: {_SECRETS_GO}")
    return text


def _headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if name.lower() in _OURS:
            raise ValueError(f"{name!r} is set by the product itself: remove it")
        if _is_secret(name) and value != f"{{{TOKEN}}}":
            raise ValueError(f"{name!r} may hold a secret: {_SECRETS_GO}")
        if set(PLACEHOLDER.findall(value)) - {TOKEN}:
            raise ValueError(f"{name!r} may have the placeholder {{{TOKEN}}} only")
    return headers


def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def _template(value: Any) -> Any:
    """Accept a placeholder as a whole value only: then it cannot be anything but a value."""
    for text in _texts(value):
        if ("{" in text or "}" in text) and not PLACEHOLDER.fullmatch(text):
            raise ValueError(
                f"{text!r} has braces besides text: write a placeholder such as "
                '"{version}" alone, it becomes the value'
            )
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


UrlPath = Annotated[str, AfterValidator(_path)]
Headers = Annotated[dict[HeaderName, HeaderValue], AfterValidator(_headers)]
Body = Literal["merge", "whole"] | Annotated[dict[str, Any], AfterValidator(_template)]


class Reading(Strict):
    """The request that reads a tenant, by GET.

    :param absent: statuses that mean: there is no such tenant
    """

    path: UrlPath
    expect: Maybe[Statuses] = None
    absent: Maybe[Statuses] = None
    headers: Maybe[Headers] = None


class Sending(Strict):
    """A request that changes a tenant.

    :param body: merge patch of the fields, the whole of what was read with them, or a template
    :param of: part of the answer that merge and whole are about
    :param expect: statuses that mean yes; busy: those that mean later
    """

    method: Maybe[Literal["PATCH", "PUT", "POST"]] = None
    path: UrlPath
    body: Maybe[Body] = None
    of: Maybe[Pointer] = None
    expect: Maybe[Statuses] = None
    busy: Maybe[Statuses] = None
    headers: Maybe[Headers] = None

    @property
    def placeholders(self) -> set[str]:
        """Name what is to be filled in."""
        body = self.body if isinstance(self.body, dict) else {}
        return {name for text in (self.path, *_texts(body)) for name in PLACEHOLDER.findall(text)}


class Removing(Sending):
    """The request that takes away what was applied where nothing was."""

    method: Maybe[Literal["DELETE", "PATCH", "PUT", "POST"]] = None  # type: ignore[assignment]  # wider


class Rehearsing(Sending):
    """A request that says what a change would do, and does nothing.

    :param notes: where its answer has what a person should know
    """

    notes: Maybe[Pointer] = None


class StatusSettings(Strict):
    """Where a tenant's own status is, and what its values mean.

    :param failed: whatever is neither good nor pending, unless set
    """

    at: Pointer
    good: Said
    pending: Maybe[Said] = None
    failed: Maybe[Said] = None


class Http(Strict):
    """Values of every tenant, behind the API of a control plane.

    :param connection: Airflow connection of type ``http``: host, path in front, and all secrets
    :param fields: name in a change to where the value stands in the answer
    :param if_match: whether the answer's ETag goes with what is sent; auto: where it can hold
    :param deadline: in which a change has to read back
    """

    kind: SubstrateKind
    connection: ConnectionId
    fields: Annotated[dict[FieldName, Pointer], Filled("say where at least one value stands")]
    read: Reading
    apply: Sending
    remove: Maybe[Removing] = None
    preview: Maybe[Rehearsing] = None
    status: Maybe[StatusSettings] = None
    if_match: Maybe[Literal["auto", "always", "never"]] = None
    deadline: Maybe[Duration] = None

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for name in ("read", "remove"):
            request = getattr(self, name)
            fields = set(PLACEHOLDER.findall(request.path)) & self.fields.keys() if request else ()
            for field in sorted(fields):
                raise ValueError(
                    f"{name}.path has the field {{{field}}}, but only a target's address is known "
                    "then: remove it"
                )
        for name in ("apply", "preview", "remove"):
            if request := getattr(self, name):
                self._made_of_fields(name, request)
        return self

    def _made_of_fields(self, name: str, request: Sending) -> None:
        """See to it that a body of the fields has places for all of them."""
        method = request.method or {"apply": "PATCH"}.get(name)
        body = request.body or {"PATCH": _MERGE, "PUT": _WHOLE}.get(method or "")
        if body not in (_MERGE, _WHOLE):
            if request.of:
                raise ValueError(f"{name}.of has no meaning for a body of its own: remove it")
            return
        within = parts_of(request.of)
        for field, pointer in self.fields.items():
            parts = parts_of(pointer)
            if parts[: len(within)] != within or len(parts) == len(within):
                raise ValueError(f"fields.{field} is not within {name}.of: correct one of the two")
            if body == _MERGE and any(part.isdecimal() for part in parts):
                raise ValueError(
                    f"fields.{field} is within a list, which no merge patch can change: set "
                    f"{name}.body"
                )

    def options(self) -> dict[str, Any]:
        """Give what was set."""
        found = self.model_dump(exclude={"kind"}, exclude_none=True)
        if self.deadline:
            found["deadline"] = self.deadline.total_seconds()
        return found


class TenantTarget(OtherTarget):
    """A tenant: all keys but name and hold are its address, for the placeholders of paths."""


Raw = Mapping[str, Any]
_REQUESTS = ("read", "apply", "remove", "preview")


def problems_of(target: Raw, substrate: Raw) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Say which placeholders a target does not fill, or fills twice, each with its key."""
    fields = _mapping(substrate.get("fields"))
    for key in target:
        if key in fields or key == TOKEN:
            what = f"there is a {'field' if key in fields else 'placeholder'} of that name: rename"
            yield f"{what} this part of the address", (str(key),)
    requests = [_mapping(substrate.get(name)) for name in _REQUESTS]
    wanted = {
        name
        for request in requests
        for part in (request.get("path"), request.get("body"))
        for text in _texts(part)
        for name in PLACEHOLDER.findall(text)
    }
    for name in sorted(wanted - fields.keys() - target.keys() - {TOKEN}):
        yield f"missing: the requests need {{{name}}}; or name a field so", (name,)


def places_of(target: Raw, substrate: Raw) -> dict[str, tuple[str, ...]]:
    """Give of each field where it stands: one definition changes it, and only of one target."""
    path = _mapping(substrate.get("read")).get("path")
    if not isinstance(path, str):
        return {}
    filled = PLACEHOLDER.sub(lambda match: repr(target.get(match[1])), path)
    return {
        str(name): (str(substrate.get("connection")), filled, *parts_of(pointer))
        for name, pointer in _mapping(substrate.get("fields")).items()
        if isinstance(pointer, str)
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
