"""Serve the clusters until told to stop: ``python -m sandbox.kubernetes``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading

from sandbox.kubernetes.server import SandboxClusters


def main() -> None:
    """Print the endpoint as one JSON line once it listens; stop on SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.kubernetes", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--pace", type=float, default=0.5, help="seconds until a controller acts")
    parser.add_argument(
        "--while-stdin", action="store_true", help="stop when standard input is closed"
    )
    parser.add_argument("clusters", nargs="*", help="names of clusters to begin with")
    args = parser.parse_args()
    stop = threading.Event()
    if args.while_stdin:  # whoever holds the other end may die without saying goodbye
        threading.Thread(target=_watch_stdin, args=(stop,), daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = SandboxClusters(host=args.host, port=args.port, pace=args.pace).start()
    for name in args.clusters:
        server.add(name)
    print(json.dumps({"endpoint": server.endpoint}), flush=True)
    stop.wait()
    server.stop()


def _watch_stdin(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    main()
