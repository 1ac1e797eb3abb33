"""Puts the operator's desk into Airflow's UI: the tab of each rollout, and the overview."""

from __future__ import annotations

from airflow.sdk.plugins_manager import AirflowPlugin

from phased_rollout.ui.mount import PREFIX, VIEWS, Desk


class PhasedRolloutPlugin(AirflowPlugin):
    """The tab "Rollout" on each run, and "Rollouts" in the navigation."""

    name = "phased_rollout"
    fastapi_apps = [{"name": "phased_rollout", "app": Desk(), "url_prefix": PREFIX}]  # noqa: RUF012
    external_views = VIEWS
