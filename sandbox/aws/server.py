"""Runs the embedded AWS as an HTTP server, in this process."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from sandbox.aws.admin import Admin
from sandbox.aws.backends import backend, reset_all
from sandbox.aws.cloudformation.engine import Engine
from sandbox.aws.cloudformation.service import CloudFormation
from sandbox.aws.denials import Denials
from sandbox.aws.faults import Faults
from sandbox.aws.gateway import Gateway, StartResponse, WsgiApp
from sandbox.aws.identity import MANAGEMENT_ACCOUNT, Identities
from sandbox.aws.journal import Journal
from sandbox.aws.organizations import Organizations
from sandbox.aws.pace import Pace
from sandbox.aws.permissions import Permissions
from sandbox.aws.runcommand.service import RunCommand
from sandbox.aws.scheduler import Scheduler
from sandbox.aws.wire import Environ
from sandbox.aws.workloads import Workloads

_LINGER_ZERO = struct.pack("ii", 1, 0)  # closing then sends a reset
_PRELOADED = ("ssm", "logs", "sns", "sqs", "cloudwatch")


class _Handler(MotoRequestHandler):
    """Silent, and able to reset its connection."""

    def make_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().make_environ()
        environ["sandbox.drop"] = self._reset_connection
        return environ

    def _reset_connection(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        os.close(self.connection.detach())

    def connection_dropped(self, *_: object) -> None:
        self.close_connection = True

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the socket of a reset connection is gone
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing here: the journal has it all."""


class SandboxServer:
    """The server with all its parts. Several of one process share moto's state."""

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, log: Path | None = None) -> None:
        self.pace = Pace()
        self._stopping, self._loaded = threading.Event(), threading.Event()
        self._scheduler = Scheduler()
        self._workloads = Workloads()
        self._journal = Journal(log)
        denials, faults, identities = Denials(), Faults(), Identities()
        permissions = Permissions()
        organizations = Organizations()
        engine = Engine(self._scheduler, self.pace, denials, self._workloads.touch)
        self._cloudformation = CloudFormation(engine=engine)
        self._run_command = RunCommand(self._scheduler, self.pace)
        gateway = Gateway(
            moto=self._once_loaded(DomainDispatcherApplication(create_backend_app)),
            admin=Admin(
                journal=self._journal, faults=faults, denials=denials,
                workloads=self._workloads, identities=identities, permissions=permissions,
                organizations=organizations, run_command=self._run_command, pace=self.pace,
                on_reset=self._reset,
            ),
            cloudformation=self._cloudformation,
            identities=identities,
            permissions=permissions,
            organizations=organizations,
            run_command=self._run_command,
            faults=faults,
            journal=self._journal,
            pace=self.pace,
            stopping=self._stopping,
        )  # fmt: skip
        self._server: BaseWSGIServer = make_server(
            host, port, gateway, threaded=True, request_handler=_Handler
        )
        self._thread = threading.Thread(target=self._serve, name="aws", daemon=True)

    @property
    def endpoint(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> SandboxServer:
        """Serve on a thread; the socket listens already."""
        self._thread.start()
        threading.Thread(target=self._preload, name="preload", daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop serving; stack operations that are in progress stay so."""
        self._stopping.set()
        self._server.shutdown()
        self._thread.join(timeout=5)
        self._scheduler.stop()
        self._workloads.stop()
        self._journal.close()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.1)

    def _reset(self) -> None:
        self._cloudformation.registry.reset()
        self._run_command.reset()
        reset_all()

    def _preload(self) -> None:
        """Import what the first calls will need, while nobody waits for it."""
        try:
            import_module("moto.iam.access_control")
            for service in _PRELOADED:
                backend(service, account=MANAGEMENT_ACCOUNT, region="us-east-1")
        finally:
            self._loaded.set()

    def _once_loaded(self, app: WsgiApp) -> WsgiApp:
        """Let nothing reach moto while it is being imported: that is not safe from two threads."""

        def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            self._loaded.wait()
            return app(environ, start_response)

        return answer
