"""Who may see what: Airflow's own checks on every route of the desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from fastapi.routing import APIRoute
from sqlalchemy.orm import Session

from phased_rollout.model.change import Change
from phased_rollout.records import RecordStore
from phased_rollout.ui import app
from phased_rollout.ui.app import build_app
from phased_rollout.ui.mount import PREFIX
from tests.builders import a_plan
from tests.unit.ui.conftest import Visit, add_dag, add_run

RUN = "manual__1"
PATHS = [
    f"{PREFIX}/dags/accounts/runs/{RUN}",
    f"{PREFIX}/api/dags/accounts/runs/{RUN}",
    f"{PREFIX}/overview",
    f"{PREFIX}/api/overview",
    f"{PREFIX}/plotly.js",
    f"{PREFIX}/static/desk.css",
]
VIEW = PATHS[1]


@pytest.fixture
def rollout(database: Session, store: Path) -> Session:
    """Freeze a plan of a run that Airflow knows."""
    add_dag(database, "accounts")
    add_run(database, "accounts", RUN)
    records = RecordStore.from_environment().rollout("accounts", RUN)
    records.freeze(a_plan(), Change("change", {"template.yaml": "new"}))
    return database


def test_the_routes_are_those_that_are_tested_here() -> None:
    given = {"{dag_id}": "accounts", "{run_id:path}": RUN, "{name}": "desk.css"}
    named = set()
    for route in build_app().routes:
        assert isinstance(route, APIRoute), "a mounted application would be open to everybody"
        assert route.dependencies
        path = route.path
        for name, value in given.items():
            path = path.replace(name, value)
        named.add(PREFIX + path)
    assert named == set(PATHS)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("role", "status"), [(None, 401), ("", 403), ("viewer", 200)])
def test_nobody_sees_anything_without_login_and_right(
    visit: Visit, rollout: Session, path: str, role: str | None, status: int
) -> None:
    assert visit(role).get(path).status_code == status


def test_a_forged_token_opens_nothing(visit: Visit, rollout: Session) -> None:
    headers = {"Authorization": "Bearer not.a.token"}
    assert {visit(None).get(path, headers=headers).status_code for path in PATHS} == {403}


def test_the_right_on_one_dag_opens_no_other(
    visit: Visit, rollout: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_dag(rollout, "network")
    add_run(rollout, "network", RUN)

    def only_network(self: Any, *, details: Any = None, **_: Any) -> bool:
        return details is None or details.id in (None, "network")

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", only_network)
    viewer = visit("viewer")
    assert viewer.get(VIEW).status_code == 403
    assert viewer.get(f"{VIEW}?dag_id=network").status_code == 403
    assert viewer.get(f"{PREFIX}/api/dags/network/runs/{RUN}").status_code == 200
    found = viewer.get(f"{PREFIX}/api/overview").json()["definitions"]
    assert [line["dag"] for line in found] == ["network"]


def test_an_emergency_opens_no_run_of_the_regular_dag(visit: Visit, rollout: Session) -> None:
    """Both Dags keep their records in one folder, but the rights on them may differ."""
    add_dag(rollout, "accounts_emergency")
    add_run(rollout, "accounts_emergency", RUN)
    viewer = visit("viewer")
    assert viewer.get(VIEW).status_code == 200
    assert viewer.get(VIEW.replace("accounts", "accounts_emergency")).status_code == 404


def test_an_operators_word_is_no_rollout(visit: Visit, rollout: Session) -> None:
    add_dag(rollout, "accounts_control")
    add_run(rollout, "accounts_control", "manual__2", state="success")
    viewer = visit("viewer")
    control = VIEW.replace("accounts", "accounts_control").replace(RUN, "manual__2")
    assert viewer.get(control).status_code == 404
    (line,) = viewer.get(f"{PREFIX}/api/overview").json()["definitions"]
    assert line["run"]["run"] == RUN


def test_a_run_of_any_other_dag_is_no_rollout(visit: Visit, rollout: Session) -> None:
    add_dag(rollout, "report", tag="finance")
    add_run(rollout, "report", RUN)
    viewer = visit("viewer")
    assert viewer.get(VIEW.replace("accounts", "report")).status_code == 404
    assert "report" not in viewer.get(f"{PREFIX}/api/overview").text


@pytest.mark.parametrize(
    ("dag_id", "run_id"),
    [
        ("accounts", "..%2f..%2faccounts%2fruns%2fmanual__1"),
        ("..%2faccounts", RUN),
        ("accounts", "%2e%2e"),
        ("~", RUN),
        ("accounts", "x" * 300),
    ],
)
def test_a_name_is_never_a_path(visit: Visit, rollout: Session, dag_id: str, run_id: str) -> None:
    viewer = visit("viewer")
    assert viewer.get(f"{PREFIX}/api/dags/{dag_id}/runs/{run_id}").status_code == 404


def test_no_page_may_run_foreign_script_or_be_framed_elsewhere(
    visit: Visit, rollout: Session
) -> None:
    for path in PATHS:
        headers = visit("viewer").get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_the_charts_are_drawn_by_what_is_installed_and_kept_by_the_browser(
    visit: Visit, rollout: Session
) -> None:
    answer = visit("viewer").get(f"{PREFIX}/plotly.js")
    assert "plotly.js v" in answer.text[:200]
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"].startswith("private, max-age=")


def test_an_unchanged_view_is_not_sent_again(visit: Visit, rollout: Session) -> None:
    viewer = visit("viewer")
    first = viewer.get(VIEW)
    again = viewer.get(VIEW, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    add_dag(rollout, "other")
    records = RecordStore.from_environment().rollout("accounts", RUN)
    records.hold("somebody's operation", at=a_plan().made_at, channel="test")
    changed = viewer.get(VIEW, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.json()["standing"]["title"] == "Holds before test"


def test_a_view_is_sent_again_when_a_freeze_begins_or_ends(
    visit: Visit, rollout: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = visit("viewer")
    known = {"If-None-Match": viewer.get(VIEW).headers["etag"]}
    assert viewer.get(VIEW, headers=known).status_code == 304
    monkeypatch.setattr(app, "freezes", lambda *_: ["frozen by year end"])
    assert viewer.get(VIEW, headers=known).status_code == 200
