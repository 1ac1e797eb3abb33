"""What the plugin hands to Airflow: light, because every Airflow process loads plugins."""

from __future__ import annotations

from functools import cached_property
from typing import Any

PREFIX = "/phased-rollout"
"""Where the API server mounts the application."""

VIEWS: list[dict[str, Any]] = [
    {
        "name": "Rollout",
        "href": f"{PREFIX[1:]}/dags/{{DAG_ID}}/runs/{{RUN_ID}}",
        "destination": "dag_run",
        "url_route": "rollout",
    },
    {
        "name": "Rollouts",
        "href": f"{PREFIX[1:]}/overview",
        "destination": "nav",
        "url_route": "rollouts",
        "nav_top_level": True,
    },
]
"""Links without a leading slash: Airflow may live below a path of its own."""


class Desk:
    """The application (ASGI), built on the first request: only an API server ever gets one."""

    @cached_property
    def _app(self) -> Any:
        # It takes seconds to import, and the database models with it.
        from phased_rollout.ui.app import build_app  # noqa: PLC0415

        return build_app()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)
