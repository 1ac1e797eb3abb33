"""Chooses the kinds of substrate that the suite looks at."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

import pytest

from tests.contract.harness import Harness

BUILT_IN = {
    "folders": "tests.contract.folders:FoldersHarness",
    "cloudformation": "tests.contract.cloudformation:CloudFormationHarness",
    "fleets": "tests.contract.fleets:FleetsHarness",
    "kubernetes": "tests.contract.kubernetes:KubernetesHarness",
    "tenants": "tests.contract.tenants:TenantsHarness",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run on the harness that the command line names, else on all of the project's own."""
    if "harness" in metafunc.fixturenames:
        given = metafunc.config.getoption("--harness")
        kinds = {path.rpartition(":")[2]: path for path in given} or BUILT_IN
        metafunc.parametrize("harness", kinds.values(), ids=kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """Build a harness by ``module:attribute``, once for all tests."""
    module, _, attribute = request.param.partition(":")
    made: Harness = getattr(import_module(module), attribute)()
    yield made
    made.close()
