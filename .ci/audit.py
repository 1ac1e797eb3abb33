"""Asks an advisory service (OSV) about every version that constraints.txt pins.

Exit status: 0 nothing is known of them, 1 something is, 3 the service could not be asked. Pins of
another Python or platform than this one are not asked about.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TOOL = "pip-audit==2.10.1"
ACCEPTED: dict[str, str] = {}
"""Advisories that do not concern this project: id to why."""
CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 3
_ROOT = Path(__file__).resolve().parents[1]
_ARGUMENTS = "--no-deps --disable-pip --progress-spinner off --vulnerability-service osv"


def asked(uv: str) -> subprocess.CompletedProcess[str]:
    """Run the tool, in an environment of its own."""
    command = [uv, "tool", "run", "--from", TOOL, "pip-audit", *_ARGUMENTS.split()]
    command += ["--requirement", str(_ROOT / "constraints.txt"), "--format", "json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 our own


def verdict(done: subprocess.CompletedProcess[str]) -> tuple[int, list[str]]:
    """Give the exit status and what to say.

    The tool ends with 1 both for what it found and for a service that it cannot reach, so what it
    printed decides: an answer names every dependency.
    """
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return NOT_AUDITED, [f"not audited, for {TOOL} got no answer: {said[:300]}"]
    skipped = [f"not audited: {d['name']}: {d['skip_reason']}" for d in found if "skip_reason" in d]
    bad = [
        f"{d['name']} {d['version']}: {v['id']}, mended in {', '.join(v['fix_versions']) or 'none'}"
        for d in found
        for v in d.get("vulns", ())
        if v["id"] not in ACCEPTED
    ]
    if bad:
        return VULNERABLE, [*bad, *skipped]
    if skipped or not found:
        return NOT_AUDITED, skipped or ["not audited: the answer names no dependency"]
    return CLEAN, [f"{len(found)} pins, of none of which an advisory is known"]


if __name__ == "__main__":
    status, lines = verdict(asked(sys.argv[1]))
    sys.stdout.write("\n".join([*lines, ""]))
    sys.exit(status)
