"""Measures the rollouts and writes docs/performance.md: make bench."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from bench import overhead, parsing
from bench.report import Row, made_by, rendered, write

SECTIONS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "parsing": lambda given: parsing.rows(runs=given.runs),
    "overhead": lambda given: overhead.rows(runs=given.runs),
}


def main() -> int:
    """Measure each section that is asked for, print it and write it into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    given = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    for name in given.only:
        began = time.monotonic()
        rows = SECTIONS[name](given)
        command = f"make bench ONLY={name} RUNS={given.runs}"
        took = f"; load when it ended {os.getloadavg()[0]:.1f}, {time.monotonic() - began:.0f} s"
        made = made_by(command, day=datetime.now(UTC).date(), more=took)
        lines = rendered(rows, made=made)
        write(name, lines)
        sys.stdout.write("\n".join([f"## {name}", *lines, ""]) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
