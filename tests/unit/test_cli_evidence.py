"""The evidence of a verdict, as the command line gives it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from phased_rollout.cli import main
from phased_rollout.model.ledger import Kind
from phased_rollout.records import RolloutRecords
from tests.builders import a_channel
from tests.unit.conftest import begin

CASE = {"soak": {"start": 1, "end": 2}, "metrics": []}


def judged(records: RolloutRecords, *, case: Any, second: int = 0, **more: Any) -> None:
    found: dict[str, Any] = {
        "by": "playground",
        "verdict": "pass",
        "look": None,
        "final": True,
        "lines": ["errors: pass: no harm found"],
        "left_out": {"playground-2": "ran the change before"},
        "case": records.store.put(case) if case else None,
        "judgement": records.store.put({"verdict": "pass"}),
        **more,
    }
    at = datetime(2027, 1, 1, second=second, tzinfo=UTC)
    records.add(Kind.JUDGED, at=at, channel="playground", **found)


@pytest.fixture
def records(store: Path) -> RolloutRecords:
    return begin(a_channel("playground"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(["evidence", "accounts", "manual__1", *arguments])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_a_person_reads_each_judgement(
    records: RolloutRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    judged(records, case=None, final=False, look=2, verdict="inconclusive")
    judged(records, case=CASE, second=1)
    status, said = run(capsys, "playground")
    assert status == 0
    assert said.splitlines() == [
        "2027-01-01 00:00:00 UTC, look 2: inconclusive",
        "  errors: pass: no harm found",
        "  on no side: playground-2: ran the change before",
        "2027-01-01 00:00:01 UTC, the whole soak: pass",
        "  errors: pass: no harm found",
        "  on no side: playground-2: ran the change before",
    ]


def test_the_case_of_the_last_verdict_is_what_judge_reads(
    records: RolloutRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    judged(records, case=CASE)
    status, said = run(capsys, "playground", "--case")
    assert (status, json.loads(said)) == (0, CASE)


def test_programs_get_the_whole_judgement(
    records: RolloutRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    judged(records, case=CASE)
    [one] = json.loads(run(capsys, "playground", "--json")[1])["judged"]
    assert (one["judgement"], one["verdict"]) == ({"verdict": "pass"}, "pass")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("playgroun",), "no channel 'playgroun' in this run: it has playground"),
        (("playground", "--case"), "no verdict over the metrics of playground is recorded"),
    ],
)
def test_what_is_not_there_is_said(
    records: RolloutRecords,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    status, told = run(capsys, *arguments)
    assert (status, said in told) == (1, True)


def test_a_channel_without_judged_metrics_says_so(
    records: RolloutRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "playground") == (0, "the metrics of playground were not judged\n")
