"""The web application of the desk, which Airflow's API server mounts under ``/phased-rollout``.

Airflow protects none of a plugin's routes: each one here asks for access itself, and a test walks
through all of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import (
    GetUserDep,
    requires_access_dag,
)
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from phased_rollout.debts import owed
from phased_rollout.errors import RecordError
from phased_rollout.model.definition import EMERGENCY, definition_of
from phased_rollout.model.plan import Plan
from phased_rollout.records import RolloutRecords
from phased_rollout.ui import chart_library
from phased_rollout.ui.airflow_state import FoundDag, find_rollouts, find_run, newest_run
from phased_rollout.ui.ending import pace_of
from phased_rollout.ui.facts import (
    AirflowRun,
    Facts,
    Reader,
    fingerprint,
    gather,
    is_safe,
    plan_of,
)
from phased_rollout.ui.holds import freezes
from phased_rollout.ui.overview import Line, overview
from phased_rollout.ui.page import HEADERS, page
from phased_rollout.ui.run_view import run_view

STATIC = Path(__file__).parent / "static"
_FILES = StaticFiles(directory=STATIC)
MAY_READ_RUNS = [Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.RUN))]
NO_RUN = "there is no such run of a rollout"


def build_app() -> FastAPI:
    """Build the application."""
    app = FastAPI(title="Phased rollout", docs_url=None, redoc_url=None, openapi_url=None)
    for path, route in (
        ("/dags/{dag_id}/runs/{run_id:path}", run_page),
        ("/api/dags/{dag_id}/runs/{run_id:path}", run_json),
        ("/overview", overview_page),
        ("/api/overview", overview_json),
        ("/plotly.js", plotly_js),
        ("/static/{name}", static_file),
    ):
        app.get(path, dependencies=MAY_READ_RUNS, response_model=None)(route)
    app.middleware("http")(_harden)
    app.add_exception_handler(RecordError, _unreadable)
    return app


def run_page(request: Request, dag_id: str, run_id: str) -> HTMLResponse:
    """Serve the tab of a run; it fetches the rest."""
    view = f"/api/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"
    return _page(request, "run", title=f"Rollout {run_id}", view=view)


def run_json(
    session: SessionDep,
    dag_id: str,
    run_id: str,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Give the view of a run; 304 when nothing has happened since."""
    definition = definition_of(dag_id)
    run = find_run(session, dag_id, run_id)
    if run is None or not is_safe(definition, run_id):
        raise HTTPException(404, NO_RUN)
    records = Reader.from_environment().rollout(definition, run_id)
    plan, now = plan_of(records), datetime.now(UTC)
    if not _is_of(plan, run):
        raise HTTPException(404, NO_RUN)
    known = fingerprint(records, run.state, run.paused, run.tasks, freezes(plan, now))
    etag = f'W/"{known}"'
    if if_none_match == etag:
        return Response(status_code=304, headers={"ETag": etag})
    view = run_view(gather(records), run, now=now, pace=_earlier_pace(records))
    return JSONResponse(view, headers={"ETag": etag})


def overview_page(request: Request) -> HTMLResponse:
    """Serve the overview; it fetches the rest."""
    return _page(request, "overview", title="Rollouts", view="/api/overview")


def overview_json(session: SessionDep, user: GetUserDep) -> JSONResponse:
    """Give all definitions whose Dags the user may read, each with its newest run."""
    readable = get_auth_manager().get_authorized_dag_ids(user=user, method="GET")
    dags: dict[str, list[FoundDag]] = {}
    for dag in find_rollouts(session, readable):
        dags.setdefault(definition_of(dag.dag_id), []).append(dag)
    lines = [_line(session, name, of) for name, of in dags.items()]
    return JSONResponse(overview(lines, now=datetime.now(UTC)))


def plotly_js() -> FileResponse:
    """Serve what draws the charts; a page asks for it only when there is something to draw."""
    return FileResponse(
        chart_library.script(), media_type="text/javascript", headers=chart_library.CACHED
    )


async def static_file(request: Request, name: str) -> Response:
    """Serve a script or a style of the pages."""
    return await _FILES.get_response(name, request.scope)


def _line(session: SessionDep, definition: str, dags: list[FoundDag]) -> Line:
    records = Reader.from_environment().rollout(definition, "")
    run = newest_run(session, [dag.dag_id for dag in dags])
    known = Line(
        definition, dags[0].dag_id, dags[0].description, dags[0].paused, debts=owed(records)
    )
    if run is None or not is_safe(run.run_id):
        return known
    records = records.of(run.run_id)
    facts = gather(records) if _is_of(plan_of(records), run) else Facts()
    return replace(known, run=run, facts=facts, pace=_earlier_pace(records))


def _is_of(plan: Plan | None, run: AirflowRun) -> bool:
    """Whether the records are of this Dag: an emergency shares the folder of its definition."""
    return plan is None or plan.emergency == run.dag_id.endswith(EMERGENCY)


def _earlier_pace(records: RolloutRecords) -> float | None:
    """Give the pace of the rollout that began before this one."""
    begun = records.begun()
    at = begun.index(records.run_id) if records.run_id in begun else 0
    if not at:
        return None
    earlier = records.of(begun[at - 1])
    plan = plan_of(earlier)
    return pace_of(plan, earlier.ledger()) if plan else None


def _page(request: Request, script: str, *, title: str, view: str) -> HTMLResponse:
    root = str(request.scope.get("root_path", ""))
    charts = chart_library.charts()
    return HTMLResponse(page(script, title=title, root=root, view=view, charts=charts))


async def _harden(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _unreadable(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=500)
