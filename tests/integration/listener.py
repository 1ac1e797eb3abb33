"""Hears what a rollout tells by Airflow's HttpNotifier."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Json = dict[str, Any]
NOTIFY = {
    "notifier": "airflow.providers.http.notifications.HttpNotifier",
    "with": {
        "http_conn_id": "listener",
        "endpoint": "/told",
        "json": {
            "event": "{{ event }}",
            "channel": "{{ channel }}",
            "run": "{{ run_id }}",
            "message": "{{ message }}",
        },
    },
}
"""The entry under ``notify`` in channels.yaml."""


class Listener:
    """An HTTP server on a free loopback port; what it was told is kept, in order."""

    def __init__(self) -> None:
        self.heard: list[Json] = []

    def listen(self) -> dict[str, str]:
        """Start; gives the environment of an Airflow that shall find it."""
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.append(json.loads(body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        where = {"conn_type": "http", "host": "127.0.0.1", "port": server.server_port}
        return {"AIRFLOW_CONN_LISTENER": json.dumps(where)}
