"""Runs the control plane as an HTTP server: tenants below ``/control/v1/tenants/ID``."""

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
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.tenants.access import BASE, TOKEN, connection_to
from sandbox.tenants.faults import Fault, Faults, Journal, Request
from sandbox.tenants.plane import Plane, PlaneError, Tenant

Json = dict[str, Any]

TENANTS = f"{BASE}/v1/tenants"
_ACCEPTED = 202
_LINGER_ZERO = struct.pack("ii", 1, 0)  # closing then sends a reset


class SandboxTenants:
    """The control plane, what is injected into it, and the server that it is reached at.

    :param pace: seconds that an upgrade takes
    :param etags: strong, weak, or none
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        pace: float = 0.02,
        etags: str = "strong",
    ) -> None:
        self.plane = Plane(pace=pace)
        self.etags = etags
        self.faults = Faults()
        self.journal = Journal()
        self._server = _Server((host, port), self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def endpoint(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def connection(self) -> str:
        """The Airflow connection to it."""
        return connection_to(self.endpoint)

    def start(self) -> SandboxTenants:
        """Serve on a thread; the socket listens already."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; connections that are kept alive end with this process."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def administer(self, method: str, name: str, query: dict[str, str], body: Json) -> Json:
        """Answer what is asked below ``/_sandbox/``; raises KeyError, TypeError or ValueError."""
        match method, name:
            case "GET", "health":
                return {"status": "ok"}
            case "GET", "tenants":
                return {"tenants": self.plane.list()}
            case "POST", "tenants":
                self.plane.touch(body.pop("id"), **body)
            case "POST", "settings":
                self.plane.pace = float(body.get("pace", self.plane.pace))
                self.etags = str(body.get("etags", self.etags))
            case "POST", "faults":
                return asdict(self.faults.add(Fault(**body)))
            case "DELETE", "faults":
                self.faults.remove(query.get("id"))
            case "GET", "calls":
                return {"calls": self.journal.calls(**query)}
            case "DELETE", "calls":
                self.journal.clear()
            case _:
                raise KeyError(f"{method} {name}")
        return {}


def _tenant(found: Any) -> Tenant | None:
    return found if isinstance(found, Tenant) else None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], sandbox: SandboxTenants) -> None:
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
        data = self.rfile.read(length) if length else b""
        url = urlsplit(self.path)
        if url.path.startswith("/_sandbox/"):
            query = dict(parse_qsl(url.query))
            self._administer(url.path.removeprefix("/_sandbox/"), query, data)
            return
        tenant, _, rest = url.path.removeprefix(TENANTS + "/").partition("/")
        known = url.path.startswith(TENANTS + "/")
        request = Request(
            self.command,
            self.path,
            unquote(tenant) if known else "",
            "" if self.headers.get("If-None-Match") == "*" else self.headers.get("If-Match"),
            self.headers.get("Idempotency-Key"),
        )
        self._api(request, rest, data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _administer(self, name: str, query: dict[str, str], data: bytes) -> None:
        try:
            given = json.loads(data) if data else {}
            self._send(200, self.server.sandbox.administer(self.command, name, query, given))
        except (KeyError, TypeError, ValueError, PlaneError) as error:
            self._send(400, {"error": f"{type(error).__name__}: {error}"})

    def _api(self, request: Request, rest: str, data: bytes) -> None:
        sandbox = self.server.sandbox
        fault = sandbox.faults.take(request)
        kind = fault.kind if fault else None
        if fault and kind == "slow":
            time.sleep(fault.seconds)
        if fault and kind == "meddle":
            sandbox.plane.touch(request.tenant, **fault.sets)
        if fault and kind == "error":
            sandbox.journal.add(request, status=fault.status, fault=kind)
            self._send(fault.status, fault.body, **fault.headers)
            return
        if kind == "reset":
            sandbox.journal.add(request, status=None, fault=kind)
            self._drop()
            return
        status, body, tenant = self._answer(request, rest, data)
        sandbox.journal.add(request, status=status, fault=kind)
        if kind == "lost_reply":
            self._drop()
            return
        self._send(status, body, **self._tags(tenant))

    def _answer(self, request: Request, rest: str, data: bytes) -> tuple[int, Any, Tenant | None]:
        try:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise PlaneError(401, "unauthorized", "who are you?")
            status, found = self._done(request, rest, json.loads(data) if data else {})
        except PlaneError as error:
            return error.status, error.body(), None
        except ValueError:
            return 400, {"error": {"code": "malformed", "message": "this is no JSON"}}, None
        return status, found.view() if isinstance(found, Tenant) else found, _tenant(found)

    def _done(self, request: Request, rest: str, given: Json) -> tuple[int, Any]:
        plane, name = self.server.sandbox.plane, request.tenant
        match request.method, rest:
            case "GET", "" if name:
                return 200, plane.get(name)
            case "POST", "preview":
                return 200, plane.rehearse(name, given)
            case "PUT", "" if name:
                return plane.put(name, given, request.if_match)
            case "PATCH", "" if name:
                status, tenant = plane.patch(name, given, request.if_match)
                return (status, tenant) if status == _ACCEPTED else (204, None)
            case "DELETE", "" if name:
                plane.delete(name, request.if_match)
                return 204, None
        raise PlaneError(404, "not_found", "there is no such resource")

    def _tags(self, tenant: Tenant | None) -> dict[str, str]:
        if tenant is None or self.server.sandbox.etags == "none":
            return {}
        weak = "W/" if self.server.sandbox.etags == "weak" else ""
        return {"ETag": weak + tenant.etag}

    def _send(self, status: int, body: Any, **headers: str) -> None:
        data = (
            b""
            if body is None
            else body.encode()
            if isinstance(body, str)
            else json.dumps(body).encode()
        )
        self.send_response(status)
        if data:
            self.send_header("Content-Type", "application/json")
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:  # noqa: PLR2004
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
