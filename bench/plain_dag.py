"""The Dag that one would write first: a mapped task for each target, and Airflow's sensors."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.standard.sensors.python import PythonSensor
from airflow.providers.standard.sensors.time_delta import WaitSensor
from airflow.sdk import DAG, Param, TaskGroup, task

PLAN = "plain.json"
"""Beside channels.yaml: Dag to ``soak`` in seconds and ``channels``, name to accounts."""


def plain_dags() -> dict[str, DAG]:
    """Build the Dags that the file beside channels.yaml names."""
    file = Path(os.environ["PHASED_ROLLOUT_CONFIG"]).parent / PLAN
    found = json.loads(file.read_text()) if file.exists() else {}
    return {name: _build(name, **each) for name, each in found.items()}


def _build(name: str, *, soak: float, channels: dict[str, list[str]]) -> DAG:
    with DAG(
        dag_id=name,
        schedule=None,
        catchup=False,
        max_active_runs=1,
        params={"change": Param("", type="string")},
    ) as dag:
        last: Any = None
        for channel, accounts in channels.items():
            with TaskGroup(channel):
                applied = task(task_id="apply")(_apply).expand(account=accounts)
                soaked = WaitSensor(task_id="soak", time_to_wait=timedelta(seconds=soak))
                health = PythonSensor(
                    task_id="health", python_callable=_healthy, op_args=[accounts]
                )
                applied >> soaked >> health
            if last is not None:
                last >> applied
            last = health
    return dag


def _aws() -> Any:
    from bench.plain import Aws  # noqa: PLC0415 boto3 has no place in the parsing of a Dag

    found = json.loads(os.environ["AIRFLOW_CONN_AWS_ROLLOUT"])
    return Aws(found["extra"]["endpoint_url"], found["login"], found["password"])


def _apply(account: str, params: dict[str, str]) -> None:
    from bench.plain import apply  # noqa: PLC0415 as above

    name = f"plain-{datetime.now().astimezone():%Y%m%d%H%M%S%f}"
    apply(_aws(), account, change=Path(params["change"]), name=name)


def _healthy(accounts: list[str]) -> bool:
    from bench.plain import healthy  # noqa: PLC0415 as above

    return healthy(_aws(), accounts)
