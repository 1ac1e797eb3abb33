"""A slip in the file or in the organization stops a rollout before any account is touched."""

from __future__ import annotations

import pytest

from tests.integration.metadpata import ANSWERS, EDITS, METADPATA, SLIPS
from tests.integration.world import NEW, World

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(2700),
    pytest.mark.scenario("slips"),
    pytest.mark.scenario("at_least"),
]
SCENARIOS = METADPATA
ENV = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2"}
SAID = {
    "fewer accounts than at_least": "(ou Production, at least 3) matches 2 active targets",
    "no account at all": "inventory organizations: knows no target at all",
    "a selector that matches nothing": "production: no target is in ou 'Production'",
    "an account twice in the answer": "changed while it was read",
    "an account that is named and selected": "named in playground and selected by production",
    "a named account is unknown": "does not know it",
    "a named account is suspended": "is SUSPENDED",
    "fewer accounts than last time": "1 targets of the last graduated plan have disappeared",
}


def test_the_accounts_that_an_organization_lists_are_rolled_out_to(world: World) -> None:
    seen = world.acted("slips")["none"]
    assert seen.state == "success"
    assert world.running(SLIPS) == dict.fromkeys(world.running(SLIPS), NEW)
    assert [account for account, _ in world.executed(*SLIPS.accounts())] == SLIPS.accounts()


@pytest.mark.parametrize("slip", [*ANSWERS, "fewer accounts than at_least"])
def test_an_answer_with_a_doubt_stops_the_plan_and_no_account_is_asked_anything(
    world: World, slip: str
) -> None:
    seen = world.acted("slips")[slip]
    assert seen.state == "failed"
    assert SAID[slip] in seen.said
    assert seen.calls == []


@pytest.mark.parametrize("slip", EDITS)
def test_a_slip_in_the_file_is_an_import_error_with_its_line_and_asks_nobody(
    world: World, slip: str
) -> None:
    seen = world.acted("slips")[slip]
    assert f"{world.config}:" in seen.said
    assert seen.calls == []


def test_an_edit_of_the_file_and_of_a_change_starts_nothing_and_touches_nothing(
    world: World,
) -> None:
    seen = world.acted("slips")["a good edit"]
    assert seen.said == "0 runs"
    assert seen.calls == []
