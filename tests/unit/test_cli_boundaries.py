"""``boundaries``: whether a change works beside what the records say runs now."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from phased_rollout import config
from phased_rollout.cli import main
from phased_rollout.model.change import Change
from phased_rollout.model.ledger import Kind
from phased_rollout.records import RecordStore
from tests.builders import a_plan

CHANNELS = """\
version: 1
defaults: {soak: 5s, gate: timer}
rollouts:
  accounts:
    change: change
    substrate: {kind: cloudformation, connection: aws, role: r, stack: s, region: us-east-1}
    inventory: {kind: organizations, account: "999999999999"}
    channels:
      - name: infra
        talks_to: []
        targets: [{name: infra-1, account: "000000000001"}]
      - name: production
        talks_to: [infra]
        targets: [{name: production-1, account: "000000000002"}]
"""


@pytest.fixture
def file(store: Path) -> Path:
    """A file whose change requires what the last rollout of it did not provide."""
    (store / "change").mkdir()
    (store / "change/template.yaml").write_text("Resources: {A: {Type: B}}\n")
    (store / "change/change.yaml").write_text('provides: {api: 2}\nrequires: {api: ">=2"}\n')
    file = store / "channels.yaml"
    file.write_text(CHANNELS)
    return file


def run(file: Path, *more: str) -> int:
    return main(["boundaries", "accounts", "--config", str(file), *more])


def rolled_out(file: Path, version: str) -> None:
    definition = config.load(file).definitions["accounts"]
    records = RecordStore.from_environment().rollout("accounts", "run 1")
    change = Change("before", {"a": "b"}, provides={"api": (version,)})
    records.freeze(replace(a_plan(*definition.channels), run_id="run 1"), change)
    for channel in definition.channels:
        for target in channel.targets:
            at = datetime.now(UTC)
            records.add(Kind.VERIFIED, at=at, channel=channel.name, target=target.name)


def test_a_change_that_works_beside_what_runs_exits_0(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rolled_out(file, "2.1")
    assert run(file) == 0
    assert capsys.readouterr().out == (
        "boundaries: 8 mixed states of neighbouring channels checked, and the change works in all "
        "that are known\n"
    )


def test_what_would_be_asked_exits_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rolled_out(file, "1")
    assert run(file) == 1
    [_, text, end] = capsys.readouterr().out.splitlines()
    assert text.startswith("mixed state: in a rollback that restores infra and cannot restore")
    assert end == "a run asks a person before anything is touched"


def test_what_would_stop_a_run_exits_1_for_programs_too(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rolled_out(file, "1")
    assert run(file, "--skip", "infra", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["checked"], found["authorize"], found["notes"]) == (2, [], [])
    [text] = found["stops"]
    assert "infra (bypassed) runs before" in text
    assert run(file, "--skip", "infra") == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "a run stops before anything is touched; one of the emergency Dag asks a person"


def test_targets_that_are_still_to_be_found_run_what_is_not_known(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rolled_out(file, "2")
    named, selected = 'targets: [{name: infra-1, account: "000000000001"}]', "select: {ou: [Infra]}"
    file.write_text(CHANNELS.replace(named, selected))
    assert run(file) == 1
    assert "infra runs something that is not recorded" in capsys.readouterr().out


def test_changes_that_declare_nothing_are_not_checked(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "change/change.yaml").unlink()
    assert run(file) == 0
    assert capsys.readouterr().out.startswith("nothing to check: no change declares anything")


def test_a_channel_that_is_not_there_cannot_be_left_out(file: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        run(file, "--skip", "infa")
    assert ended.value.code == 3
