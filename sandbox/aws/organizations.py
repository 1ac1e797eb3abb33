"""AWS Organizations: reads what the sandbox was told, as AWS documents it.

moto makes account ids up, pages by the second in which an account joined, answers members with an
empty list where AWS denies, and never gives an empty page in front of others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.errors import AwsError
from sandbox.aws.identity import MANAGEMENT_ACCOUNT, Caller
from sandbox.aws.paging import page
from sandbox.aws.wire import Reply, Request

ORGANIZATION, ROOT = "o-sandbox0000", "r-sand"
MOST = 20
"""AWS gives at most 20 items a page."""

Json = dict[str, Any]


def unit_id(path: str) -> str:
    """The id of the organizational unit at a path below the root; the root's for none."""
    return f"ou-sand-{hashlib.sha256(path.encode()).hexdigest()[:8]}" if path else ROOT


@dataclass(frozen=True, slots=True)
class Member:
    """An account; ``ou`` is a path such as ``Workloads/Prod``, empty for the root."""

    id: str
    name: str
    ou: str = ""
    state: str = "ACTIVE"
    tags: dict[str, str] = field(default_factory=dict)

    def described(self) -> Json:
        owner = f"{MANAGEMENT_ACCOUNT}:account/{ORGANIZATION}"
        return {
            "Id": self.id,
            "Arn": f"arn:aws:organizations::{owner}/{self.id}",
            "Email": f"{self.id}@example.com",
            "Name": self.name,
            "State": self.state,
            "JoinedMethod": "CREATED",
            "JoinedTimestamp": 1735689600.0,
        }


@dataclass(slots=True)
class Organizations:
    """The one organization, or none. With ``empty_pages`` every list begins with an empty page."""

    members: list[Member] | None = None
    units: list[str] = field(default_factory=list)
    administrators: frozenset[str] = frozenset()
    empty_pages: bool = False

    def become(self, body: Json | None) -> None:
        """Be what was told: ``accounts``, ``units`` besides theirs, ``administrators``."""
        given = body or {}
        self.members = None if body is None else [Member(**one) for one in given["accounts"]]
        paths = {member.ou for member in self.members or []} | set(given.get("units", []))
        parts = [path.split("/") for path in paths if path]
        self.units = sorted({"/".join(p[: n + 1]) for p in parts for n in range(len(p))})
        self.administrators = frozenset(given.get("administrators", []))
        self.empty_pages = bool(given.get("empty_pages"))

    def answer(self, request: Request, *, caller: Caller, size: int) -> Reply:
        """Answer a read; the sandbox's organization is not changed through AWS."""
        reads: dict[str, tuple[str, Callable[[Json], Sequence[Any]]]] = {
            "ListAccounts": ("Accounts", self._accounts),
            "ListAccountsForParent": ("Accounts", self._accounts_of),
            "ListOrganizationalUnitsForParent": ("OrganizationalUnits", self._units_of),
            "ListRoots": ("Roots", self._roots),
            "ListTagsForResource": ("Tags", self._tags),
        }
        if self.members is None:
            message = "Your account is not a member of an organization."
            raise AwsError("AWSOrganizationsNotInUseException", message)
        allowed = {MANAGEMENT_ACCOUNT, *self.administrators}
        if caller.account not in allowed or request.operation not in reads:
            message = "You don't have permissions to access this resource."
            raise AwsError("AccessDeniedException", message)
        key, read = reads[request.operation]
        return self._paged(key, read(request.params), request, size=size)

    def _paged(self, key: str, items: Sequence[Any], request: Request, *, size: int) -> Reply:
        token = request.params.get("NextToken")
        limit = min(size, MOST, int(request.params.get("MaxResults") or MOST))
        shown: list[Any] = []
        if self.empty_pages and token is None:
            following = page([0, *items], token=None, size=1)[1]
        elif self.empty_pages:
            shown, following = page([0, *items], token=token, size=limit)
        else:
            shown, following = page(items, token=token, size=limit)
        body = {key: shown, **({"NextToken": following} if following else {})}
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(body).encode()

    def _accounts(self, _params: Json) -> list[Json]:
        return [member.described() for member in self.members or []]

    def _accounts_of(self, params: Json) -> list[Json]:
        parent = self._path(params["ParentId"])
        return [member.described() for member in self.members or [] if member.ou == parent]

    def _units_of(self, params: Json) -> list[Json]:
        parent = self._path(params["ParentId"])
        return [
            {
                "Id": unit_id(path),
                "Arn": f"arn:aws:organizations::{MANAGEMENT_ACCOUNT}:ou/{ORGANIZATION}/"
                f"{unit_id(path)}",
                "Name": path.rpartition("/")[2],
            }
            for path in self.units
            if path.rpartition("/")[0] == parent
        ]

    def _roots(self, _params: Json) -> list[Json]:
        arn = f"arn:aws:organizations::{MANAGEMENT_ACCOUNT}:root/{ORGANIZATION}/{ROOT}"
        return [{"Id": ROOT, "Arn": arn, "Name": "Root", "PolicyTypes": []}]

    def _tags(self, params: Json) -> list[Json]:
        wanted = params["ResourceId"]
        found = next((m for m in self.members or [] if m.id == wanted), None)
        if found is None:
            message = "You specified a target that doesn't exist."
            raise AwsError("TargetNotFoundException", message)
        return [{"Key": key, "Value": value} for key, value in found.tags.items()]

    def _path(self, parent: str) -> str:
        for path in ("", *self.units):
            if unit_id(path) == parent:
                return path
        message = "You specified parent that doesn't exist."
        raise AwsError("ParentNotFoundException", message)
