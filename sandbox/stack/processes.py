"""Processes of the local stack: each starts a session, is recognised again, is ended completely.

A process id alone proves nothing, since the system hands it out again. An `Owned` process is
therefore a process id *and* the moment it started; only when both match is a signal sent. What such
a process leaves behind is found by its session: Airflow's workers and log servers move into process
groups of their own, but none of them leaves the session of the component that started it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

POLL = 0.05


class ProcessesLeftError(RuntimeError):
    """Some processes could not be ended."""


@dataclass(frozen=True, slots=True)
class Owned:
    """A process that this stack started: its name, id and the moment at which it began."""

    name: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int, *, name: str) -> "Owned":
        """Describe the running process `pid`.

        :raises ProcessLookupError: when there is no such process
        """
        started = started_at(pid)
        if started is None:
            raise ProcessLookupError(f"{name}: no process {pid}")
        return cls(name=name, pid=pid, started=started)

    def as_dict(self) -> dict[str, str | int]:
        """Return the fields as JSON values."""
        return asdict(self)


def started_at(pid: int) -> str | None:
    """Return when `pid` began, as an opaque text; None when there is no such process.

    On Linux that is the boot and the clock tick since the boot, which no change of the clock moves.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{stat.rpartition(')')[2].split()[19]}"
    except (FileNotFoundError, ProcessLookupError):
        pass
    except PermissionError:
        return None
    if Path("/proc/self/stat").exists():
        return None
    try:
        return f"{psutil.Process(pid).create_time():.2f}"
    except psutil.Error:
        return None


def is_alive(process: Owned) -> bool:
    """Tell whether exactly this process still runs (a zombie does not)."""
    if started_at(process.pid) != process.started:
        return False
    try:
        return bool(psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def session_members(process: Owned) -> list[int]:
    """Return the ids of all running processes in the session that `process` leads.

    A session's id is not handed out again while it has members, so members belong to us unless a
    stranger now *is* the process with that id.
    """
    started = started_at(process.pid)
    if started is not None and started != process.started:
        return []
    return [pid for pid in psutil.pids() if _in_session(pid, leader=process)]


def _in_session(pid: int, *, leader: Owned) -> bool:
    try:
        if os.getsid(pid) != leader.pid:
            return False
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
    except (OSError, psutil.Error):
        return False
    return _boot(started_at(pid) or "") == _boot(leader.started)


def _boot(started: str) -> str:
    boot, slash, _ = started.partition("/")
    return boot if slash else ""


def spawn(
    command: Sequence[str | Path],
    *,
    name: str,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    user: str | None = None,
) -> tuple[Owned, subprocess.Popen[bytes]]:
    """Start `command` as the leader of a session of its own, its output appended to `log`.

    With `user` it runs as that user (and the group of that name); only root can do that.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - commands are built by this package
            [str(word) for word in command],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    return Owned.of(process.pid, name=name), process


def wait_until(condition: Callable[[], bool], *, timeout: float, interval: float = POLL) -> bool:
    """Poll `condition` until it holds; False when it did not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True


def signal_if_ours(process: Owned, number: int) -> bool:
    """Send a signal to exactly this process; False when it is gone."""
    if not is_alive(process):
        return False
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
        return True
    return False


def end(processes: Iterable[Owned], *, number: int = signal.SIGTERM, grace: float = 5.0) -> None:
    """End these processes together and all that is in their sessions.

    Each leader gets `number` and `grace` seconds to end by itself; then everything that is left in
    the sessions is killed.

    :raises ProcessesLeftError: when something survives even that
    """
    asked = list(processes)
    for process in asked:
        signal_if_ours(process, number)
    wait_until(lambda: not any(is_alive(process) for process in _reaped(asked)), timeout=grace)
    if not wait_until(lambda: not _kill_left(asked), timeout=10):
        left = [f"{p.name}: {session_members(p)}" for p in asked if session_members(p)]
        raise ProcessesLeftError("still running after SIGKILL: " + "; ".join(left))


def _reaped(processes: list[Owned]) -> list[Owned]:
    for process in processes:
        with suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    return processes


def _kill_left(processes: list[Owned]) -> bool:
    left = [pid for process in processes for pid in session_members(process)]
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _reaped(processes)
    return bool(left)
