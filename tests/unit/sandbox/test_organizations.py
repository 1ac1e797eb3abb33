"""The sandbox as an AWS organization: pages, and who may read."""

from __future__ import annotations

import pytest

from sandbox.aws.organizations import ROOT, unit_id


@pytest.fixture
def organizations(aws):
    aws.organization(
        *({"id": f"{n:012d}", "name": f"a{n}", "ou": "A/B", "tags": {"n": str(n)}}
          for n in range(1, 26)),
        units=["A/C"],
        administrators=["400000000001"],
    )  # fmt: skip
    yield aws.management_client("organizations")
    aws.no_organization()


def test_a_page_has_20_accounts_at_most(organizations):
    page = organizations.list_accounts()
    rest = organizations.list_accounts(NextToken=page["NextToken"])
    assert (len(page["Accounts"]), len(rest["Accounts"])) == (20, 5)
    assert "NextToken" not in rest


def test_a_page_can_be_empty_although_others_follow(aws, organizations):
    aws.organization({"id": "000000000001", "name": "a"}, empty_pages=True)
    page = organizations.list_accounts()
    assert page["Accounts"] == []
    assert organizations.list_accounts(NextToken=page["NextToken"])["Accounts"][0]["Name"] == "a"


def test_units_and_accounts_are_those_directly_below(organizations):
    units = organizations.list_organizational_units_for_parent
    assert [u["Name"] for u in units(ParentId=ROOT)["OrganizationalUnits"]] == ["A"]
    assert [u["Name"] for u in units(ParentId=unit_id("A"))["OrganizationalUnits"]] == ["B", "C"]
    assert organizations.list_accounts_for_parent(ParentId=unit_id("A"))["Accounts"] == []


def test_what_is_not_there_is_refused(organizations, refused):
    code, _ = refused(organizations.list_accounts_for_parent, ParentId="ou-sand-99999999")
    assert code == "ParentNotFoundException"
    code, _ = refused(organizations.list_tags_for_resource, ResourceId="999999999998")
    assert code == "TargetNotFoundException"


def test_members_may_not_read_but_a_delegated_administrator_may(aws, organizations, refused):
    member = aws.client("organizations", "000000000001")
    assert refused(member.list_accounts)[0] == "AccessDeniedException"
    assert aws.client("organizations", "400000000001").list_roots()["Roots"][0]["Id"] == ROOT


def test_without_an_organization_there_is_nothing_to_read(aws, refused):
    client = aws.management_client("organizations")
    assert refused(client.list_roots)[0] == "AWSOrganizationsNotInUseException"
