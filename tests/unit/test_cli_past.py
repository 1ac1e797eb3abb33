"""``history`` and ``report``: what the records of past rollouts tell."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phased_rollout.cli import main
from phased_rollout.model.bypass import NO_BYPASS, Bypass, BypassTier
from phased_rollout.model.change import Change
from phased_rollout.model.ledger import Kind
from phased_rollout.records import RecordStore, RolloutRecords
from tests.builders import a_plan

NOW = datetime.now(UTC).replace(microsecond=0)
URGENT = Bypass(BypassTier.SKIP_CHANNELS, ("test",), "CVE-2026-1", "alice")
LONG = "scheduled__2026-01-05T12:00:00.123456+00:00"


@pytest.fixture(autouse=True)
def terminal(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def past(
    run: str, *happened: str, ago: timedelta, name: str = "accounts", bypass: Bypass = NO_BYPASS
) -> RolloutRecords:
    """Record a run that began some time ago; a minute lies between two entries."""
    records = RecordStore.from_environment().rollout(name, run)
    plan = replace(a_plan(name=name, bypass=bypass), run_id=run, made_at=NOW - ago)
    records.freeze(plan, Change("change", {"template.yaml": "new"}))
    for minute, text in enumerate(happened, start=1):
        kind, _, channel = text.partition(" ")
        at = NOW - ago + timedelta(minutes=minute)
        records.add(Kind(kind), at=at, channel=channel)
    return records


FINISHED = ("previewed", "entered playground", "graduated playground", "finished")
ROLLED_BACK = (
    "previewed",
    "entered playground",
    "failed playground",
    "rolling_back playground",
    "rolled_back playground",
    "concluded",
)


@pytest.fixture
def some() -> None:
    past("manual__1", *FINISHED, ago=timedelta(days=3))
    past("manual__2", *ROLLED_BACK, ago=timedelta(days=2), bypass=URGENT)
    past(LONG, "previewed", ago=timedelta(days=1))
    past("manual__1", *FINISHED, ago=timedelta(days=1), name="clusters")
    past("manual__0", *ROLLED_BACK, ago=timedelta(days=40))


def answered(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def spoil(run: str, text: str) -> None:
    records = RecordStore.from_environment().rollout("accounts", run)
    Path((records.folder / "plan.json").path).write_text(text)


def test_history_lists_the_newest_first(some: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "accounts", "--limit", "2", "--json"]) == 0
    assert answered(capsys) == {
        "runs": [
            {
                "rollout": "accounts",
                "run": LONG,
                "began": (NOW - timedelta(days=1)).isoformat(),
                "ended": None,
                "seconds": None,
                "change": {"name": "change", "digest": "c" * 64},
                "requested_by": None,
                "emergency": False,
                "bypass": None,
                "bypass_reason": None,
                "result": "under way",
            },
            {
                "rollout": "accounts",
                "run": "manual__2",
                "began": (NOW - timedelta(days=2)).isoformat(),
                "ended": (NOW - timedelta(days=2) + timedelta(minutes=6)).isoformat(),
                "seconds": 360.0,
                "change": {"name": "change", "digest": "c" * 64},
                "requested_by": "alice",
                "emergency": False,
                "bypass": "skip_channels",
                "bypass_reason": "CVE-2026-1",
                "result": "rolled back",
            },
        ],
        "unreadable": [],
    }


def test_history_is_readable_at_80_columns(some: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    for text in ("accounts: 4 rollouts", "clusters: 1 rollout", "manual__2", "alice", "6m"):
        assert text in out
    for text in ("rolled back", "bypass:", "skip_channels", "the schedule", "c" * 12, "n/a"):
        assert text in out
    assert LONG[:16] in out  # the rest on the next lines


def test_report_measures_what_began_since(some: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "accounts", "--json"]) == 0
    found = answered(capsys)
    assert found["rollouts"] == [
        {
            "rollout": "accounts",
            "began": 3,
            "under_way": 1,
            "lead_time": {"median_seconds": 240.0, "count": 1},
            "change_failure_rate": {"rate": 0.5, "count": 1, "of": 2},
            "time_to_restore": {"median_seconds": 120.0, "count": 1},
            "bypass_rate": {"rate": 1 / 3, "count": 1, "of": 3},
            "untested": [],
        }
    ]


def test_report_is_readable_and_says_when_there_is_nothing(
    some: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "--since", "36h"]) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    words = [" ".join(line.split()) for line in out.splitlines()]
    assert words[0].startswith("accounts: 1 rollout since ")
    assert words[0].endswith(" UTC, 1 under way")
    assert "lead time (median) n/a 0 finished" in words
    assert "change failure rate n/a 0 failed, of 0 that ended" in words
    assert "time to restore (median) n/a 0 complete rollbacks" in words
    assert "bypass rate 0% 0 with a bypass, of 1" in words
    assert "lead time (median) 4m 1 finished" in words


def test_report_tells_what_no_earlier_channel_exercised_in_the_newest_rollout(
    some: None, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "production: 0 of 1 kinds of change (0%) are exercised before it"
    records = RecordStore.from_environment().newest("accounts")
    records.add(Kind.PREVIEWED, at=NOW, untested={"policy": "warn", "lines": [told]})
    assert main(["report", "accounts"]) == 0
    assert f"newest rollout: {told}\n" in capsys.readouterr().out
    assert main(["report", "accounts", "--json"]) == 0
    assert answered(capsys)["rollouts"][0]["untested"] == [told]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"schema": 99, "plan": {}}', "the plan has schema 99, this version reads up to 1"),
        ('{"schema": 1}', "'plan'"),
        ('{"schema": 1, "plan": {"run_id": 1}}', "validation errors"),
        ("{", "is damaged"),
    ],
)
@pytest.mark.parametrize("command", ["history", "report"])
def test_a_run_that_cannot_be_read_is_named_and_the_others_are_told(
    some: None, capsys: pytest.CaptureFixture[str], command: str, text: str, why: str
) -> None:
    spoil("manual__2", text)
    assert main([command, "accounts", "--json"]) == 1
    found = answered(capsys)
    (unreadable,) = found["unreadable"]
    assert (unreadable["rollout"], unreadable["run"]) == ("accounts", "manual__2")
    assert why in unreadable["why"]
    assert main([command, "accounts"]) == 1
    out = capsys.readouterr().out
    assert "not readable: manual__2 of accounts: " in out
    assert "accounts: " in out


def test_a_name_that_is_not_recorded_is_told_with_what_is(
    some: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", "account"]) == 1
    assert capsys.readouterr().err == (
        "no rollout of 'account' is recorded, did you mean 'accounts'?\n"
    )


def test_without_any_record_there_is_nothing_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--json"]) == 0
    assert answered(capsys) == {"runs": [], "unreadable": []}
    assert main(["report", "--json"]) == 0
    assert answered(capsys)["rollouts"] == []
    for words in (["history"], ["report"]):
        assert main(words) == 0
        said = "".join(capsys.readouterr().out.split())
        assert "norolloutisrecordedin" in said
        assert "PHASED_ROLLOUT_RECORDSnamesanother" in said


@pytest.mark.parametrize(
    "words",
    [
        ["history", "--limit", "0"],
        ["history", "--limit", "x"],
        ["report", "--since", "0d"],
        ["report", "--since", "30"],
        ["report", "--since", "99999w", "x", "y"],
    ],
)
def test_wrong_usage_is_status_3(words: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 3


def test_only_the_runs_that_are_asked_for_are_read(
    some: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read = RecordStore.read
    monkeypatch.setattr(RecordStore, "read", lambda s, p: reads.append(str(p)) or read(s, p))
    assert main(["report", "accounts", "--since", "36h", "--json"]) == 0
    assert len(reads) == 2  # the plan, and the preview of the newest
