"""What channels.yaml says of an API: its requests, and where what runs stands in its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self

from phased_rollout.errors import ConfigError
from phased_rollout.model.digest import canonical_json
from phased_rollout.pointers import ABSENT, at, parts_of

MERGE, WHOLE = "merge", "whole"
"""Bodies that are made of the fields: a merge patch (RFC 7396), or all of what was read."""

_DONE = (200, 201, 202, 204)
_BODIES = {"PATCH": MERGE, "PUT": WHOLE}


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    :param body: MERGE, WHOLE, or JSON with placeholders; None sends none
    :param of: the part of what was read that MERGE and WHOLE are about
    :param expect: statuses that mean yes
    :param busy: statuses that mean: ask again later
    """

    method: str
    path: str
    body: Any = None
    of: tuple[str, ...] = ()
    expect: tuple[int, ...] = _DONE
    busy: tuple[int, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parsed(cls, options: Mapping[str, Any], *, method: str) -> Self:
        """Fill in what was not said."""
        method = options.get("method", method)
        return cls(
            method=method,
            path=options["path"],
            body=options.get("body", _BODIES.get(method)),
            of=parts_of(options.get("of")),
            expect=tuple(options.get("expect", _DONE)),
            busy=tuple(options.get("busy", ())),
            headers=options.get("headers", {}),
        )

    @property
    def is_templated(self) -> bool:
        """Whether the body cannot say by itself that a field is to go."""
        return self.body not in (MERGE, WHOLE)


class Standing(StrEnum):
    """What a tenant's own status means."""

    GOOD = "good"
    PENDING = "pending"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Status:
    """Where a tenant's own status stands, and what its values mean.

    :param failed: None: whatever is neither good nor pending
    """

    at: tuple[str, ...]
    good: frozenset[str]
    pending: frozenset[str] = frozenset()
    failed: frozenset[str] | None = None

    @classmethod
    def parsed(cls, options: Mapping[str, Any]) -> Self:
        """Take the values as the JSON that they are compared as."""
        sets = {
            key: frozenset(canonical_json(each) for each in options[key])
            for key in ("good", "pending", "failed")
            if key in options
        }
        return cls(parts_of(options["at"]), **sets)

    def read(self, document: Any) -> tuple[Standing, str]:
        """Give what the status means, and the status itself."""
        found = at(document, self.at)
        if found is ABSENT:
            return Standing.UNKNOWN, "absent"
        said = canonical_json(found)
        if said in self.good:
            return Standing.GOOD, said
        if said in self.pending:
            return Standing.PENDING, said
        failed = found is not None if self.failed is None else said in self.failed
        return Standing.FAILED if failed else Standing.UNKNOWN, said


@dataclass(frozen=True, slots=True)
class Spec:
    """All that is known of an API.

    :param fields: name in a change to where the value stands in the answer
    :param absent: statuses of ``read`` that mean: there is no such tenant
    :param notes: where the answer of ``preview`` has what a person should know
    :param if_match: auto, always or never
    :param deadline: in which a change has to read back; None: depends on the answer
    """

    connection: str
    fields: Mapping[str, tuple[str, ...]]
    read: Request
    apply: Request
    absent: tuple[int, ...] = ()
    remove: Request | None = None
    preview: Request | None = None
    notes: tuple[str, ...] | None = None
    status: Status | None = None
    if_match: str = "auto"
    deadline: timedelta | None = None

    @classmethod
    def parsed(cls, options: Mapping[str, Any]) -> Self:
        """Parse the options of a substrate; raises ConfigError without those that it needs."""
        needed = ("connection", "fields", "read", "apply")
        if missing := [key for key in needed if not options.get(key)]:
            raise ConfigError([f"http: options.{key} is missing" for key in missing])
        read, preview = options["read"], options.get("preview")
        seconds = options.get("deadline")
        return cls(
            connection=options["connection"],
            fields={name: parts_of(pointer) for name, pointer in options["fields"].items()},
            read=Request.parsed({"expect": [200], **read}, method="GET"),
            apply=Request.parsed(options["apply"], method="PATCH"),
            absent=tuple(read.get("absent", ())),
            remove=_maybe(options.get("remove"), method="DELETE"),
            preview=_maybe(preview, method="POST"),
            notes=parts_of(preview["notes"]) if preview and preview.get("notes") else None,
            status=Status.parsed(options["status"]) if options.get("status") else None,
            if_match=options.get("if_match", "auto"),
            deadline=timedelta(seconds=float(seconds)) if seconds else None,
        )


def _maybe(options: Mapping[str, Any] | None, *, method: str) -> Request | None:
    return Request.parsed(options, method=method) if options else None
