"""Whole rollouts in a browser, light and dark. ``SCENES=folder`` keeps what is seen."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy.orm import Session

from phased_rollout.ui import airflow_state
from phased_rollout.ui.mount import PREFIX
from tests.browser.test_operator_desk import CHROMIUM
from tests.unit.ui import scenes
from tests.unit.ui.conftest import add_dag, add_run
from tests.unit.ui.scenes import Scene

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = sync_api.expect
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH"),
]
PICTURES = os.environ.get("SCENES")


def begin(database: Session, scene: Scene, *, dag: str, state: str = "running") -> str:
    add_dag(database, dag)
    add_run(database, dag, scene.run_id, state=state)
    return f"{PREFIX}/dags/{dag}/runs/{scene.run_id}"


def look(page: sync_api.Page, name: str, folder: Path) -> None:
    page.set_viewport_size({"width": 1400, "height": 1000})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(300)
        page.screenshot(path=Path(PICTURES or folder) / f"{name}-{scheme}.png", full_page=True)


def test_a_hold_in_mid_soak(
    page: sync_api.Page,
    database: Session,
    store: Path,
    tmp_path: Path,
) -> None:
    scene = scenes.held_in_mid_soak()
    page.goto(begin(database, scene, dag="accounts"))
    expect(page.get_by_role("status").first).to_contain_text("Soaks in infra")
    expect(page.get_by_text("Held by ann: the network team")).to_be_visible()
    expect(page.get_by_text("infra-3").last).to_be_visible()
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    expect(page.get_by_role("heading", name="What no earlier channel exercises")).to_be_visible()
    expect(page.get_by_text(scenes.UNTESTED[0])).to_be_visible()
    look(page, "held", tmp_path)


def test_a_rollback(page: sync_api.Page, database: Session, store: Path, tmp_path: Path) -> None:
    scene = scenes.rolled_back()
    page.goto(begin(database, scene, dag="accounts", state="failed"))
    expect(page.get_by_role("status").first).to_contain_text("Failed, and rolled back")
    expect(page.locator(".chart .main-svg").first).to_be_visible()
    look(page, "rolled-back", tmp_path)


def test_the_overview(page: sync_api.Page, database: Session, store: Path, tmp_path: Path) -> None:
    begin(database, scenes.held_in_mid_soak(), dag="accounts")
    begin(database, scenes.emergency(), dag="network_emergency")
    add_dag(database, "idle")
    page.goto(f"{PREFIX}/overview")
    expect(page.get_by_text("held by ann")).to_be_visible()
    look(page, "overview", tmp_path)


def test_an_emergency(page: sync_api.Page, database: Session, store: Path, tmp_path: Path) -> None:
    page.goto(begin(database, scenes.emergency(), dag="network_emergency"))
    expect(page.get_by_text("Supersedes manual__1.")).to_be_visible()
    look(page, "emergency", tmp_path)


def test_a_thousand_targets_in_each_channel(
    page: sync_api.Page,
    database: Session,
    store: Path,
    tmp_path: Path,
) -> None:
    page.goto(begin(database, scenes.a_thousand(), dag="fleet"))
    expect(page.get_by_role("status").first).to_contain_text("400 of 1000", timeout=30_000)
    look(page, "thousand", tmp_path)


def test_a_freeze(page: sync_api.Page, database: Session, store: Path, tmp_path: Path) -> None:
    page.goto(begin(database, scenes.frozen(), dag="accounts"))
    expect(page.get_by_role("status").first).to_contain_text("Frozen before production")
    expect(page.get_by_role("button", name="production-1: held")).to_be_visible()
    look(page, "frozen", tmp_path)


def test_a_question(
    page: sync_api.Page,
    database: Session,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = [("production.gate", "awaiting_input", 1)]
    monkeypatch.setattr(airflow_state, "_tasks", lambda *_: iter(waiting))
    page.goto(begin(database, scenes.asking(), dag="accounts"))
    expect(page.get_by_role("status").first).to_contain_text("Asks for an approval")
    link = page.get_by_role("link", name="answer it under Required Actions")
    expect(link).to_have_attribute("href", re.compile("tasks/production.gate/required_actions$"))
    look(page, "asking", tmp_path)


def test_what_a_signal_says_stays_text_in_a_chart(
    page: sync_api.Page, database: Session, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plotly would take some markup for formatting, and links for links."""
    nasty = '<b>bold</b> &amp; <a href="javascript:alert(1)">x</a>'
    monkeypatch.setattr(scenes, "SIGNALS", {nasty: "<script>alert(1)</script>"})
    page.goto(begin(database, scenes.held_in_mid_soak(), dag="accounts"))
    expect(page.locator(".chart .ytick text").nth(1)).to_have_text(f"playground: {nasty}")
    expect(
        page.locator(".chart a, .chart script, .chart [style*='font-weight: bold']")
    ).to_have_count(0)


def test_the_library_is_fetched_only_when_there_is_something_to_draw(
    page: sync_api.Page, database: Session, store: Path
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    begun = Scene(scenes.FLEET, began=timedelta(minutes=1))
    page.goto(begin(database, begun, dag="accounts"))
    expect(page.get_by_role("status").first).to_contain_text("playground is entered next")
    assert not [url for url in asked if "plotly.js" in url]
    begun.graduate("playground")
    expect(page.locator(".chart .main-svg").first).to_be_visible(timeout=20_000)
    assert len([url for url in asked if "plotly.js" in url]) == 1
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(page.url).netloc}
