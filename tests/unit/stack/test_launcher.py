from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.stack.demo import change_name, renew
from sandbox.stack.launcher import StackError, all_healthy
from sandbox.stack.stack import Stack

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
PARTS = ("scheduler", "triggerer", "dag_processor")


def make_report(**changed: dict[str, str | None]) -> dict[str, dict[str, str | None]]:
    beat = "2026-01-01T12:00:05+00:00"
    parts: dict[str, dict[str, str | None]] = {
        p: {"status": "healthy", f"latest_{p}_heartbeat": beat} for p in PARTS
    }
    return {"metadatabase": {"status": "healthy"}, **parts, **changed}


def test_a_stack_is_healthy_when_all_its_parts_are() -> None:
    assert all_healthy(make_report(), began=BEGAN)


@pytest.mark.parametrize("part", ["metadatabase", *PARTS])
def test_one_unhealthy_part_is_enough(part: str) -> None:
    report = make_report(**{part: {"status": "unhealthy", f"latest_{part}_heartbeat": None}})

    assert not all_healthy(report, began=BEGAN)


def test_the_heartbeat_of_a_predecessor_does_not_count() -> None:
    late = "2026-01-01T11:59:59+00:00"
    report = make_report(scheduler={"status": "healthy", "latest_scheduler_heartbeat": late})

    assert not all_healthy(report, began=BEGAN)


def test_a_stack_that_was_not_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="not started"):
        Stack(tmp_path).kill("scheduler")


def test_a_folder_that_is_no_stack_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    with pytest.raises(StackError, match="nothing was deleted"):
        renew(tmp_path)

    assert (tmp_path / "thesis.txt").exists()


def test_what_an_earlier_stack_left_is_deleted(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "secrets.json").write_text("{}")

    renew(state)

    assert not state.exists()


def test_a_change_is_named_relative_to_the_configuration(tmp_path: Path) -> None:
    config = tmp_path / "include" / "channels.yaml"
    inside = tmp_path / "include" / "changes" / "good"
    outside = tmp_path / "elsewhere"
    for folder in (inside, outside):
        folder.mkdir(parents=True)

    assert change_name(str(inside), config=config) == "changes/good"
    assert change_name(str(outside), config=config) == str(outside)
    assert change_name("s3://bucket/change", config=config) == "s3://bucket/change"


def test_a_change_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "change.yaml").touch()

    with pytest.raises(StackError, match=f"no such folder; there are: {tmp_path}/good"):
        change_name(str(tmp_path / "god"), config=tmp_path / "channels.yaml")
