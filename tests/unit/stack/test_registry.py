import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.stack.database import Traces
from sandbox.stack.environment import PROJECT
from sandbox.stack.processes import Owned, is_alive, spawn, wait_until
from sandbox.stack.registry import Registry, stop_recorded


def start_sleeper(folder: Path, *, name: str) -> Owned:
    process, popen = spawn(
        ["sleep", "600"], name=name, env=dict(os.environ), cwd=folder, log=folder / "log"
    )
    popen.returncode = 0  # whoever ends it also reaps it
    return process


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    registry = Registry(
        url="http://127.0.0.1:1",
        aws_endpoint="http://127.0.0.1:2",
        processes=(Owned("scheduler", 1, "boot/2"), Owned("scheduler", 3, "boot/4")),
        traces=Traces(opened={"/root": 0o700}, sockets="/sockets"),
    )

    registry.save(tmp_path)

    assert Registry.load(tmp_path) == registry
    assert stat.S_IMODE(Registry.path(tmp_path).stat().st_mode) == 0o600


def test_where_nothing_was_started_nothing_is_stopped(tmp_path: Path) -> None:
    assert stop_recorded(tmp_path) == []


def test_stopping_ends_everything_and_deletes_the_record(tmp_path: Path) -> None:
    names = ["scheduler", "postgres", "something else"]
    processes = [start_sleeper(tmp_path, name=name) for name in names]
    Registry(processes=tuple(processes)).save(tmp_path)

    stopped = stop_recorded(tmp_path)

    assert stopped == names
    assert [p for p in processes if is_alive(p)] == []
    assert Registry.load(tmp_path) is None


def test_folders_opened_for_the_database_get_their_modes_back(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    folder.mkdir(mode=0o755)
    sockets = tmp_path / "sockets"
    sockets.mkdir()
    Registry(traces=Traces(opened={str(folder): 0o700}, sockets=str(sockets))).save(tmp_path)

    stop_recorded(tmp_path)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not sockets.exists()


@pytest.mark.parametrize("started", ["no-such-boot/1", "1.00"])
def test_a_recorded_process_of_another_life_is_left_alone(tmp_path: Path, started: str) -> None:
    process = start_sleeper(tmp_path, name="scheduler")
    Registry(processes=(Owned("scheduler", process.pid, started),)).save(tmp_path)

    assert stop_recorded(tmp_path) == []

    assert is_alive(process)
    Registry(processes=(process,)).end_all()


def test_the_guard_ends_the_stack_when_its_owner_is_gone(tmp_path: Path) -> None:
    process = start_sleeper(tmp_path, name="scheduler")
    Registry(processes=(process,)).save(tmp_path)
    guard = subprocess.Popen(
        [sys.executable, "-m", "sandbox.stack.guard", str(tmp_path)],
        stdin=subprocess.PIPE,
        cwd=PROJECT,
    )
    assert is_alive(process)

    guard.communicate(timeout=30)  # closes its end of the pipe, as the owner's death does

    assert wait_until(lambda: not is_alive(process), timeout=5)
    assert Registry.load(tmp_path) is None
