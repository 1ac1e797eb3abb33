"""Serve the tenants until told to stop: ``python -m sandbox.tenants``."""

from __future__ import annotations

import argparse
import json
import signal
import threading

from sandbox.tenants.server import SandboxTenants


def main() -> None:
    """Print the endpoint as one JSON line once it listens; stop on SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.tenants", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds that an upgrade takes")
    parser.add_argument("tenants", nargs="*", help="ids of tenants to begin with")
    args = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = SandboxTenants(host=args.host, port=args.port, pace=args.pace).start()
    for name in args.tenants:
        server.plane.put(name, {"version": "2.3.0", "settings": {"theme": "light"}}, None)
    server.plane.settle()
    print(json.dumps({"endpoint": server.endpoint}), flush=True)
    stop.wait()
    server.stop()


if __name__ == "__main__":
    main()
