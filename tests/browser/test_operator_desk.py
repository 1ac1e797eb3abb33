"""What an operator sees: the form that starts a rollout, its grid, and the question to a person."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.aws.client import SandboxAws
from sandbox.stack import Stack, wait_until
from sandbox.stack.demo import await_dag, seed_sandbox

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=f"no Chromium on PATH: none of {', '.join(NAMES)}"),
]

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DAG = "aws_accounts"
CHANNELS = ["playground", "test", "infra", "production"]
WORDS = ["enter", "apply", "soak", "health", "gate"]
SECOND = 1000.0
PATIENCE, ROLLOUT = 30 * SECOND, 300 * SECOND
"""Milliseconds, as Playwright counts: for a page on a busy machine, and for a whole rollout."""
PICTURES = os.environ.get("SCREENSHOTS")
"""The folder in which to keep pictures: docs/images to make those of the documentation anew."""
NASTY = "CVE-1 <b>bold</b> **strong** {{ 1 + 1 }} ``` [link](http://example.invalid)"


@pytest.fixture(scope="module")
def stack(stack_folder: Path) -> Iterator[Stack]:
    """Start the system as `make up` does, without the nightly run."""
    env = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
    with Stack(stack_folder / "state", env=env) as stack:
        seed_sandbox(stack)
        await_dag(stack.client("viewer"), DAG)
        yield stack


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


class Desk:
    """Airflow in a browser, as one user."""

    def __init__(self, page: sync_api.Page, url: str) -> None:
        self.page = page
        self.url = url

    def log_in(self, user: str, password: str) -> None:
        self.page.goto(f"{self.url}/auth/login")
        self.page.get_by_label(re.compile("user", re.IGNORECASE)).first.fill(user)
        self.page.locator("input[type=password]").fill(password)
        self.page.get_by_role("button", name=re.compile("sign in", re.IGNORECASE)).click()
        expect(self.page.get_by_test_id("nav-sidebar")).to_be_visible()

    def open_form(self) -> sync_api.Locator:
        self.page.goto(f"{self.url}/dags/{DAG}")
        self.page.get_by_test_id("trigger-dag-button").click()
        form = self.page.get_by_role("dialog")
        expect(form.get_by_role("button", name=re.compile("What to roll out"))).to_be_visible()
        return form

    def open_section(self, form: sync_api.Locator, name: str, *, field: str) -> None:
        form.get_by_role("button", name=re.compile(name)).click()
        expect(form.locator(f"#element_{field}")).to_be_visible()

    def choose(self, field: str, option: str) -> None:
        self.page.locator(f"#element_{field}").click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def trigger(self, form: sync_api.Locator) -> str:
        """Send the form and return the id of the run whose page opens."""
        form.get_by_role("button", name="Trigger", exact=True).click()
        self.page.wait_for_url(re.compile(rf"/dags/{DAG}/runs/"))
        run: str = self.page.url.rpartition("/runs/")[2].partition("/")[0].partition("?")[0]
        return run

    def state(self) -> sync_api.Locator:
        """Give the badge beside the title of the run that is open."""
        return self.page.get_by_test_id("main-content").get_by_test_id("state-badge").first

    def rows(self) -> list[str]:
        """Expand the grid and give its rows as they read, from the top."""
        self.page.get_by_test_id("expand-all-button").click()
        expect(self.page.get_by_test_id("rollback.verdict")).to_be_visible()
        links = self.page.locator(f"a[data-testid][href^='/dags/{DAG}/tasks/']")
        return [text.strip() for text in links.all_inner_texts()]

    def open_tab(self, run: str) -> sync_api.FrameLocator:
        """Open the tab "Rollout" as a user does and give what is in it."""
        self.page.goto(f"{self.url}/dags/{DAG}/runs/{run}")
        self.page.get_by_role("link", name="Rollout", exact=True).click()
        return self.page.frame_locator("iframe[title=Rollout]")

    def keep_picture(self, name: str, folder: Path) -> None:
        self.page.screenshot(path=Path(PICTURES or folder) / f"{name}.png")


@contextmanager
def sitting(browser: sync_api.Browser, stack: Stack, user: str) -> Iterator[Desk]:
    context = browser.new_context(viewport={"width": 1400, "height": 1100}, locale="en-GB")
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    try:
        desk = Desk(context.new_page(), stack.url)
        desk.log_in(user, stack.passwords[user])
        yield desk
    finally:
        context.close()


@pytest.fixture
def operator(browser: sync_api.Browser, stack: Stack) -> Iterator[Desk]:
    with sitting(browser, stack, "operator") as desk:
        yield desk


@pytest.fixture
def approver(browser: sync_api.Browser, stack: Stack) -> Iterator[Desk]:
    with sitting(browser, stack, "approver") as desk:
        yield desk


def answerable(stack: Stack, run: str) -> bool:
    """Whether the question was asked, and long enough ago.

    Airflow 3.3.2 fails a task that is answered within a moment of asking.
    """
    task = stack.client("operator").task_instance(DAG, run, "authorize")
    asked = task["state"] == "awaiting_input" and datetime.fromisoformat(task["start_date"])
    return bool(asked and datetime.now(UTC) - asked > timedelta(seconds=5))


def started(stack: Stack, conf: dict[str, object]) -> str:
    """Trigger a run as the form does, which unpauses the Dag; gives its id."""
    client = stack.client("operator")
    client.unpause(DAG)
    return str(client.trigger(DAG, conf=conf)["dag_run_id"])


def test_the_form_can_be_sent_as_it_is_and_offers_no_backfill(operator: Desk) -> None:
    form = operator.open_form()
    expect(form.get_by_role("button", name="Trigger", exact=True)).to_be_enabled()
    expect(form.get_by_role("radio", name=re.compile("Backfill"))).to_be_disabled()


def test_the_form_offers_the_changes_and_the_channels(operator: Desk) -> None:
    form = operator.open_form()
    operator.open_section(form, "What to roll out", field="change")
    offered = form.locator("#list_change option").evaluate_all("all => all.map(o => o.value)")
    assert "changes/longer-retention" in offered
    operator.open_section(form, "Bypass", field="bypass_channels")
    operator.page.locator("#element_bypass_channels").click()
    assert operator.page.get_by_role("option").all_inner_texts() == CHANNELS


def test_broken_parameters_start_no_run(operator: Desk, stack: Stack) -> None:
    before = len(stack.client("operator").runs(DAG))
    form = operator.open_form()
    operator.open_section(form, "What to roll out", field="parameters")
    form.locator("#element_parameters").fill('{"LogRetentionDays": 9}0')
    form.get_by_role("button", name="Trigger", exact=True).click()
    expect(form.get_by_text("Invalid input for param parameters").first).to_be_visible()
    assert len(stack.client("operator").runs(DAG)) == before


def test_a_rollout_started_in_the_form_turns_the_grid_green(operator: Desk, stack: Stack) -> None:
    form = operator.open_form()
    operator.open_section(form, "What to roll out", field="change")
    form.locator("#element_change").fill("changes/longer-retention")
    form.locator("#element_parameters").fill('{"LogRetentionDays": 90}')
    run = operator.trigger(form)

    of_channels = [row for channel in CHANNELS for row in (channel, *WORDS)]
    restores = [row for channel in reversed(CHANNELS) for row in (channel, f"after_{channel}")]
    rows = [re.sub(r"\W+$", "", row) for row in operator.rows()]
    start = ["plan", "preview", "authorize", *of_channels, "outcome", "rollback"]
    assert rows[: len(start)] == start
    assert sorted(rows[len(start) :][:3]) == ["armed", "settled", "trip"]
    assert rows[len(start) + 3 :] == [*restores, "verdict"]

    expect(operator.state()).to_have_text("Success", timeout=ROLLOUT)
    expect(operator.page.get_by_test_id(f"grid-{run}-outcome")).to_be_visible()
    operator.page.goto(f"{operator.url}/dags/{DAG}/runs/{run}/tasks/production.apply/mapped")
    for target in ("production-1", "production-2", "production-3"):
        expect(operator.page.get_by_role("link", name=target, exact=True)).to_be_visible()
    ended = stack.client("operator").run(DAG, run)
    assert (ended["state"], ended["conf"]["parameters"]) == ("success", {"LogRetentionDays": 90})


def test_a_bypass_is_put_to_a_person_word_for_word(
    operator: Desk, approver: Desk, stack: Stack
) -> None:
    form = operator.open_form()
    operator.open_section(form, "Bypass", field="bypass")
    operator.choose("bypass", "Skip channels")
    operator.choose("bypass_channels", "infra")
    form.locator("#element_bypass_reason").fill(NASTY)
    operator.open_section(form, "What to roll out", field="change")
    form.locator("#element_change").fill("changes/initial")
    run = operator.trigger(form)

    assert wait_until(lambda: answerable(stack, run), timeout=ROLLOUT / SECOND, interval=0.5)
    page = approver.page
    page.goto(f"{approver.url}/dags/{DAG}/runs/{run}/tasks/authorize/required_actions")
    approve = page.get_by_role("button", name="Approve", exact=True)
    expect(approve).to_be_enabled()
    asked = page.get_by_test_id("main-content")
    expect(asked.get_by_text(NASTY).first).to_be_visible()
    expect(asked.get_by_text("requested by operator")).to_be_visible()
    expect(asked.get_by_role("link", name="link", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Reject", exact=True).click()

    expect(operator.state()).to_have_text("Failed", timeout=ROLLOUT)
    assert stack.client("operator").run(DAG, run)["state"] == "failed"


def test_a_second_user_lets_a_destructive_change_on_which_fails_when_it_runs(
    operator: Desk, approver: Desk, stack: Stack
) -> None:
    run = started(stack, {"change": "changes/metadpata"})
    tab = operator.open_tab(run)
    where = tab.get_by_role("status").first
    expect(where).to_contain_text("authoriz", ignore_case=True, timeout=ROLLOUT)
    assert wait_until(lambda: answerable(stack, run), timeout=ROLLOUT / SECOND, interval=0.5)
    page = approver.page
    page.goto(f"{approver.url}/dags/{DAG}/runs/{run}/tasks/authorize/required_actions")
    expect(page.get_by_text("requested by operator, who may not authorize it")).to_be_visible()
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(where).to_contain_text("Failed, and rolled back", timeout=ROLLOUT)
    expect(tab.get_by_role("button", name="playground-1: restored")).to_be_visible()
    expect(tab.get_by_role("button", name="test-1: untouched")).to_be_visible()


def test_the_tab_follows_a_rollout_through_all_channels(
    operator: Desk, stack: Stack, tmp_path: Path
) -> None:
    complaints: list[str] = []
    operator.page.on("console", lambda m: m.type == "error" and complaints.append(m.text))
    conf = {"change": "changes/longer-retention", "parameters": {"LogRetentionDays": 30}}
    run = started(stack, conf)
    tab = operator.open_tab(run)
    where = tab.get_by_role("status").first
    expect(where).to_contain_text("Soaks in infra", timeout=ROLLOUT)
    expect(tab.get_by_role("button", name="test-1: healthy")).to_be_visible()
    expect(tab.get_by_role("button", name="infra-1: soaking")).to_be_visible()
    expect(tab.get_by_role("button", name="production-1: waiting")).to_be_visible()
    operator.keep_picture("rollout-tab", tmp_path)
    expect(where).to_contain_text("Graduated from every channel", timeout=ROLLOUT)
    expect(tab.get_by_role("button", name="production-3: healthy")).to_be_visible()
    assert complaints == []


def test_the_tab_shows_what_failed_and_what_was_restored(
    operator: Desk, stack: Stack, tmp_path: Path
) -> None:
    run = started(stack, {"change": "changes/audit-queue"})
    tab = operator.open_tab(run)
    where = tab.get_by_role("status").first
    expect(where).to_contain_text("Failed, and rolled back", timeout=ROLLOUT)
    culprit = tab.get_by_role("button", name=re.compile("^test-.: restored, after it failed"))
    expect(culprit).to_have_count(1)
    expect(tab.get_by_role("button", name="playground-1: restored")).to_be_visible()
    culprit.focus()
    operator.page.keyboard.press("Enter")
    expect(tab.get_by_text("refused: ")).to_be_visible()
    operator.keep_picture("rollout-tab-rolled-back", tmp_path)
    tab.get_by_role("link", name="test.apply", exact=True).first.click()
    operator.page.wait_for_url(re.compile(rf"/dags/{DAG}/runs/.*/tasks/test.apply"))


def test_the_overview_names_every_definition_and_leads_to_its_newest_run(
    operator: Desk, stack: Stack, tmp_path: Path
) -> None:
    operator.page.get_by_role("link", name="Rollouts", exact=True).click()
    all_of_them = operator.page.frame_locator("iframe[title=Rollouts]")
    expect(all_of_them.get_by_role("row", name=re.compile(DAG))).to_be_visible()
    operator.page.emulate_media(color_scheme="dark")
    expect(all_of_them.locator("html")).to_have_attribute("data-theme", "dark")
    operator.keep_picture("overview", tmp_path)
    newest = stack.client("operator").runs(DAG)[-1]["dag_run_id"]
    all_of_them.get_by_role("row", name=re.compile(DAG)).get_by_role("link").nth(1).click()
    operator.page.wait_for_url(re.compile("/plugin/rollout"))
    assert newest in operator.page.url.replace("%3A", ":").replace("%2B", "+")


def _cleared(response: Any) -> bool:
    """Say whether Airflow answers the clear itself, not the question what it would clear."""
    if not response.url.endswith("/clearTaskInstances"):
        return False
    return response.request.post_data_json["dry_run"] is False


def test_an_operator_mends_the_cause_clears_the_first_channel_and_sees_it_finish(
    operator: Desk, stack: Stack
) -> None:
    run = started(stack, {"change": "changes/audit-queue"})
    tab = operator.open_tab(run)
    where = tab.get_by_role("status").first
    expect(where).to_contain_text("Failed, and rolled back", timeout=ROLLOUT)
    expect(tab.get_by_text("clear playground.enter with downstream").first).to_be_visible()
    SandboxAws(stack.aws_endpoint).clear_denials()
    operator.page.goto(f"{operator.url}/dags/{DAG}/runs/{run}/tasks/playground.enter")
    operator.page.get_by_role("button", name=re.compile("to clear$")).click()
    dialog = operator.page.get_by_role("dialog")
    expect(dialog.get_by_text("outcome", exact=True)).to_be_visible()
    with operator.page.expect_response(_cleared):  # leaving the page sooner would take it back
        dialog.get_by_role("button", name="Confirm").click()
    tab = operator.open_tab(run)
    graduated = "Graduated from every channel"
    expect(tab.get_by_role("status").first).to_contain_text(graduated, timeout=ROLLOUT)
    assert stack.client("operator").run(DAG, run)["state"] in ("running", "success")
