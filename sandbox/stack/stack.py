"""The local stack as tests and the demo hold it in their hands."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.stack.api import Client
from sandbox.stack.database import CRASH_SIGNAL, DATABASE
from sandbox.stack.environment import (
    DEFAULT_STATE,
    PROJECT,
    Folders,
    Settings,
    free_ports,
    load_secrets,
)
from sandbox.stack.launcher import Launcher, StackError, has_sandbox_aws
from sandbox.stack.processes import end, is_alive, session_members, signal_if_ours, wait_until
from sandbox.stack.registry import Registry, stop_recorded


class Stack:
    """Airflow on an embedded PostgreSQL, and the sandbox AWS, on free ports of this machine.

    Use it as a context manager; what it started ends with the block, and also when this process is
    killed. With `detach` it stays until `stop_recorded(state)`.

    :param state: folder for everything that it writes: database, logs, records, secrets
    :param dags: folder of the Dags, instead of the project's
    :param plugins: folder of the plugins, instead of the project's
    :param config: channels.yaml to use, instead of the project's
    :param env: additional environment, which has the last word
    :param detach: keep running when this process ends
    :param aws: whether to start the sandbox AWS; None does when it is installed
    :param more: further components of Airflow, such as Celery workers: name to arguments
    """

    def __init__(
        self,
        state: Path = DEFAULT_STATE,
        *,
        dags: Path | None = None,
        plugins: Path | None = None,
        config: Path | None = None,
        env: Mapping[str, str] | None = None,
        detach: bool = False,
        aws: bool | None = None,
        more: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.state = state.resolve()
        project = Folders()
        self._folders = Folders(
            dags=(dags or project.dags).resolve(),
            plugins=(plugins or project.plugins).resolve(),
            config=(config or project.config).resolve(),
        )
        self._env = dict(env or {})
        self._more = more
        self._detach = detach
        self._aws = has_sandbox_aws() if aws is None else aws
        self._guard: subprocess.Popen[bytes] | None = None
        self._launcher: Launcher | None = None

    # starting and stopping

    def start(self) -> Self:
        """Start everything and return when it is healthy.

        :raises StackError: when a stack already runs on this folder, or a part does not come up
        """
        self._claim_folder()
        try:
            self._launcher = Launcher(self._choose_settings(), more=self._more)
            self._launcher.launch(aws=self._aws)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything; returns when nothing is left.

        :raises ProcessesLeftError: when something survives
        """
        stop_recorded(self.state)
        if self._launcher is not None:
            self._launcher.reap()
        if self._guard is not None:
            self._guard.communicate(timeout=60)
            self._guard = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    # what was started

    @property
    def settings(self) -> Settings:
        """What the stack was started with: ports, folders, addresses, secrets."""
        return self._started().settings

    @property
    def url(self) -> str:
        """The address of the API server and the user interface."""
        return self.settings.url

    @property
    def aws_endpoint(self) -> str:
        """The address of the sandbox AWS."""
        if self.settings.aws_endpoint is None:
            raise StackError("the stack was started without the sandbox AWS")
        return self.settings.aws_endpoint

    @property
    def aws_log(self) -> Path:
        """The sandbox's log of every call."""
        return self.settings.aws_log

    @property
    def records(self) -> Path:
        """The folder of the record store."""
        return self.settings.records

    @property
    def passwords(self) -> Mapping[str, str]:
        """The passwords of the users."""
        return self.settings.secrets.passwords

    def client(self, user: str = "operator") -> Client:
        """Return the REST API as one of the users: admin, operator, approver, viewer."""
        return Client(self.url, user=user, password=self.passwords[user])

    def env(self) -> dict[str, str]:
        """Return the environment of the stack's processes, for a command of one's own."""
        return self._started().env()

    def log(self, component: str) -> Path:
        """Return the file with a component's output."""
        return self._started().log(component)

    # disturbing it: api-server, scheduler, dag-processor, triggerer, aws, postgres

    def pid(self, component: str) -> int:
        """Return the process id of a component, as it was last started."""
        return self._started().newest(component).pid

    def members(self, component: str) -> list[int]:
        """Return the ids of a component's processes: itself, its workers, the tasks they run."""
        return session_members(self._started().newest(component))

    def kill(self, component: str, *, children: bool = True, number: int = signal.SIGKILL) -> None:
        """Kill a component, with or without what it started (workers and the tasks they run).

        The database ends as in a crash, with its clients' sessions.
        """
        process = self._started().newest(component)
        if component == DATABASE:
            children, number = False, CRASH_SIGNAL
        if children:
            end([process], number=number, grace=5)
            return
        signal_if_ours(process, number)
        if not wait_until(lambda: not is_alive(process), timeout=30):
            raise StackError(f"{component} ignored signal {number}")

    def restart(self, *components: str) -> None:
        """Start components again after `kill`; returns when all are healthy.

        With the database comes again what has ended without it.
        """
        began = time.time()
        for component in sorted(components, key=lambda name: name != DATABASE):
            self._started().spawn_component(component)
        self._started().wait_healthy(began=began, revive=DATABASE in components)

    def _started(self) -> Launcher:
        if self._launcher is None:
            raise StackError("the stack was not started")
        return self._launcher

    def _choose_settings(self) -> Settings:
        port, *log_ports = free_ports(3)
        return Settings(
            state=self.state,
            port=port,
            log_ports=(log_ports[0], log_ports[1]),
            database_url="",
            secrets=load_secrets(self.state),
            extra_env=self._env,
            folders=self._folders,
        )

    def _claim_folder(self) -> None:
        registry = Registry.load(self.state)
        if registry is not None and registry.running():
            raise StackError(f"a stack already runs on {self.state}: end it with `make down` first")
        stop_recorded(self.state)
        self.state.mkdir(parents=True, exist_ok=True)
        Registry().save(self.state)
        if not self._detach:
            self._guard = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "sandbox.stack.guard", str(self.state)],
                stdin=subprocess.PIPE,
                cwd=PROJECT,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
                start_new_session=True,
            )
