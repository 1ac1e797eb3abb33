"""Starts a real stack once, uses it, disturbs it and stops it: nothing may be left."""

import os
import stat
from pathlib import Path

import psutil
import pytest

from sandbox.stack import COMPONENTS, ApiError, Stack, StackError, stop_recorded, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]
DAG = "trivial"


def processes_in(state: Path) -> list[str]:
    """Return all processes that name, or stand in, or write into a folder."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        if process.pid == os.getpid() or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        texts = list(process.info["cmdline"] or [])
        try:
            texts += [process.cwd(), *(file.path for file in process.open_files())]
        except psutil.Error:
            continue
        if any(str(state) in text for text in texts):
            found.append(f"{process.pid} {process.info['cmdline']}")
    return found


def run_to_its_end(stack: Stack) -> str:
    operator = stack.client("operator")
    assert wait_until(lambda: DAG in [dag["dag_id"] for dag in operator.dags()], timeout=60)
    run_id = str(operator.trigger(DAG)["dag_run_id"])
    operator.unpause(DAG)
    over = {"success", "failed"}
    assert wait_until(lambda: operator.run(DAG, run_id)["state"] in over, timeout=120, interval=0.3)
    return run_id


def check_the_run(stack: Stack, run_id: str) -> None:
    viewer = stack.client("viewer")
    states = {(t["task_id"], t["map_index"]): t for t in viewer.task_instances(DAG, run_id)}
    assert {key: task["state"] for key, task in states.items()} == {
        ("plan", -1): "success",
        ("playground.enter", -1): "success",
        ("playground.apply", 0): "success",
        ("playground.apply", 1): "failed",
    }
    reason = viewer.last_error(DAG, run_id, "playground.apply", map_index=1)
    assert reason == "ValueError: two does not want it"
    with pytest.raises(ApiError, match="HTTP 403"):
        viewer.trigger(DAG)


def disturb_the_scheduler(stack: Stack) -> None:
    before, trigger = stack.pid("scheduler"), stack.pid("triggerer")
    stack.kill("scheduler", children=False)
    orphans = stack.members("scheduler")
    stack.kill("triggerer")
    assert stack.members("triggerer") == []
    stack.restart("scheduler", "triggerer")
    assert orphans
    assert before not in orphans
    assert stack.pid("scheduler") != before
    assert stack.pid("triggerer") != trigger


def test_a_stack_runs_a_dag_survives_a_kill_and_leaves_nothing(stack_folder: Path) -> None:
    state = stack_folder / "state of a stack"
    dags = Path(__file__).parent / "dags"
    (stack_folder / "plugins").mkdir()

    with Stack(state, dags=dags, plugins=stack_folder / "plugins") as stack:
        assert set(stack.passwords) == {"admin", "operator", "approver", "viewer"}
        assert stat.S_IMODE(stack.settings.passwords_file.stat().st_mode) == 0o600
        with pytest.raises(StackError, match="already runs"):
            Stack(state).start()
        check_the_run(stack, run_to_its_end(stack))
        disturb_the_scheduler(stack)
        assert len(processes_in(state)) > len(COMPONENTS)

    assert processes_in(state) == []
    assert stop_recorded(state) == []
