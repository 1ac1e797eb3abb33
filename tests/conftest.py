"""Keeps the tests away from whatever Airflow, AWS account and configuration the machine has."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MOSTLY_WAIT = tuple(
    f"tests/integration/test_{name}.py"
    for name in ("distributed", "health", "kills", "metadpata", "restarts")
)
"""Modules that take little of the machine."""

for name in [n for n in os.environ if n.startswith(("AIRFLOW", "AWS_", "PHASED_ROLLOUT_"))]:
    del os.environ[name]

# Airflow reads these when it is imported, so they are set before any test module is.
_HOME = tempfile.mkdtemp(prefix="phased-rollout-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ |= {
    "AIRFLOW_HOME": _HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let ``pytest tests/contract`` look at the substrate of another package."""
    parser.addoption(
        "--harness",
        action="append",
        default=[],
        metavar="MODULE:CLASS",
        help="run the contract suite on this harness instead of the project's own",
    )


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let `--dist loadgroup` run two modules at once, of which one does little but wait.

    The groups of pytest-xdist 3.8 itself do not work with the node ids of pytest 9.2.
    """
    if config.getoption("dist") != "loadgroup":
        return None
    from xdist.scheduler.loadscope import LoadScopeScheduling  # noqa: PLC0415 - not always there

    class TwoGroups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "waiting" if nodeid.startswith(MOSTLY_WAIT) else "working"

    return TwoGroups(config, log)


@pytest.fixture(scope="module")
def stack_folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Give a folder for a running system; it is kept when a test of the module fails.

    Not below pytest's own, which every run of pytest closes to other users again: PostgreSQL,
    which never runs as root, would lose its files when a second one starts.
    """
    folder = Path(tempfile.mkdtemp(prefix="phased-rollout-stack-"))
    failed = request.session.testsfailed
    yield folder
    if request.session.testsfailed == failed:
        shutil.rmtree(folder, ignore_errors=True)
