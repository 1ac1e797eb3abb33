"""Starts the processes of a stack one by one and tells when they are healthy."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import Thread

import requests

from sandbox.kubernetes.client import SandboxKubernetes
from sandbox.stack.api import ApiError, Client
from sandbox.stack.configs import clusters_of, tenants_of
from sandbox.stack.database import DATABASE, Database, prepare_database
from sandbox.stack.environment import PROJECT, Settings, build_env, write_private
from sandbox.stack.processes import Owned, is_alive, spawn, wait_until
from sandbox.stack.registry import Registry

COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # No log servers: everything reads the same folder, and they would listen on all interfaces.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
START_TIMEOUT = 240.0
_TAIL_LINES = 25


class StackError(RuntimeError):
    """The stack could not be started or is not what was asked for; the text says what to do."""


class Launcher:
    """Starts what `settings` describe and records it in the state folder.

    :param settings: what to start; address of database and sandbox are filled in on the way
    :param more: components beside the usual ones: name to arguments of ``airflow``
    """

    def __init__(
        self, settings: Settings, *, more: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self.settings = settings
        self._components = {**COMPONENTS, **(more or {})}
        self.registry = Registry(url=settings.url)
        self._popen: dict[Owned, subprocess.Popen[bytes]] = {}
        self._database: Database | None = None
        self._warmed = False

    def launch(self, *, aws: bool) -> None:
        """Start everything and return when it is healthy.

        :raises StackError: when a part ends or does not come up
        """
        began = time.time()
        passwords = json.dumps(dict(self.settings.secrets.passwords))
        write_private(self.settings.passwords_file, passwords)
        sandbox = self._spawn_aws() if aws else None
        clusters = self._spawn_clusters()
        tenants = self._spawn_tenants()
        self._start_database()
        self._migrate()
        if sandbox is not None:
            self._wait_for_aws(sandbox)
        if clusters is not None:
            self._wait_for_clusters(*clusters)
        if tenants is not None:
            endpoint = self._endpoint_of(tenants)
            self.settings = replace(self.settings, tenants_endpoint=endpoint)
        for name in self._components:
            self.spawn_component(name)
        self.wait_healthy(began=began)

    def env(self) -> dict[str, str]:
        """Return the environment of the stack's processes."""
        return build_env(self.settings, inherited=os.environ)

    def log(self, name: str) -> Path:
        """Return the file with a process's output."""
        return self.settings.state / "logs" / f"{name}.log"

    def newest(self, name: str) -> Owned:
        """Return the process of a component that was started last."""
        found = self.registry.named(name)
        if not found:
            known = ", ".join(dict.fromkeys(process.name for process in self.registry.processes))
            raise StackError(f"no component {name!r} was started, only: {known}")
        return found[-1]

    def reap(self) -> None:
        """Take note of ended children."""
        for popen in self._popen.values():
            popen.poll()

    def spawn_component(self, name: str) -> None:
        """Start one of Airflow's components, or the database."""
        if name == DATABASE:
            self._start_database()
            return
        self._spawn(name, [_airflow(), *self._components[name]])

    def wait_healthy(self, *, began: float, revive: bool = False) -> None:
        """Return when every component has reported itself healthy since `began`.

        :param revive: start again what has ended, as whatever supervises them does
        :raises StackError: when one has ended, or they do not within START_TIMEOUT
        """
        client = Client(self.settings.url, user="", password="", timeout=5)
        self._warmed = False

        def healthy() -> bool:
            newest = [self.newest(name) for name in self._components]
            for ended in [p for p in newest if revive and not is_alive(p)]:
                self.spawn_component(ended.name)
                newest.remove(ended)
            self._check_alive(newest)
            try:
                report = client.health()
            except (requests.RequestException, ApiError):
                return False
            self._warm_up()
            return all_healthy(report, began=began)

        if not wait_until(healthy, timeout=START_TIMEOUT, interval=0.1):
            logs = ", ".join(str(self.log(name)) for name in self._components)
            raise StackError(f"Airflow is not healthy after {START_TIMEOUT:.0f} s, see {logs}")

    def _warm_up(self) -> None:
        """Let the API server make ready what tasks call, which takes it seconds, once it is up."""
        if self._warmed:
            return
        self._warmed = True
        url = f"{self.settings.url}/execution/health"
        Thread(target=_ask, args=(url,), daemon=True).start()

    def _spawn(
        self,
        name: str,
        command: list[str],
        *,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> Owned:
        process, popen = spawn(
            command,
            name=name,
            env=self.env() if env is None else env,
            cwd=PROJECT,
            log=self.log(name),
            user=user,
        )
        self._popen[process] = popen
        self.registry = self.registry.with_process(process)
        self.registry.save(self.settings.state)
        return process

    def _start_database(self) -> None:
        if self._database is None:
            self._database = prepare_database(self.settings.state / "pg")
            self.settings = replace(self.settings, database_url=self._database.url)
            self.registry = replace(self.registry, traces=self._database.traces)
        database = self._database
        process = self._spawn(DATABASE, list(database.command), env={}, user=database.user)

        def ready() -> bool:
            self._check_alive([process])
            return database.is_ready(process.pid)

        if not wait_until(ready, timeout=START_TIMEOUT):
            raise StackError(f"PostgreSQL is not ready:\n{self._tail(DATABASE)}")

    def _migrate(self) -> None:
        process = self._spawn("migrate", [_airflow(), "db", "migrate"])
        if self._popen[process].wait(timeout=START_TIMEOUT) != 0:
            raise StackError(f"`airflow db migrate` failed:\n{self._tail('migrate')}")

    def _spawn_aws(self) -> Owned:
        self.log("aws").unlink(missing_ok=True)
        calls = self.settings.aws_log
        calls.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "sandbox.aws", "--port", "0", "--log", str(calls)]
        return self._spawn("aws", command)

    def _wait_for_aws(self, process: Owned) -> None:
        endpoint = self._endpoint_of(process)
        self.settings = replace(self.settings, aws_endpoint=endpoint)
        self.registry = replace(self.registry, aws_endpoint=endpoint)

    def _spawn_clusters(self) -> tuple[Owned, list[str]] | None:
        """Start the clusters that the configuration names, if it names any."""
        names = clusters_of(self.settings.folders.config)
        if not names:
            return None
        self.log("kubernetes").unlink(missing_ok=True)
        command = [sys.executable, "-m", "sandbox.kubernetes", *names]
        return self._spawn("kubernetes", command), names

    def _wait_for_clusters(self, process: Owned, names: list[str]) -> None:
        found = SandboxKubernetes(self._endpoint_of(process)).kubeconfig(*names)
        write_private(self.settings.kubeconfig, json.dumps(found))
        self.settings = replace(self.settings, kubernetes=True)

    def _spawn_tenants(self) -> Owned | None:
        """Start the control plane of the tenants that the configuration names, if it names any."""
        names = tenants_of(self.settings.folders.config)
        if not names:
            return None
        self.log("tenants").unlink(missing_ok=True)
        return self._spawn("tenants", [sys.executable, "-m", "sandbox.tenants", *names])

    def _endpoint_of(self, process: Owned) -> str:
        def known() -> bool:
            self._check_alive([process])
            return self._announced(process.name) is not None

        if not wait_until(known, timeout=START_TIMEOUT):
            tail = self._tail(process.name)
            raise StackError(f"the sandbox {process.name} told no endpoint:\n{tail}")
        return str(self._announced(process.name))

    def _announced(self, name: str) -> str | None:
        for line in self.log(name).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                return str(json.loads(line)["endpoint"])
        return None

    def _check_alive(self, processes: list[Owned]) -> None:
        for process in processes:
            if not is_alive(process):
                tail = self._tail(process.name)
                raise StackError(f"{process.name} ended, the end of its log is:\n{tail}")

    def _tail(self, name: str) -> str:
        lines = self.log(name).read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])


def all_healthy(report: Mapping[str, Mapping[str, str | None]], *, began: float) -> bool:
    """Tell whether Airflow's health report speaks of components of which each is up since `began`.

    Airflow also calls a component healthy whose predecessor was alive within the last half minute.
    """
    if report.get("metadatabase", {}).get("status") != "healthy":
        return False
    for name in ("scheduler", "triggerer", "dag_processor"):
        part = report.get(name) or {}
        beat = part.get(f"latest_{name}_heartbeat")
        if part.get("status") != "healthy" or beat is None:
            return False
        if datetime.fromisoformat(beat).timestamp() < began:
            return False
    return True


def has_sandbox_aws() -> bool:
    """Tell whether the sandbox AWS is there to be started."""
    try:
        return importlib.util.find_spec("sandbox.aws.__main__") is not None
    except ModuleNotFoundError:
        return False


def _ask(url: str) -> None:
    with suppress(requests.RequestException), requests.Session() as session:
        session.trust_env = False
        session.get(url, timeout=60)


def _airflow() -> str:
    return str(Path(sys.executable).parent / "airflow")
