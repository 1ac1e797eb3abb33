"""Keeps the tests away from whatever Airflow, AWS account and configuration the machine has."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let `make test-full` run two modules at once, of which one does little but wait."""
    for item in items:
        idle = bool(getattr(getattr(item, "module", None), "MOSTLY_WAITS", False))
        item.add_marker(pytest.mark.xdist_group("waiting" if idle else "working"))


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
