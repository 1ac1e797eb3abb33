"""A rollout in a temporary record store, over targets in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl

from phased_rollout import health, substrates
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Channel
from phased_rollout.operators import apply as apply_module
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import a_plan
from tests.fakes import FakeSignal, FakeSubstrate


@pytest.fixture
def substrate(monkeypatch: pytest.MonkeyPatch) -> FakeSubstrate:
    """Let every rollout of the test reach targets in memory."""
    fake = FakeSubstrate()
    monkeypatch.setattr(substrates, "build", lambda _: fake)
    return fake


@pytest.fixture
def signal(monkeypatch: pytest.MonkeyPatch) -> FakeSignal:
    """Let every channel have one signal."""
    fake = FakeSignal()
    monkeypatch.setattr(health, "build", lambda _: [fake])
    return fake


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep all records of the test in a folder."""
    monkeypatch.setenv("PHASED_ROLLOUT_RECORDS", f"file://{tmp_path}/records")
    monkeypatch.setattr(apply_module, "get_current_context", dict)
    return tmp_path


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Keep the questions that tasks ask."""
    found: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **kwargs: found.append(kwargs))
    return found


def begin(*channels: Channel, **kwargs: object) -> RolloutRecords:
    """Freeze a plan of these channels; gives the records of the run."""
    records = Rollout.open("accounts", "manual__1").records
    records.freeze(a_plan(*channels, **kwargs), Change("change", {"template.yaml": "new"}))  # type: ignore[arg-type]
    return records
