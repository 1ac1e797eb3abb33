"""What is recorded is counted, by Airflow's own statistics; a figure is not worth a task."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.observability import stats

from phased_rollout import metrics
from phased_rollout.model.ledger import Kind
from tests.builders import START
from tests.unit.conftest import begin

DOCS = Path(__file__).parents[2] / "docs/notifications.md"


Sent = list[tuple[str, Any, dict[str, str]]]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Keep what Airflow's statistics are given."""
    found: Sent = []
    monkeypatch.setattr(stats, "incr", lambda stat, *, tags: found.append((stat, 1, tags)))
    monkeypatch.setattr(stats, "timing", lambda stat, dt, *, tags: found.append((stat, dt, tags)))
    return found


def test_a_rollout_is_counted_once_when_it_begins(store: Path, sent: Sent) -> None:
    begin()
    begin()
    assert sent == [("phased_rollout.rollouts.started", 1, {"rollout": "accounts"})]


def test_what_is_recorded_is_counted_with_its_channel(store: Path, sent: Sent) -> None:
    records = begin()
    sent.clear()
    records.add(Kind.ENTERED, at=START, channel="test")  # not counted
    records.add(Kind.VERIFIED, at=START, channel="test", target="test-1")
    records.hold("frozen", at=START, channel="test")
    records.hold("frozen", at=START, channel="test")  # the same hold
    records.add(Kind.FINISHED, at=START)
    tags = {"rollout": "accounts", "channel": "test"}
    assert sent == [
        ("phased_rollout.targets.applied", 1, tags),
        ("phased_rollout.holds", 1, tags),
        ("phased_rollout.rollouts.finished", 1, {"rollout": "accounts"}),
    ]


def test_the_time_in_a_channel_is_told(sent: Sent) -> None:
    metrics.time_in_channel("accounts", "test", timedelta(hours=1))
    tags = {"rollout": "accounts", "channel": "test"}
    assert sent == [("phased_rollout.channels.time", timedelta(hours=1), tags)]


def test_statistics_that_fail_harm_nobody(
    store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("no such host")

    monkeypatch.setattr(stats, "incr", broken)
    monkeypatch.setattr(stats, "timing", broken)
    records = begin()
    records.add(Kind.FINISHED, at=START)
    metrics.time_in_channel("accounts", "test", timedelta(hours=1))
    assert records.ledger().happened(Kind.FINISHED)
    assert "phased_rollout.rollouts.finished was not counted: OSError" in caplog.text


def test_the_docs_list_every_metric() -> None:
    listed = set(re.findall(r"`phased_rollout\.([\w.]+)`", DOCS.read_text()))
    assert listed == {
        *metrics.COUNTED.values(),
        "rollouts.started",
        "rollouts.rolled_back",
        "channels.time",
    }
