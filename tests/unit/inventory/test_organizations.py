"""The accounts of an organization, over HTTP against the embedded AWS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from phased_rollout import inventory
from phased_rollout.errors import ConfigError, RefusedError, UnreachableError
from phased_rollout.model.definition import AdapterSpec
from phased_rollout.model.found import Found
from sandbox.aws.client import SandboxAws
from sandbox.aws.organizations import ROOT, unit_id

MANAGEMENT, READER = "999999999999", "300000000001"
OPTIONS = {"connection": "aws", "account": MANAGEMENT, "region": "eu-central-1", "tags": False}


def listed(**options: Any) -> Sequence[Found]:
    return inventory.build(AdapterSpec("organizations", {**OPTIONS, **options})).list()


def many(count: int, **kwargs: Any) -> list[dict[str, Any]]:
    return [{"id": f"{n:012d}", "name": f"Team {n}", **kwargs} for n in range(1, count + 1)]


def test_every_account_is_found_with_its_units_and_its_state(aws: SandboxAws) -> None:
    aws.organization(
        {"id": MANAGEMENT, "name": "Management"},
        {"id": "000000000001", "name": "Shop (EU)", "ou": "Workloads/Prod"},
        {"id": "000000000002", "name": "日本", "ou": "Workloads", "state": "SUSPENDED"},
    )
    workloads = (ROOT, unit_id("Workloads"), "Workloads")
    assert listed() == [
        Found(f"management-{MANAGEMENT}", {"account": MANAGEMENT}, ou=(ROOT,)),
        Found(
            "shop-eu-000000000001",
            {"account": "000000000001"},
            ou=(*workloads, unit_id("Workloads/Prod"), "Workloads/Prod"),
        ),
        Found("000000000002", {"account": "000000000002"}, "SUSPENDED", ou=workloads),
    ]


def test_nothing_but_the_organization_is_asked(aws: SandboxAws) -> None:
    aws.organization(*many(3, ou="Prod"))
    listed(tags=True)
    asked = {(call["service"], call["account"]) for call in aws.calls()}
    assert asked == {("sts", MANAGEMENT), ("organizations", MANAGEMENT)}


@pytest.mark.parametrize("empty_pages", [False, True])
def test_pages_are_read_to_the_end_even_behind_an_empty_one(
    *, aws: SandboxAws, empty_pages: bool
) -> None:
    aws.organization(*many(45, ou="A/B"), units=["A/C"], empty_pages=empty_pages)
    found = listed()
    assert len(found) == 45
    assert all("A/B" in one.ou for one in found)


def test_tags_are_read_when_a_selector_needs_them(aws: SandboxAws) -> None:
    tags = {f"key-{n}": str(n) for n in range(25)}
    aws.organization(*many(2, tags=tags), empty_pages=True)
    assert [one.labels for one in listed(tags=True)] == [tags, tags]
    assert [one.labels for one in listed()] == [{}, {}]


def test_an_account_that_is_in_two_units_at_once_is_asked_for_again(aws: SandboxAws) -> None:
    one = {"id": "000000000001", "name": "Team 1", "ou": "A"}
    aws.organization(one, {**one, "ou": "B"})
    with pytest.raises(UnreachableError, match="changed while it was read"):
        listed()


def test_no_account_at_all_is_given_as_it_is(aws: SandboxAws) -> None:
    aws.organization()
    assert listed() == []


def test_an_account_that_moves_while_it_is_read_is_no_shorter_list(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.organization(*many(2, ou="A"))
    from phased_rollout.inventory import organizations  # noqa: PLC0415 to be changed

    real = organizations._pages

    def pages(hook: Any, operation: str, key: str, **given: Any) -> Any:
        for item in real(hook, operation, key, **given):
            if operation != "list_accounts_for_parent" or item["Id"] != "000000000002":
                yield item

    monkeypatch.setattr(organizations, "_pages", pages)
    with pytest.raises(UnreachableError, match="changed while it was read"):
        listed()


def test_a_unit_with_a_slash_in_its_name_has_no_path_that_could_be_mistaken() -> None:
    from phased_rollout.inventory.organizations import _members  # noqa: PLC0415

    class Hook:
        def pages(self, operation: str, key: str, **given: Any) -> list[dict[str, str]]:
            tree: dict[str, dict[str, list[dict[str, str]]]] = {
                "list_roots": {"": [{"Id": "r"}]},
                "list_organizational_units_for_parent": {
                    "r": [{"Id": "ou-1", "Name": "A/B"}],
                    "ou-1": [{"Id": "ou-2", "Name": "C"}],
                },
                "list_accounts_for_parent": {"ou-2": [{"Id": "1"}]},
            }
            return tree[operation].get(given.get("ParentId", ""), [])

    assert list(_members(Hook())) == [("1", ("r", "ou-1", "ou-2"))]  # type: ignore[arg-type]


def test_a_delegated_administrator_may_be_asked_with_a_role(aws: SandboxAws) -> None:
    aws.organization(*many(1), administrators=[READER])
    assert len(listed(account=READER, role="reader")) == 1
    assert aws.calls(operation="ListAccounts")[0]["caller"].startswith(
        f"arn:aws:sts::{READER}:assumed-role/reader/"
    )


@pytest.mark.parametrize("kind", ["throttle", "error_503"])
def test_an_organization_that_does_not_answer_is_no_empty_one(aws: SandboxAws, kind: str) -> None:
    aws.organization(*many(1))
    aws.fault(kind, service="organizations", operation="ListAccountsForParent", count=None)
    with pytest.raises(UnreachableError):
        listed()


def test_who_may_not_look_learns_that_and_gets_no_empty_list(aws: SandboxAws) -> None:
    aws.organization(*many(1))
    with pytest.raises(UnreachableError, match="no permission to look"):
        listed(account=READER, role="reader")


def test_the_credentials_of_another_account_ask_nothing(aws: SandboxAws) -> None:
    aws.organization(*many(1))
    with pytest.raises(UnreachableError, match="nothing was done, the credentials belong to"):
        listed(account=READER)
    assert aws.calls(service="organizations") == []


def test_an_account_without_an_organization_is_refused(aws: SandboxAws) -> None:
    with pytest.raises(RefusedError, match="not a member of an organization"):
        listed()


def test_what_is_missing_in_its_options_is_said() -> None:
    with pytest.raises(ConfigError, match="account: give the account's 12 digits"):
        listed(account=None)
