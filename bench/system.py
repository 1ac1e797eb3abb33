"""Airflow and the sandbox, running, with the rollouts that are measured in them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from bench.plain_dag import PLAN
from sandbox.aws.client import SandboxAws
from sandbox.aws.seed import seed
from sandbox.stack import PROJECT, Client, Stack, wait_until

CHANGES = PROJECT / "include/changes"
TURNS = ("longer-retention", "initial")
"""Changes that follow each other, so that each rollout has something to change."""
STOCK = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "300",
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_POOL_SIZE": "5",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "300",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
}
"""What Airflow has where nobody sets anything, for what the stack sets to be quick."""
PATIENCE = 150.0
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rollout:
    """A definition with accounts of its own.

    :param settings: further defaults of its channels
    """

    name: str
    number: int
    channels: int
    targets: int
    soak: float
    settings: Mapping[str, Any]

    def accounts(self) -> dict[str, list[str]]:
        """Give the accounts of each channel."""
        names = [*(f"channel-{c}" for c in range(1, self.channels)), "production"]
        return {
            name: [f"7{self.number:02d}{c:03d}{n:06d}" for n in range(self.targets)]
            for c, name in enumerate(names)
        }

    def entry(self) -> Json:
        """Give the entry for channels.yaml; a wave is the channel where nothing else is said."""
        return {
            "change": str(CHANGES / TURNS[0]),
            "substrate": {
                "kind": "cloudformation",
                "connection": "aws_rollout",
                "role": "phased-rollout",
                "stack": "baseline",
                "region": "eu-central-1",
            },
            "signals": [{"kind": "cloudwatch_alarms", "prefix": "baseline-"}],
            "defaults": {
                "soak": f"{self.soak:g}s",
                "waves": {"size": self.targets, "concurrency": "soft"},
                **self.settings,
            },
            "channels": [
                {"name": channel, "targets": [{"name": f"t-{a}", "account": a} for a in accounts]}
                for channel, accounts in self.accounts().items()
            ],
        }


@dataclass(frozen=True, slots=True)
class System:
    """What runs."""

    stack: Stack
    aws: SandboxAws
    client: Client

    def roll(self, dag: str, *, turn: int, state: str = "success") -> tuple[str, float]:
        """Run a Dag with the change whose turn it is; gives its run and how long it took."""
        run_id = self.begin(dag, turn=turn)
        run = self.wait(dag, run_id)
        if run["state"] != state:
            failed = [t for t, s in self.states(dag, run_id).items() if s == "failed"]
            why = self.client.last_error(dag, run_id, failed[0]) if failed else "no task failed"
            raise RuntimeError(f"{dag} ended {run['state']}: {failed}: {why}")
        return run_id, seconds(run["start_date"], run["end_date"])

    def begin(self, dag: str, *, turn: int) -> str:
        """Trigger a Dag."""
        conf = {"change": str(CHANGES / TURNS[turn % len(TURNS)])}
        return str(self.client.trigger(dag, conf=conf)["dag_run_id"])

    def wait(self, dag: str, run_id: str) -> Json:
        """Wait for the end of a run."""

        def ended() -> bool:
            return self.client.run(dag, run_id)["state"] in ("success", "failed")

        if not wait_until(ended, timeout=PATIENCE, interval=0.5):
            raise TimeoutError(f"{dag} did not end: {self.states(dag, run_id)}")
        return self.client.run(dag, run_id)

    def story(self, dag: str, run_id: str) -> str:
        """Say when each task that ran began and ended, in seconds of the run."""
        began = self.client.run(dag, run_id)["start_date"]
        ran = [t for t in self.client.task_instances(dag, run_id) if t["start_date"]]
        return "\n".join(
            f"  {seconds(began, t['start_date']):6.1f} to {seconds(began, t['end_date']):6.1f}"
            f"  try {t['try_number']}  {t['task_id']}"
            for t in sorted(ran, key=lambda t: str(t["start_date"]))
            if t["end_date"]
        )

    def states(self, dag: str, run_id: str) -> dict[str, str]:
        """Give the state of each task."""
        found = self.client.task_instances(dag, run_id)
        return {ti["task_id"]: str(ti["state"]) for ti in found}


def seconds(begin: str | datetime, end: str | datetime) -> float:
    """Say how long it is from one moment to another."""
    first, last = (datetime.fromisoformat(m) if isinstance(m, str) else m for m in (begin, end))
    return (last - first).total_seconds()


@contextmanager
def running(
    *rollouts: Rollout, phase: float, env: Mapping[str, str] | None = None
) -> Iterator[System]:
    """Start a system with these rollouts, their empty and their plain Dags.

    :param phase: seconds that the sandbox takes for a phase of a stack's update
    """
    with TemporaryDirectory() as folder:
        config = Path(folder) / "channels.yaml"
        entries = {r.name: r.entry() for r in rollouts}
        config.write_text(yaml.safe_dump({"version": 1, "rollouts": entries}, sort_keys=False))
        plain = {f"{r.name}_plain": {"soak": r.soak, "channels": r.accounts()} for r in rollouts}
        (config.parent / PLAN).write_text(json.dumps(plain))
        more = {
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            **(env or {}),
        }
        with Stack(
            Path(folder) / "state", config=config, dags=PROJECT / "bench/dags", env=more
        ) as stack:
            system = System(stack, SandboxAws(stack.aws_endpoint), stack.client("operator"))
            seed(system.aws, [a for r in rollouts for c in r.accounts().values() for a in c],
                 "eu-central-1")  # fmt: skip
            system.aws.settings(phase=phase)
            _wait_for_dags(system, set(entries) | set(plain))
            yield system


def _wait_for_dags(system: System, names: set[str]) -> None:
    def parsed() -> bool:
        return names <= {dag["dag_id"] for dag in system.client.dags()}

    if not wait_until(parsed, timeout=120, interval=1):
        raise TimeoutError(f"no Dags: {system.client.import_errors()}")
    time.sleep(1)
