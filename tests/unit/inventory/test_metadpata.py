"""A slip in the file or the organization stops the plan before any account is touched.

Named after the outage of 2022: a stray letter in a key made a required list of accounts vanish, and
the tool took "no accounts" for "all accounts are to be decommissioned".
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout import config
from phased_rollout.dag_factory import build_dag
from phased_rollout.errors import ConfigError, RecordError, UnreachableError
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Plan
from phased_rollout.rollout import Rollout
from sandbox.aws.client import SandboxAws

MANAGEMENT = "999999999999"
FILE = """\
version: 1
defaults: {soak: 1m, gate: timer}
rollouts:
  accounts:
    change: change
    substrate: {kind: cloudformation, connection: aws, role: r, stack: s, region: eu-central-1}
    inventory: {kind: organizations, account: "999999999999"}
    channels:
      - name: test
        targets: [{name: test-1, account: "000000000001"}]
      - name: production
        select: {ou: [Prod], at_least: 2}
"""
TEST, PROD_2, PROD_3 = [
    {"id": f"{n:012d}", "name": "Team", "ou": ou}
    for n, ou in ((1, "Test"), (2, "Prod"), (3, "Prod"))
]
FINISHED = "manual__graduated"

Make = Callable[..., Plan]


@pytest.fixture
def make(aws: SandboxAws, store: Path) -> Make:
    """Make the plan of a run by the real task, against the embedded AWS."""
    (store / "change").mkdir()
    (store / "change" / "template.yaml").write_text("Resources: {A: {Type: B}}")

    def plan(old: str = "", new: str = "", *, run: str = "manual__now") -> Plan:
        assert old in FILE
        (store / "channels.yaml").write_text(FILE.replace(old, new, 1))
        definition = config.load(store / "channels.yaml").definitions["accounts"]
        dag = build_dag(definition, base=str(store))
        dag_run = SimpleNamespace(run_id=run, conf={}, triggering_user_name="ann")
        params = {name: param.value for name, param in dag.params.items()}
        dag.get_task("plan").execute({"dag_run": dag_run, "run_id": run, "params": params})  # type: ignore[union-attr]
        return Rollout.open("accounts", run).plan

    aws.organization(TEST, PROD_2, PROD_3)
    return plan


def graduated(make: Make) -> None:
    """Let an earlier rollout have gone all the way."""
    make(run=FINISHED)
    Rollout.open("accounts", FINISHED).records.add(Kind.FINISHED, at=datetime.now(UTC))


def test_the_plan_has_what_was_found_and_says_where_it_comes_from(make: Make) -> None:
    plan = make()
    assert {c.name: [t.name for t in c.targets] for c in plan.channels} == {
        "test": ["test-1"],
        "production": ["team-000000000002", "team-000000000003"],
    }
    region = {"region": "eu-central-1"}
    assert plan.channels[1].targets[0].address == {"account": "000000000002", **region}
    assert plan.origin is not None
    assert (plan.origin.inventory, plan.origin.found) == ("organizations", 3)
    answer = Rollout.open("accounts", "manual__now").records.store.get(plan.origin.answer)
    assert [one["name"] for one in answer["found"]] == [f"team-{n:012d}" for n in (1, 2, 3)]


def test_the_plan_stays_as_it_was_found(make: Make, aws: SandboxAws) -> None:
    plan = make()
    aws.organization(TEST, PROD_2, PROD_3, {**PROD_3, "id": "000000000004"})
    assert make() == plan
    assert len(make(run="manual__next").channels[1].targets) == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("targets: [{name: test-1", "tragets: [{name: test-1"),
        ('        targets: [{name: test-1, account: "000000000001"}]\n', ""),
        ('targets: [{name: test-1, account: "000000000001"}]', "targets:"),
        ('targets: [{name: test-1, account: "000000000001"}]', "targets: []"),
        ('targets: [{name: test-1, account: "000000000001"}]', "targets: {}"),
        ("select: {ou: [Prod], at_least: 2}", "slect: {ou: [Prod], at_least: 2}"),
        ("        select: {ou: [Prod], at_least: 2}\n", ""),
        ("select: {ou: [Prod], at_least: 2}", "select:"),
        ("select: {ou: [Prod], at_least: 2}", "select: []"),
        ("select: {ou: [Prod], at_least: 2}", "select: {}"),
        ("ou: [Prod]", "uo: [Prod]"),
        ("ou: [Prod], ", ""),
        ("ou: [Prod]", "ou:"),
        ("ou: [Prod]", "ou: []"),
        ("ou: [Prod]", "labels: {}"),
        ("    inventory: {", "    inventroy: {"),
        ("channels:", "chanels:"),
    ],
)
def test_a_slip_in_the_file_is_an_import_error_and_asks_nobody(
    make: Make, aws: SandboxAws, old: str, new: str
) -> None:
    with pytest.raises(ConfigError):
        make(old, new)
    assert aws.calls() == []


SUSPENDED = {"state": "SUSPENDED"}
ACCOUNTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no account at all": ([], "inventory organizations: knows no target at all"),
    "a selector that matches nothing": ([TEST], "production: no target is in ou 'Prod'"),
    "fewer accounts than at_least": ([TEST, PROD_2], "matches 1 active targets of the 2"),
    "a named account is unknown": ([PROD_2, PROD_3], "does not know it"),
    "a named account is suspended": ([{**TEST, **SUSPENDED}, PROD_2, PROD_3], "is SUSPENDED"),
    "a named account is being closed": (
        [{**TEST, "state": "PENDING_CLOSURE"}, PROD_2, PROD_3], "is PENDING_CLOSURE",
    ),
    "a selected account is suspended": (
        [TEST, PROD_2, {**PROD_3, **SUSPENDED}], "matches 1 active targets of the 3",
    ),
    "an account twice in the answer": (
        [TEST, PROD_2, PROD_3, {**PROD_3, "name": "Twin"}], "changed while it was read",
    ),
    "an account named and selected": (
        [{**TEST, "ou": "Prod"}, PROD_2, PROD_3], "named in test and selected by production",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("accounts", "why"), ACCOUNTS.values(), ids=ACCOUNTS)
def test_an_answer_with_a_doubt_stops_the_plan_and_touches_no_account(
    make: Make, aws: SandboxAws, accounts: list[dict[str, Any]], why: str
) -> None:
    aws.organization(*accounts)
    with pytest.raises((AirflowFailException, UnreachableError)) as stopped:
        make()
    assert why in str(stopped.value)
    untouched(aws)


def test_an_account_that_two_channels_select_stops_the_plan(make: Make, aws: SandboxAws) -> None:
    written = "select: {ou: [Prod, Test]}"
    with pytest.raises(AirflowFailException, match="selected by test and selected by production"):
        make('targets: [{name: test-1, account: "000000000001"}]', written)
    untouched(aws)


def test_an_expired_hold_of_a_selected_account_stops_the_plan(make: Make, aws: SandboxAws) -> None:
    hold = 'hold: {team-000000000003: {reason: slow, until: "2020-01-31"}}'
    with pytest.raises(AirflowFailException, match="team-000000000003 until 2020-01-31: slow"):
        make("at_least: 2", hold)
    untouched(aws)
    assert [t.name for t in make("at_least: 2", hold.replace("2020", "2999")).channels[1].on_hold]


def test_fewer_accounts_than_last_time_stop_the_plan(make: Make, aws: SandboxAws) -> None:
    graduated(make)
    aws.organization(TEST, PROD_2)
    with pytest.raises(AirflowFailException) as stopped:
        make(", at_least: 2", "")
    assert str(stopped.value) == (
        "nothing was touched:\n"
        "1 targets of the last graduated plan have disappeared: team-000000000003: bring them "
        "back, or name each under retired: if it is meant to be gone"
    )
    untouched(aws)
    retired = make("select: {ou: [Prod], at_least: 2}", "select: {ou: [Prod]}\n" + RETIRED)
    assert retired.origin is not None
    assert retired.origin.compared_with == FINISHED
    assert retired.origin.notes == ("retired since then: team-000000000003",)


RETIRED = "    retired: [team-000000000003]"


def test_a_rollout_that_never_graduated_is_nothing_to_compare_with(
    make: Make, aws: SandboxAws
) -> None:
    graduated(make)
    aws.organization(TEST, PROD_2, PROD_3, {**PROD_3, "id": "000000000004"})
    make(run="manual__failed")
    aws.organization(TEST, PROD_2, PROD_3)
    plan = make()
    assert plan.origin is not None
    assert (plan.origin.compared_with, plan.origin.authorize) == (FINISHED, ())


def test_an_account_that_moved_to_another_channel_needs_an_authorization(
    make: Make, aws: SandboxAws
) -> None:
    graduated(make)
    aws.organization(TEST, {**PROD_2, "ou": "Test"}, PROD_3)
    written = "select: {ou: [Test]}"
    named = 'targets: [{name: test-1, account: "000000000001"}]'
    plan = make(f"{named}\n      - name: production\n        select: {{ou: [Prod], at_least: 2}}",
                f"{written}\n      - name: production\n        select: {{ou: [Prod]}}")  # fmt: skip
    assert plan.origin is not None
    assert plan.origin.authorize == (
        "1 targets moved from production to test: team-000000000002",
        "1 targets were renamed: test-1 is team-000000000001 now",
    )


def test_a_task_that_runs_again_is_not_compared_with_its_own_plan(
    make: Make, aws: SandboxAws
) -> None:
    graduated(make)
    aws.organization(TEST, PROD_2)
    assert len(make(", at_least: 2", "", run=FINISHED).channels[1].targets) == 2


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("{account: '12'}", "has account: 12 is no account id: write its 12 digits in quotes"),
        ("{acount: '000000000003'}", "has address.account: missing"),
    ],
)
def test_what_could_not_stand_in_the_file_is_not_found_either(
    make: Make, aws: SandboxAws, store: Path, address: str, why: str
) -> None:
    one = "{name: test-1, address: {account: '000000000001'}, ou: [Test]}"
    registry = f"targets: [{one}, {{name: prod-1, address: {address}, ou: [Prod]}}]"
    (store / "all.yaml").write_text(registry)
    written = "kind: file, path: all.yaml}\n    tags: [a"
    with pytest.raises(AirflowFailException) as stopped:
        make('kind: organizations, account: "999999999999"}', f"{written}]")
    assert f"the inventory's target 'prod-1' {why}" in str(stopped.value)
    untouched(aws)


def test_an_answer_that_no_retry_can_mend_fails_at_once(make: Make, aws: SandboxAws) -> None:
    aws.no_organization()
    with pytest.raises(AirflowFailException, match="not a member of an organization"):
        make()
    untouched(aws)


def test_an_organization_that_does_not_answer_is_asked_again(make: Make, aws: SandboxAws) -> None:
    aws.fault("denied", service="organizations", count=None)
    with pytest.raises(UnreachableError, match="no permission to look"):
        make()
    untouched(aws)


def untouched(aws: SandboxAws) -> None:
    """No account was asked but the organization's own, and nothing was planned."""
    assert {(c["service"], c["account"]) for c in aws.calls()} <= {
        ("sts", MANAGEMENT),
        ("organizations", MANAGEMENT),
    }
    with pytest.raises(RecordError):
        _ = Rollout.open("accounts", "manual__now").plan
