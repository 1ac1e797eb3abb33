"""The accounts of an AWS organization: their state, their organizational units, their tags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phased_rollout.aws import Access, AccountHook, account
from phased_rollout.errors import UnreachableError
from phased_rollout.model.found import Found

_LONGEST_SLUG = 80
_AWAY = re.compile(r"[^a-z0-9]+")


class Organizations:
    """Asks the management account, or a delegated administrator.

    :param options: ``connection``, ``account``, ``region``, ``tags`` (whether they are read), and
        optionally ``role``, ``external_id``
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._access = Access.of(options, {"account": str(options.get("account") or "")})

    def list(self) -> Sequence[Found]:
        """Give every account, suspended ones too; named after the account, with its id."""
        hook = account(self._access)
        hook.check_account()
        accounts = list(_pages(hook, "list_accounts", "Accounts"))
        members = list(_members(hook))
        units = dict(members)
        if {one["Id"] for one in accounts} != units.keys() or len(units) < len(members):
            raise UnreachableError(
                f"{self._access}: the organization was changed while it was read: its list of "
                "accounts and what its organizational units hold differ. Try again"
            )
        return [self._found(hook, one, units[one["Id"]]) for one in accounts]

    def _found(self, hook: AccountHook, one: Mapping[str, Any], ou: tuple[str, ...]) -> Found:
        tags = _tags(hook, one["Id"]) if self._options.get("tags") else {}
        # Status is the older name; AWS retires it in September 2026.
        state = str(one.get("State") or one.get("Status") or "of unknown state")
        return Found(_name(one), {"account": one["Id"]}, state=state, labels=tags, ou=ou)


def _name(one: Mapping[str, Any]) -> str:
    slug = _AWAY.sub("-", str(one.get("Name") or "").lower())[:_LONGEST_SLUG].strip("-")
    return f"{slug}-{one['Id']}" if slug else str(one["Id"])


def _tags(hook: AccountHook, account_id: str) -> dict[str, str]:
    found = _pages(hook, "list_tags_for_resource", "Tags", ResourceId=account_id)
    return {tag["Key"]: tag["Value"] for tag in found}


def _members(hook: AccountHook) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give each account with the units above it: their ids, and their paths from the root.

    A unit whose name holds a '/' has no path, nor have those below it, for it could be mistaken for
    another's: they are named by id only.
    """
    roots = _pages(hook, "list_roots", "Roots")
    todo: list[tuple[str, str | None, tuple[str, ...]]] = [(r["Id"], "", (r["Id"],)) for r in roots]
    while todo:
        parent, path, above = todo.pop()
        for one in _pages(hook, "list_accounts_for_parent", "Accounts", ParentId=parent):
            yield one["Id"], above
        units = _pages(
            hook, "list_organizational_units_for_parent", "OrganizationalUnits", ParentId=parent
        )
        for unit in units:
            name = unit["Name"]
            known = path is not None and "/" not in name
            below = f"{path}/{name}".lstrip("/") if known else None
            ids = (*above, unit["Id"], *([below] if below else []))
            todo.append((unit["Id"], below, ids))


def _pages(hook: AccountHook, operation: str, key: str, **given: Any) -> Iterator[Any]:
    """Give the items of all pages; a page may be empty although others follow."""
    return hook.pages(operation, key, service="organizations", **given)
