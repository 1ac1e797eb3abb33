"""`make rollout`: one change walks through the channels while you watch."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from sandbox.stack.api import Client
from sandbox.stack.configs import config_with
from sandbox.stack.launcher import StackError
from sandbox.stack.registry import Registry
from sandbox.stack.stack import Stack
from sandbox.stack.watch import Watch

DAG_TIMEOUT = 120.0


def roll_out(
    definition: str, *, change: str | None, state: Path, console: Console, dags: Path | None = None
) -> int:
    """Start a stack, roll a change out, show it; return the exit status, with nothing left.

    :param definition: the Dag
    :param change: which change, or None for the one that the definition names
    :param state: folder of the stack; what an earlier demo left there is deleted
    """
    config = config_with(definition)
    named = None if change is None else change_name(change, config=config)
    renew(state)
    began = time.monotonic()
    with console.status("starting Airflow and the sandbox …"):
        stack = Stack(state, dags=dags, config=config).start()
    try:
        console.print(f"Airflow is up at {stack.url} ({time.monotonic() - began:.0f} s)")
        console.print(f"users and passwords: {stack.settings.passwords_file}", highlight=False)
        seed_sandbox(stack)
        await_dag(stack.client("viewer"), definition)
        run = stack.client("operator").trigger(
            definition, conf={} if named is None else {"change": named}
        )
        stack.client("operator").unpause(definition)
        return Watch(stack, definition, run["dag_run_id"], console).follow()
    finally:
        with console.status("stopping …"):
            stack.stop()


def change_name(change: str, *, config: Path) -> str:
    """Return the name by which a run calls a change: its folder, relative to the configuration.

    :raises StackError: when there is no such folder; the text names those that there are
    """
    if "://" in change:
        return change
    folder = Path(change).resolve()
    if folder.is_dir():
        home = config.resolve().parent
        return str(folder.relative_to(home) if folder.is_relative_to(home) else folder)
    others = sorted(str(f.parent) for f in folder.parent.glob("*/change.yaml"))
    known = f"; there are: {', '.join(others)}" if others else ""
    raise StackError(f"{change}: no such folder{known}")


def renew(state: Path) -> None:
    """Delete what an earlier stack left in a state folder.

    :raises StackError: when the folder holds anything else
    """
    if not state.exists():
        return
    if not (state / "secrets.json").exists() and any(state.iterdir()):
        raise StackError(f"{state} is not the folder of a stack; nothing was deleted")
    registry = Registry.load(state)
    if registry is not None and registry.running():
        raise StackError(f"a stack already runs on {state}: end it with `make down` first")
    shutil.rmtree(state)


def seed_sandbox(stack: Stack) -> None:
    """Give the sandbox AWS the accounts of the configuration and what runs in them."""
    if stack.settings.aws_endpoint is None:
        return
    from sandbox.stack.seeding import seed_from  # noqa: PLC0415 - brings boto3 along

    seed_from(stack.settings.folders.config, endpoint=stack.aws_endpoint)


def await_dag(client: Client, dag_id: str) -> None:
    """Return when Airflow knows the Dag.

    :raises StackError: with the import errors, when it cannot be imported
    """
    deadline = time.monotonic() + DAG_TIMEOUT
    while time.monotonic() < deadline:
        known = [dag["dag_id"] for dag in client.dags()]
        if dag_id in known:
            return
        errors = client.import_errors()
        if errors:
            texts = [f"{error['filename']}:\n{error['stack_trace']}" for error in errors]
            raise StackError("Airflow cannot import the Dags:\n" + "\n".join(texts))
        if known:
            raise StackError(f"there is no Dag {dag_id!r}; there are: {', '.join(sorted(known))}")
        time.sleep(0.2)
    raise StackError(f"no Dag appeared within {DAG_TIMEOUT:.0f} s")


def print_access(stack: Stack, *, console: Console) -> None:
    """Print where the stack is and who may log in."""
    users: Mapping[str, str] = stack.passwords
    console.print(f"Airflow: {stack.url}")
    if stack.settings.aws_endpoint is not None:
        console.print(f"sandbox AWS: {stack.aws_endpoint}")
    for user, password in users.items():
        console.print(f"  user {user:<9} password {password}", highlight=False, markup=False)
    console.print(f"logs: {stack.state / 'logs'}   end: make down", soft_wrap=True)
    console.print(
        "for phased-rollout history, report and debt: "
        f"export PHASED_ROLLOUT_RECORDS=file://{stack.records}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
