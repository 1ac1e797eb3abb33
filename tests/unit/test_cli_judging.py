"""``phased-rollout judge`` and ``soak-plan``, as programs call them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from phased_rollout.cli import main
from phased_rollout.judge.case import to_json
from tests.unit.judge.cases import case_of


def written(folder: Path, **fleet: Any) -> str:
    path = folder / "case.json"
    path.write_text(json.dumps(to_json(case_of(**fleet))))
    return str(path)


@pytest.mark.parametrize(
    ("fleet", "status", "verdict"),
    [
        ({}, 0, "pass"),
        ({"harm": 3.0}, 1, "fail"),
        ({"days": 0.1}, 2, "inconclusive"),
    ],
)
def test_the_exit_status_is_the_verdict(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    fleet: dict[str, Any],
    status: int,
    verdict: str,
) -> None:
    assert main(["judge", written(tmp_path, **fleet)]) == status
    assert json.loads(capsys.readouterr().out)["verdict"] == verdict


def test_an_early_look_may_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "--look", "4", written(tmp_path, minutes=240)]) == 2
    assert json.loads(capsys.readouterr().out)["look"] == 4


def test_a_case_is_read_from_stdin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps(to_json(case_of())).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert main(["judge", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "pass"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "no JSON: Expecting property name"),
        ("\xff", "no JSON: 'utf-8' codec"),
        ("[" * 100_000, "no JSON: maximum recursion depth"),
        ("{}", "'soak' is missing"),
    ],
)
def test_bad_input_exits_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, problem: str
) -> None:
    path = tmp_path / "case.json"
    path.write_bytes(text.encode("latin-1"))
    assert main(["judge", str(path)]) == 3
    out, err = capsys.readouterr()
    assert problem in json.loads(out)["problems"][0]
    assert problem in err


def test_a_missing_file_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "nowhere.json"]) == 3
    assert capsys.readouterr().err == "nowhere.json: cannot be read: No such file or directory\n"


@pytest.mark.parametrize(
    "line",
    [
        ["judge"],
        ["judge", "case.json", "more"],
        ["judge", "--look", "7", "case.json"],
        ["soak-plan"],
        ["soak-plan", "--effect", "1"],
        ["soak-plan", "--effect", "-1", "--changed", "1", "--controls", "1"],
        ["soak-plan", "--effect", "1", "--changed", "x", "--controls", "1"],
        ["soak-plan", "--effect", "1", "--series", "case.json", "--changed", "1"],
    ],
)
def test_a_wrong_command_line_exits_with_3(line: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(line)
    assert raised.value.code == 3


def test_a_soak_is_planned_from_numbers_or_series(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["soak-plan", "--effect", "2", "--changed", "6", "--controls", "12"]
    assert main([*line, "--history", "8d", "--interval", "30", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["soak"] > 0
    assert found["rule"] == "days and targets"
    assert main(["soak-plan", "--effect", "2", "--series", written(tmp_path)]) == 0
    assert "is found in 4 of 5 cases" in capsys.readouterr().out
    assert main(["soak-plan", "--effect", "2", "--series", "nowhere.json"]) == 3


def test_an_impossible_soak_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["soak-plan", "--effect", "0.01", "--changed", "1", "--controls", "1"]
    assert main(line) == 1
    assert capsys.readouterr().out.startswith("impossible: ")
