"""The embedded AWS, and a connection to it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from phased_rollout import aws as sessions
from sandbox.aws.client import SandboxAws


@pytest.fixture(scope="module")
def aws() -> Iterator[SandboxAws]:
    with SandboxAws.start() as running:
        yield running


@pytest.fixture
def connected(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxAws]:
    extra = {
        "endpoint_url": aws.endpoint,
        "service_config": {"sts": {"endpoint_url": aws.endpoint}},
    }
    content = {"conn_type": "aws", "login": "sandbox", "password": "sandbox", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps(content))
    sessions.forget()
    yield aws
    aws.clear_faults()
    aws.clear_bans()
    sessions.forget()
