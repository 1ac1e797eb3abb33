"""Runs the stand-ins as one HTTP server in this process: a cluster below ``/clusters/NAME``."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sandbox.kubernetes.api import Http, answer, request_of
from sandbox.kubernetes.cluster import Cluster
from sandbox.kubernetes.controllers import Controllers
from sandbox.kubernetes.errors import ApiError
from sandbox.kubernetes.faults import Fault, Faults, Journal
from sandbox.kubernetes.pods import Pods

Json = dict[str, Any]

TOKEN = "sandbox-token"  # noqa: S105  # known to everybody, and good here only
_LINGER_ZERO = struct.pack("ii", 1, 0)  # closing then sends a reset
_TICK = 0.01


class SandboxClusters:
    """The clusters, what is injected into them, and the server that they are reached at.

    :param pace: seconds until a controller acts, and again until pods run
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, pace: float = 0.05) -> None:
        self.pace = pace
        self.clusters: dict[str, Cluster] = {}
        self.faults = Faults()
        self.journal = Journal()
        self._controllers: dict[str, Controllers] = {}
        self._stopping = threading.Event()
        self._server = _Server((host, port), self)
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=self._tick, daemon=True),
        ]

    @property
    def endpoint(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> SandboxClusters:
        """Serve on a thread; the socket listens already."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; connections that are kept alive end with this process."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(timeout=5)

    def add(self, name: str) -> Cluster:
        """Make a cluster, or give the one that there is."""
        if name not in self.clusters:
            cluster = Cluster(name)
            self._controllers[name] = Controllers(cluster, pace=self.pace)
            self.clusters[name] = cluster
        return self.clusters[name]

    def administer(self, method: str, name: str, query: dict[str, str], body: Json) -> Json:
        """Answer what is asked below ``/_sandbox/``; raises KeyError, TypeError or ValueError."""
        match method, name:
            case "POST", "clusters":
                for each in body["names"]:
                    self.add(each)
            case "POST", "faults":
                return asdict(self.faults.add(Fault(**body)))
            case "DELETE", "faults":
                self.faults.remove(query.get("id"))
            case "GET", "calls":
                return {"calls": self.journal.calls(**query)}
            case "DELETE", "calls":
                self.journal.clear()
            case "POST", "settings":
                self.pace = float(body["pace"])
                for controllers in self._controllers.values():
                    controllers.pace = self.pace
            case "POST", "crashes":
                pods = Pods(self.clusters[body["cluster"]])
                return {"containers": pods.crash(body["namespace"], body["workload"])}
            case "GET", "health":
                return {"status": "ok", "clusters": sorted(self.clusters)}
            case _:
                raise KeyError(f"{method} {name}")
        return {}

    def _tick(self) -> None:
        while not self._stopping.wait(_TICK):
            for controllers in list(self._controllers.values()):
                controllers.tick()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: SandboxClusters) -> None:
        self.sandbox = sandbox
        super().__init__(address, _Handler)

    def handle_error(self, *_: Any) -> None:
        """Say nothing: whoever broke the connection knows."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Log nothing here: the journal has it all."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        if url.path.startswith("/_sandbox/"):
            self._administer(url.path.removeprefix("/_sandbox/"), query, body)
            return
        _, _, rest = url.path.partition("/clusters/")
        name, _, path = rest.partition("/")
        kind = (self.headers.get("Content-Type") or "").partition(";")[0]
        agent = self.headers.get("User-Agent") or ""
        self._api(name, Http(self.command, path, query, kind, agent, body))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _administer(self, name: str, query: dict[str, str], body: bytes) -> None:
        try:
            given = json.loads(body) if body else {}
            self._send(200, self.server.sandbox.administer(self.command, name, query, given))
        except (KeyError, TypeError, ValueError) as error:
            self._send(400, {"error": f"{type(error).__name__}: {error}"})

    def _api(self, name: str, http: Http) -> None:
        sandbox = self.server.sandbox
        request = request_of(name, http)
        fault = sandbox.faults.take(request)
        kind = fault.kind if fault else None
        if fault and kind == "slow":
            time.sleep(fault.seconds)
        if kind == "reset":
            sandbox.journal.add(request, code=None, fault=kind)
            self._drop()
            return
        try:
            if fault and kind == "error":
                raise ApiError(fault.code, fault.reason, fault.message)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise ApiError(401, "Unauthorized", "Unauthorized")
            if name not in sandbox.clusters:
                raise ApiError(404, "NotFound", f"there is no cluster {name!r} in the sandbox")
            code, found = answer(sandbox.clusters[name], http)
        except ApiError as error:
            code, found = error.code, error.body()
        sandbox.journal.add(request, code=code, fault=kind)
        if kind == "lost_reply":
            self._drop()
            return
        self._send(code, found)

    def _send(self, code: int, found: Json) -> None:
        data = json.dumps(found).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        with contextlib.suppress(OSError):
            os.close(self.connection.detach())

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
