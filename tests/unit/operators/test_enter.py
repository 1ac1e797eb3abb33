"""Entering a channel: waves are handed out, a bypass skips, an edited file holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import Waves
from phased_rollout.model.ledger import Kind
from phased_rollout.operators.enter import EnterOperator
from phased_rollout.records import RolloutRecords
from tests.builders import a_channel
from tests.unit.conftest import begin

CONTEXT: dict[str, Any] = {"run_id": "manual__1"}
SHAPE = ["playground", "test (approval)", "on failure rollback"]
CHANNELS = (
    a_channel("playground", targets=3, waves=Waves(size=2)),
    a_channel("test", gate="approval"),
)


def enter(channel: str = "playground", shape: list[str] = SHAPE) -> EnterOperator:
    return EnterOperator(task_id="enter", definition="accounts", channel=channel, shape=shape)


def planned(**kwargs: Any) -> RolloutRecords:
    records = begin(*CHANNELS, **kwargs)
    records.add(Kind.PREVIEWED, at=datetime.now(UTC), differences=[], authorize=[])
    return records


def test_a_channel_is_handed_out_in_waves(store: Path) -> None:
    records = planned()
    assert enter().execute(CONTEXT) == [
        {"wave": 1, "targets": ["playground-1", "playground-2"]},
        {"wave": 2, "targets": ["playground-3"]},
    ]
    assert records.ledger().happened(Kind.ENTERED, channel="playground")


def test_a_channel_is_refused_before_the_one_in_front_has_graduated(store: Path) -> None:
    planned()
    with pytest.raises(AirflowFailException, match="test is not entered: playground was never"):
        enter("test").execute(CONTEXT)


def test_a_bypassed_channel_is_skipped_and_recorded(store: Path) -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("playground",), "urgent", "alice")
    records = planned(bypass=bypass)
    with pytest.raises(AirflowSkipException, match="playground is bypassed: urgent"):
        enter().execute(CONTEXT)
    assert [r["reason"] for r in records.details(Kind.BYPASSED)] == ["urgent"]


def test_a_channel_is_refused_after_a_preview_that_refused_the_change(store: Path) -> None:
    records = begin(*CHANNELS)
    records.add(
        Kind.PREVIEWED, at=datetime.now(UTC), differences=[], authorize=[], refused="3 are too many"
    )
    with pytest.raises(AirflowFailException, match="preview refused the change: 3 are too many"):
        enter().execute(CONTEXT)


@pytest.mark.parametrize(
    "edited",
    [
        ["test (approval)", "playground", "on failure rollback"],
        ["playground", "renamed (approval)", "on failure rollback"],
        ["playground", "on failure rollback"],
        ["first", *SHAPE],
        ["playground", "test", "on failure rollback"],
        ["playground", "test (approval)", "on failure hold"],
    ],
)
def test_an_edited_file_holds_the_channel_and_enters_nothing(
    store: Path, edited: list[str]
) -> None:
    records = planned()
    with pytest.raises(TaskDeferred) as held:
        enter(shape=edited).execute(CONTEXT)
    assert held.value.method_name == "execute"
    [reason] = [r["reason"] for r in records.details(Kind.HELD, channel="playground")]
    assert reason.startswith(f"the file now says {' → '.join(edited)}; this rollout was planned")
    assert not records.ledger().happened(Kind.ENTERED, channel="playground")
    assert enter().execute(CONTEXT, event="the file is as it was")
