"""Which Dags are built, when, from what: the file, or the plan of a run in flight."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout import config, dag_factory
from phased_rollout.dag_source import check_file
from phased_rollout.errors import ConfigError
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.ledger import Kind
from tests.builders import a_channel, a_definition
from tests.unit.conftest import begin

Build = Callable[..., dict[str, list[str]]]
FILE = """\
version: 1
defaults: {soak: 1m, gate: timer}
rollouts:
  one: &one
    substrate: {kind: cloudformation, connection: aws, role: r, stack: s, region: us-east-1}
    channels: [{name: playground, targets: [{name: a, account: "000000000001"}]}]
"""


@pytest.fixture
def file(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(config.VARIABLE, str(store / "channels.yaml"))
    (store / "channels.yaml").write_text(FILE)
    return store / "channels.yaml"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Build:
    """Build as the dag-processor does, or as the process of a task does."""

    def build(dag_id: str | None = None, task_id: str | None = None) -> dict[str, list[str]]:
        monkeypatch.setattr(dag_factory, "get_parsing_context", lambda: (dag_id, task_id))
        dags = dag_factory.build_dags()
        return {n: [t for t in dag.task_ids if t.endswith(".enter")] for n, dag in dags.items()}

    return build


def test_a_task_builds_its_own_dag_only(file: Path, built: Build) -> None:
    other = FILE.partition("rollouts:\n")[2].replace("one: &one", "other:").replace("0001", "0002")
    file.write_text(FILE + other)
    assert sorted(built()) == [
        name + suffix for name in ("one", "other") for suffix in ("", "_control", "_emergency")
    ]
    for dag_id in ("other", "other_control", "other_emergency"):
        assert list(built(dag_id, "playground.enter")) == [dag_id]


@pytest.mark.parametrize("text", ["version: 1\nrollouts: [\n", FILE.replace("one", "renamed")])
def test_a_run_in_flight_goes_on_with_its_plan_when_the_file_no_longer_gives_its_dag(
    file: Path, built: Build, text: str
) -> None:
    begin()
    file.write_text(text)
    enters = ["playground.enter", "test.enter", "production.enter"]
    for dag_id in ("accounts", "accounts_emergency"):
        assert built(dag_id, "test.enter") == {dag_id: enters}


def test_a_run_in_flight_can_be_controlled_when_the_file_cannot_be_read(
    file: Path, built: Build
) -> None:
    begin()
    file.write_text("version: 1\nrollouts: [\n")
    assert built("accounts_control", "record") == {"accounts_control": []}


BAD = "version: 1\nrollouts: [\n"


@pytest.mark.parametrize("text", [BAD, FILE.replace("one", "renamed")])
def test_no_rollout_begins_that_the_file_does_not_give(file: Path, built: Build, text: str) -> None:
    begin()
    file.write_text(text)
    built("accounts", "plan")
    plan = dag_factory.build_dags()["accounts"].get_task("plan")
    run = SimpleNamespace(run_id="manual__2", conf={}, triggering_user_name="ann")
    with pytest.raises(AirflowFailException, match=r"nothing was touched:\n.*channels.yaml:"):
        plan.execute({"dag_run": run, "run_id": "manual__2", "params": {}})


def test_while_a_rollout_is_under_way_a_bad_file_is_told_elsewhere_and_its_dags_stay(
    file: Path, built: Build
) -> None:
    records = begin(a_channel("a", gate="approval"), schedule="@daily")
    file.write_text(BAD)
    assert built() == {"accounts": ["a.enter"], "accounts_emergency": ["a.enter"],
                       "accounts_control": []}  # fmt: skip
    assert dag_factory.build_dags()["accounts"].timetable.can_be_scheduled is False
    with pytest.raises(ConfigError, match="not valid YAML"):
        check_file()
    records.add(Kind.CONCLUDED, at=datetime.now(UTC))
    assert built(), "Airflow has yet to end the run"


def test_when_no_rollout_is_under_way_a_bad_file_is_an_import_error_once(
    file: Path, built: Build
) -> None:
    records = begin()
    records.add(Kind.FINISHED, at=datetime.now(UTC) - timedelta(hours=2))
    file.write_text(BAD)
    with pytest.raises(ConfigError, match="not valid YAML"):
        built()
    check_file()


def test_a_good_file_is_obeyed_whatever_is_under_way(file: Path, built: Build) -> None:
    begin()
    assert sorted(built()) == ["one", "one_control", "one_emergency"]
    check_file()


def test_a_fleet_wide_run_keeps_the_approvals_of_its_dag(file: Path, built: Build) -> None:
    gated = a_channel("a", gate="approval")
    bypass = Bypass(BypassTier.FLEET_WIDE, (), "urgent", "alice")
    begin(
        bypass.applied_to(a_definition(gated)).channels[0], bypass=bypass, shape=("a (approval)",)
    )
    file.write_text(BAD)
    built()
    assert type(dag_factory.build_dags()["accounts"].get_task("a.gate")).__name__ == "ApprovalGate"


def test_a_bad_file_is_an_error_where_nothing_was_planned(file: Path, built: Build) -> None:
    file.write_text(BAD)
    with pytest.raises(ConfigError, match="not valid YAML"):
        built("accounts", "test.enter")
