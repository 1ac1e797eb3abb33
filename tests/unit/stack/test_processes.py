import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.stack.processes import (
    Owned,
    end,
    is_alive,
    session_members,
    signal_if_ours,
    spawn,
    started_at,
    wait_until,
)

# A leader with a child in a process group of its own, as Airflow's tasks are; both ignore SIGTERM.
FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setpgid(0, 0)
    print("ready", flush=True)
while True:
    time.sleep(60)
"""


def start(code: str, *, folder: Path) -> tuple[Owned, subprocess.Popen[bytes]]:
    return spawn(
        [sys.executable, "-c", code],
        name="family",
        env=dict(os.environ),
        cwd=folder,
        log=folder / "family.log",
    )


def start_family(folder: Path) -> tuple[Owned, subprocess.Popen[bytes]]:
    process, popen = start(FAMILY, folder=folder)
    assert wait_until(lambda: "ready" in (folder / "family.log").read_text(), timeout=20)
    return process, popen


def test_ending_a_process_ends_its_children_in_other_groups_too(tmp_path: Path) -> None:
    process, popen = start_family(tmp_path)
    members = session_members(process)

    end([process], grace=0.2)
    popen.poll()

    assert len(members) == 2
    assert session_members(process) == []
    assert not is_alive(process)


def test_children_are_found_and_ended_after_their_leader_was_killed(tmp_path: Path) -> None:
    process, popen = start_family(tmp_path)
    popen.kill()
    popen.wait()
    left = session_members(process)

    end([process], grace=0.2)

    assert len(left) == 1
    assert process.pid not in left
    assert session_members(process) == []


def test_a_stranger_with_the_same_id_is_neither_signalled_nor_searched(tmp_path: Path) -> None:
    process, popen = start_family(tmp_path)
    earlier = replace(process, started="some-boot/1")

    sent = signal_if_ours(earlier, signal.SIGKILL)
    end([earlier], grace=0.1)

    assert (sent, session_members(earlier), is_alive(earlier)) == (False, [], False)
    assert is_alive(process)
    end([process], grace=0)
    popen.poll()


def test_a_process_that_ends_by_itself_is_not_killed(tmp_path: Path) -> None:
    code = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); print('on', flush=True)"
    process, popen = start(f"{code}; signal.pause()", folder=tmp_path)
    assert wait_until(lambda: "on" in (tmp_path / "family.log").read_text(), timeout=20)

    assert signal_if_ours(process, signal.SIGTERM)

    assert popen.wait(timeout=20) == 7
    assert not is_alive(process)


def test_a_zombie_is_not_alive(tmp_path: Path) -> None:
    process, popen = start("", folder=tmp_path)

    assert wait_until(lambda: not is_alive(process), timeout=20)
    assert started_at(process.pid) == process.started  # the zombie is still there
    popen.wait()


def test_a_process_that_is_not_there_cannot_be_owned() -> None:
    with pytest.raises(ProcessLookupError, match="nobody: no process"):
        Owned.of(2**22 + 1, name="nobody")


def test_waiting_gives_up_at_its_deadline() -> None:
    assert wait_until(lambda: False, timeout=0.01, interval=0.001) is False
