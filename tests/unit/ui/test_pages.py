"""The pages in a browser, over made-up records: what they show, and how the keyboard works."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import TargetState
from phased_rollout.records import RecordStore, RolloutRecords
from phased_rollout.ui.mount import PREFIX
from tests.browser.test_operator_desk import CHROMIUM
from tests.builders import a_channel, a_plan
from tests.unit.ui.conftest import add_dag, add_run

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH"),
]
RUN = "manual__1"
NASTY = "<script>alert(1)</script>"


@pytest.fixture
def records(database: Session, store: Path) -> RolloutRecords:
    """Begin a rollout over 30 targets, one of which has a nasty name."""
    channel = a_channel("test", targets=30)
    nasty = Target(NASTY, {"account": "<b>1</b>"})
    channel = replace(channel, targets=(*channel.targets[:-1], nasty))
    records = RecordStore.from_environment().rollout("accounts", RUN)
    plan = replace(a_plan(channel), change_name=NASTY)
    records.freeze(plan, Change(NASTY, {"template.yaml": "new"}, description=NASTY))
    now = datetime.now(UTC)
    records.add(Kind.PREVIEWED, at=now, differences=[NASTY], authorize=[NASTY])
    records.add(Kind.ENTERED, at=now, channel="test")
    add_dag(database, "accounts")
    add_run(database, "accounts", RUN)
    return records


def cell(page: sync_api.Page, name: str) -> sync_api.Locator:
    return page.get_by_role("button", name=name)


def test_what_is_named_like_a_script_is_text(page: sync_api.Page, records: RolloutRecords) -> None:
    records.hold(NASTY, at=datetime.now(UTC), channel="test")
    page.goto(f"{PREFIX}/dags/accounts/runs/{RUN}")
    expect(page.get_by_role("heading", level=1)).to_contain_text(NASTY)
    expect(page.get_by_role("status").first).to_contain_text(NASTY)
    cell(page, NASTY).click()
    expect(page.get_by_role("heading", name=f"· {NASTY}: waiting")).to_be_visible()
    expect(page.locator("#desk script, #desk b")).to_have_count(0)
    page.goto(f"{PREFIX}/overview")
    expect(page.get_by_role("link", name=NASTY)).to_be_visible()


def test_the_view_follows_the_records(page: sync_api.Page, records: RolloutRecords) -> None:
    page.goto(f"{PREFIX}/dags/accounts/runs/{RUN}")
    expect(cell(page, "test-1: waiting")).to_be_visible()
    given = {"channel": "test", "target": "test-1", "at": datetime.now(UTC)}
    records.capture(TargetState(None), **given)
    expect(cell(page, "test-1: applying")).to_be_visible(timeout=10_000)
    records.add(Kind.VERIFIED, digest="d", **given)
    expect(cell(page, "test-1: verified")).to_be_visible(timeout=10_000)
    expect(page.get_by_role("status").first).to_contain_text("1 of 30 targets are verified")


def test_cells_are_one_stop_of_the_keyboard_and_arrows_move_in_them(
    page: sync_api.Page, records: RolloutRecords
) -> None:
    page.goto(f"{PREFIX}/dags/accounts/runs/{RUN}")
    cell(page, "test-1: waiting").focus()
    page.keyboard.press("ArrowRight")
    expect(cell(page, "test-2: waiting")).to_be_focused()
    page.keyboard.press("End")
    expect(cell(page, NASTY)).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="test-1: waiting")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="test-1: waiting")).to_have_count(0)
    assert page.locator(".cell[tabindex='0']").count() == 1


def test_the_filter_finds_targets_by_name_account_and_state(
    page: sync_api.Page, records: RolloutRecords
) -> None:
    given = {"channel": "test", "target": "test-12", "at": datetime.now(UTC)}
    records.add(Kind.VERIFIED, digest="d", **given)
    page.goto(f"{PREFIX}/dags/accounts/runs/{RUN}")
    page.get_by_role("searchbox").fill("test-2")
    expect(page.get_by_text("11 of 30 targets")).to_be_visible()
    page.get_by_role("searchbox").fill("000000000007")
    expect(page.locator(".cell:visible")).to_have_count(1)
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="verified 1").click()
    expect(page.locator(".cell:visible")).to_have_count(1)
    expect(cell(page, "test-12: verified")).to_be_visible()


def test_a_run_that_is_no_rollout_says_so(page: sync_api.Page, records: RolloutRecords) -> None:
    page.goto(f"{PREFIX}/dags/accounts/runs/none")
    expect(page.get_by_text("This run is no rollout, or it is gone.")).to_be_visible()


@pytest.mark.parametrize(("state", "asked"), [("running", [200, 304]), ("failed", [200])])
def test_an_unchanged_view_costs_little_and_one_that_is_over_nothing(
    page: sync_api.Page, records: RolloutRecords, database: Session, state: str, asked: list[int]
) -> None:
    add_run(database, "accounts", "manual__2", state=state)
    answers: list[int] = []
    page.on("response", lambda r: "/api/" in r.url and answers.append(r.status))
    page.clock.install()
    page.goto(f"{PREFIX}/dags/accounts/runs/manual__2")
    expect(page.get_by_role("status").first).not_to_be_empty()
    page.clock.fast_forward(3500)
    page.wait_for_load_state("networkidle")
    assert answers == asked
