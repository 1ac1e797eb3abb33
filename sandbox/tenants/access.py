"""How the control plane is reached: what an Airflow connection to it holds."""

from __future__ import annotations

import json

TOKEN = "sandbox-token"  # noqa: S105  # known to everybody, and good here only
BASE = "/control"
"""In front of all paths, as real control planes have it: it belongs into the connection."""


def connection_to(endpoint: str) -> str:
    """Give the Airflow connection as the JSON that Airflow reads."""
    extra = {"Authorization": f"Bearer {TOKEN}"}
    return json.dumps({"conn_type": "http", "host": endpoint + BASE, "extra": extra})
