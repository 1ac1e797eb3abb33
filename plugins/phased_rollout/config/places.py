"""Which place each target has: nothing is changed by two, not in its rollout nor in the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from phased_rollout.config import clusters, fleets, tenants
from phased_rollout.config.policies import Raw
from phased_rollout.config.problems import Path, in_words

_ROLE_ACCOUNT = re.compile(r"arn:[^:]*:iam::(\d{12}):")


@dataclass(frozen=True, slots=True)
class Seen:
    """Where a value was met first."""

    line: int
    path: Path


class Places:
    """The places of all targets of a file.

    :param add: notes a problem at a path
    :param line: of a path
    """

    def __init__(self, add: Callable[[str, Path], None], line: Callable[[Path], int]) -> None:
        self._add, self._line = add, line
        self._taken: dict[Any, Seen] = {}

    def take(self, target: Raw, path: Path, substrate: Raw, addresses: dict[Any, Seen]) -> None:
        """Claim a target's address in its definition, and its stack among all definitions."""
        if substrate.get("kind") == "kubernetes":
            self._cluster(target, path, substrate, addresses)
            return
        if substrate.get("kind") == "http":
            self._tenant(target, path, substrate, addresses)
            return
        if substrate.get("kind") == "ssm":
            if "region" not in target and "region" not in substrate:
                self._add("missing: set it here or in the substrate", (*path, "region"))
            self._claim(addresses, fleets.place_of(target, substrate), path, "this slice", 2)
            return
        if substrate.get("kind") != "cloudformation":
            self._claim(addresses, _address_of(target), path, "this target", 2)
            return
        account, region = target.get("account"), target.get("region", substrate.get("region"))
        if "region" not in target and "region" not in substrate:
            self._add("missing: set it here or in the substrate", (*path, "region"))
        if not isinstance(account, str) or not isinstance(region, str):
            return
        stacks = [stack for _, stack in mappings(substrate.get("stacks"))]
        roles = [substrate.get("role"), *(s.get("service_role") for s in (substrate, *stacks))]
        for role in roles:
            self._role(role, account, (*path, "account"))
        what = f"account {account} in {region}"
        if not self._claim(addresses, (account, region), path, what, 2):
            return
        for stack in [substrate.get("stack"), *(stack.get("name") for stack in stacks)]:
            if isinstance(stack, str):
                named = f"stack {stack} of {what}"
                self.claim((account, region, stack), path, named)

    def _cluster(self, target: Raw, path: Path, substrate: Raw, addresses: dict[Any, Seen]) -> None:
        """Claim a place in a cluster in its definition, and the record there among all."""
        for what, key in clusters.problems_of(target, substrate):
            self._add(what, (*path, *key))
        place, record = clusters.place_of(target, substrate), substrate.get("record")
        first = self._claim(addresses, place, path, "this cluster", 2)
        if first and place and isinstance(record, str):
            named = f"record {record} of this cluster"
            self.claim((*place, record), path, named)

    def _tenant(self, target: Raw, path: Path, substrate: Raw, addresses: dict[Any, Seen]) -> None:
        """Claim a tenant in its definition, and each field of it among all."""
        for what, key in tenants.problems_of(target, substrate):
            self._add(what, (*path, *key))
        places = tenants.places_of(target, substrate)
        first = self._claim(addresses, _address_of(target), path, "this tenant", 2)
        for field, place in places.items() if first else ():
            self.claim(place, path, f"{field} of this tenant")

    def _claim(
        self, seen: dict[Any, Seen], address: Any, path: Path, what: str, shared: int
    ) -> bool:
        """Say whether this is the first to claim; ``shared`` parts of the paths go unsaid."""
        if not address:
            return True
        first = seen.setdefault(address, Seen(self._line(path), path))
        if first.path == path:
            return True
        at = f"{in_words(first.path[shared:])}, line {first.line}"
        self._add(f"{what} is there already ({at}): remove one of the two", path)
        return False

    def _role(self, role: Any, account: str, path: Path) -> None:
        of = _ROLE_ACCOUNT.match(role) if isinstance(role, str) else None
        if of and of[1] != account:
            what = f"the substrate's role is one of account {of[1]}: write its name only"
            self._add(what, path)

    def claim(self, place: Any, path: Path, what: str) -> bool:
        """Say whether this is the first of the whole file to claim a place."""
        return self._claim(self._taken, place, path, what, 0)


def mappings(value: Any) -> Iterator[tuple[int, Raw]]:
    """Give the mappings of a list, each with its position."""
    for position, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield position, item


def _address_of(target: Raw) -> tuple[tuple[str, str], ...]:
    address = {key: value for key, value in target.items() if key not in ("name", "hold", "traits")}
    if not all(isinstance(value, str) for value in address.values()):
        return ()
    return tuple(sorted(address.items()))
