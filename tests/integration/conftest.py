"""One Airflow for the integration tests of a module: their scenarios run in it side by side.

A module names its scenarios in ``SCENARIOS``; ``AT_ONCE``, ``ENV``, ``FILE`` (what the file has
beside them) and ``LISTENER`` are optional.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.aws.client import SandboxAws
from sandbox.aws.seed import seed
from sandbox.stack import Stack, wait_until
from tests.integration.world import REGION, Scenario, World, write_config


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the running system."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, stack_folder: Path) -> Iterator[World]:
    """Start the system and let the scenarios of the collected tests act, all at once."""
    module = request.module
    collected = [i for i in request.session.items if getattr(i, "module", None) is module]
    names = {m.args[0] for i in collected for m in i.iter_markers("scenario")}
    wanted: list[Scenario] = [s for s in module.SCENARIOS if s.name in names]
    config = stack_folder / "channels.yaml"
    more = getattr(module, "FILE", {})
    write_config(config, {s.name: s.definition() for s in wanted}, **more)
    env = {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        # The file stays as it is: parsing it again and again would only take the tasks' time.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        **getattr(module, "ENV", {}),
        **(module.LISTENER.listen() if hasattr(module, "LISTENER") else {}),
    }
    with Stack(stack_folder / "state", config=config, env=env) as stack:
        aws = SandboxAws(stack.aws_endpoint)
        seed(aws, [a for s in wanted for a in s.accounts()], REGION, denied_account=None)
        aws.clear_calls()
        world = World(stack, config=config, at_once=getattr(module, "AT_ONCE", 32))
        wait_until(lambda: _parsed(world) >= names or bool(_errors(world)), timeout=90, interval=1)
        if missing := names - _parsed(world):
            pytest.fail(f"Dags missing: {missing}; import errors: {_errors(world)}")
        world.begin(wanted)
        try:
            yield world
        finally:
            world.end()


def _parsed(world: World) -> set[str]:
    return {dag["dag_id"] for dag in world.operator.dags()}


def _errors(world: World) -> list[str]:
    return [error["stack_trace"] for error in world.operator.import_errors()]
