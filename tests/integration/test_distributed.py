"""The topology of docker-compose.yaml without containers: what dies on the way is made up for.

Two Celery workers and two triggerers on Redis and PostgreSQL, with records on S3, under the
settings that the file gives them.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from airflow.sdk import ObjectStoragePath

from phased_rollout.model.ledger import Kind
from phased_rollout.records import RecordStore
from sandbox.aws.client import SandboxAws
from sandbox.aws.seed import seed
from sandbox.stack import PROJECT, Stack, wait_until
from sandbox.stack.environment import free_ports
from tests.integration.world import NEW, REGION, Scenario, World, write_config

pytest.importorskip("airflow.providers.celery", reason="needs the extra `team`")
pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not there"),
]
BUCKET = "records"
WORKERS, TRIGGERERS = ("worker-1", "worker-2"), ("triggerer", "triggerer-2")
SCENARIO = Scenario(
    "distributed",
    1,
    act=lambda *_: None,
    channels=("test", "production"),
    of_channel={"test": {"soak": "60s"}},
)
"""Its first soak is long enough for the death of a triggerer to be noticed before its end."""
LOCAL = ("POSTGRES", "FERNET_KEY", "JWT_SECRET", "API_SECRET_KEY", "BASE_URL", "api-server:", "fab")
"""What the stack of this test has of its own, because hosts and users are others."""


def of_compose(broker: str) -> dict[str, str]:
    """Give the settings of docker-compose.yaml that are about how Airflow runs."""
    file = yaml.safe_load((PROJECT / "docker-compose.yaml").read_text())
    found = dict(file["x-airflow"]["environment"])
    kept = {k: v for k, v in found.items() if not any(word in v for word in LOCAL)}
    return {
        **kept,
        "AIRFLOW__CELERY__BROKER_URL": broker,
        "PHASED_ROLLOUT_RECORDS": f"s3://aws_rollout@{BUCKET}/rollouts",
    }


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    """Start Redis."""
    [port] = free_ports(1)
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture(scope="module")
def world(broker: str, stack_folder: Path) -> Iterator[World]:
    config = stack_folder / "channels.yaml"
    write_config(config, {SCENARIO.name: SCENARIO.definition()})
    [port] = free_ports(1)
    env = {
        **of_compose(broker),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(port),
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
    }
    work = ("celery", "worker", "--skip-serve-logs", "--concurrency", "4", "--celery-hostname")
    more = {
        **{name: (*work, name) for name in WORKERS},
        TRIGGERERS[1]: ("triggerer", "--skip-serve-logs"),
    }
    with Stack(stack_folder / "state", config=config, env=env, more=more) as stack:
        aws = SandboxAws(stack.aws_endpoint)
        s3 = aws.management_client("s3", region=REGION)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        seed(aws, SCENARIO.accounts(), REGION, denied_account=None)
        aws.clear_calls()
        world = World(stack, config=config)
        for key, value in stack.env().items():
            if key.startswith("AIRFLOW_CONN_"):
                pytest.MonkeyPatch().setenv(key, value)
        world.store = RecordStore(ObjectStoragePath(env["PHASED_ROLLOUT_RECORDS"]))
        wait_until(lambda: bool(world.operator.dags()), timeout=90, interval=1)
        yield world


def holder(world: World, components: tuple[str, ...], log: str) -> str:
    """Wait until a process of some component writes the log of that name; gives the component."""
    found: list[str] = []

    def held() -> bool:
        found[:] = [c for c in components if any(log in name for name in opened(world, c))]
        return bool(found)

    assert wait_until(held, timeout=90, interval=0.2), f"nobody writes {log}"
    return found[0]


def opened(world: World, component: str) -> Iterator[str]:
    """Give the files that the processes of a component have open."""
    for pid in world.stack.members(component):
        with suppress(OSError):  # it has ended meanwhile
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    yield str(handle.readlink())


def test_a_rollout_survives_the_death_of_a_worker_and_of_a_triggerer(world: World) -> None:
    first = SCENARIO.account("test", 1)
    slow = world.aws.fault("slow", account=first, operation="ExecuteChangeSet", seconds=8)
    run_id = world.trigger(SCENARIO)
    world.wait_until_hit(slow)
    task = world.wait_for_task(SCENARIO, run_id, "test.apply", "running")
    found = world.operator.task_instance(
        SCENARIO.name, run_id, "test.apply", map_index=task["map_index"]
    )
    [worker] = [w for w in WORKERS if int(found["pid"]) in world.stack.members(w)]
    world.stack.kill(worker)
    world.wait_for_record(SCENARIO, run_id, Kind.APPLIED, channel="test")
    world.wait_for_task(SCENARIO, run_id, "test.soak", "deferred", interval=0.1)
    lost = holder(world, TRIGGERERS, "task_id=test.soak/attempt=1.log.trigger")
    world.stack.kill(lost)
    [left] = [t for t in TRIGGERERS if t != lost]
    assert holder(world, (left,), "task_id=test.soak/attempt=1.log.trigger") == left

    assert world.wait_for_end(SCENARIO, run_id, timeout=600) == "success"
    assert set(world.running(SCENARIO).values()) == {NEW}
    executed = [account for account, _ in world.executed(*SCENARIO.accounts())]
    assert sorted(executed) == sorted(SCENARIO.accounts()), "each account once"
    graduated = [
        e.channel
        for e in world.records(SCENARIO, run_id).ledger().entries
        if e.kind is Kind.GRADUATED
    ]
    assert graduated == ["test", "production"]
