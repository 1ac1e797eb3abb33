"""Airflow's real API server, with the plugin, in this process; its database is SQLite."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from airflow import plugins_manager, settings
from airflow.api_fastapi.app import create_app, get_auth_manager, purge_cached_app
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dag import DagModel, DagTag
from airflow.models.dagbundle import DagBundleModel
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from sandbox.stack import wait_until
from sandbox.stack.environment import free_ports

PLUGINS = Path(__file__).parents[3] / "plugins"
CACHED = ("_get_plugins", "_get_ui_plugins", "get_fastapi_plugins", "get_flask_plugins")
Visit = Callable[[str | None], TestClient]


def forget_plugins() -> None:
    for name in CACHED:
        getattr(plugins_manager, name).cache_clear()


@pytest.fixture(scope="module")
def airflow() -> Iterator[FastAPI]:
    """Build what ``airflow api-server`` serves."""
    patch = pytest.MonkeyPatch()
    patch.setattr(settings, "PLUGINS_FOLDER", str(PLUGINS))
    forget_plugins()
    import_all_models()
    Base.metadata.create_all(settings.engine)
    yield create_app(apps="core")
    Base.metadata.drop_all(settings.engine)
    patch.undo()
    forget_plugins()
    purge_cached_app()


@pytest.fixture
def database(airflow: FastAPI) -> Iterator[Session]:
    with Session(settings.engine) as session:
        yield session
        session.rollback()
        for model in (TaskInstance, DagRun, DagTag, DagModel, DagBundleModel):
            session.query(model).delete()
        session.commit()


@pytest.fixture
def visit(airflow: FastAPI) -> Visit:
    """Give the browser of a user with a role, or of one without; None is nobody logged in."""

    def visit(role: str | None) -> TestClient:
        client = TestClient(airflow, raise_server_exceptions=False)
        if role is not None:
            user = SimpleAuthManagerUser(username="ann", role=role or None)
            client.cookies.set(COOKIE_NAME_JWT_TOKEN, get_auth_manager().generate_jwt(user))
        return client

    return visit


def add_dag(session: Session, dag_id: str, *, tag: str = "phased_rollout") -> None:
    if session.get(DagBundleModel, "dags") is None:
        session.add(DagBundleModel(name="dags"))
        session.flush()
    session.add(DagModel(dag_id=dag_id, bundle_name="dags", is_stale=False, is_paused=False))
    session.flush()
    session.add(DagTag(name=tag, dag_id=dag_id))
    session.commit()


def add_run(session: Session, dag_id: str, run_id: str, *, state: str = "running") -> None:
    now = datetime.now(UTC)
    run = DagRun(
        dag_id=dag_id,
        run_id=run_id,
        run_type=DagRunType.MANUAL,
        state=state,
        start_date=now,
        run_after=now,
        triggered_by=DagRunTriggeredByType.TEST,
    )
    session.add(run)
    session.commit()


@pytest.fixture(scope="module")
def address(airflow: FastAPI) -> Iterator[str]:
    """Serve Airflow's application on a port of this machine."""
    port = free_ports(1)[0]
    server = uvicorn.Server(uvicorn.Config(airflow, port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert wait_until(lambda: server.started, timeout=30)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=30)


@pytest.fixture
def page(address: str, visit: Visit) -> Iterator[Any]:
    """Open a browser that is logged in; whatever it complains about fails the test."""
    token = visit("viewer").cookies[COOKIE_NAME_JWT_TOKEN]
    from playwright import sync_api  # noqa: PLC0415 - only where it is installed

    from tests.browser.test_operator_desk import CHROMIUM, QUIET  # noqa: PLC0415

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        context = browser.new_context(base_url=address)
        context.add_cookies([{"name": COOKIE_NAME_JWT_TOKEN, "value": token, "url": address}])
        page = context.new_page()
        complaints: list[str] = []
        page.on(
            "console",
            lambda m: m.type == "error" and "404" not in m.text and complaints.append(m.text),
        )
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on("dialog", lambda d: complaints.append(d.message))
        yield page
        browser.close()
    assert complaints == []
