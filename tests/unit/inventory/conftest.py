"""An embedded AWS that is an organization, and the connection that leads to it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from phased_rollout import aws as sessions
from sandbox.aws.client import SandboxAws


@pytest.fixture(scope="session")
def running() -> Iterator[SandboxAws]:
    with SandboxAws.start() as running:
        yield running


@pytest.fixture
def aws(running: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxAws]:
    extra = {
        "endpoint_url": running.endpoint,
        "service_config": {"sts": {"endpoint_url": running.endpoint}},
    }
    content = {"conn_type": "aws", "login": "sandbox", "password": "sandbox", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(content))
    sessions.forget()
    running.clear_calls()
    yield running
    running.no_organization()
    running.clear_faults()
    sessions.forget()
