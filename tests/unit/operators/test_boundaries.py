"""A change that would not work beside what runs now does not begin; what is doubtful is asked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.errors import RecordError
from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import describe
from phased_rollout.model.target_state import Artifact
from phased_rollout.operators.plan import PlanOperator
from phased_rollout.operators.preview import PreviewOperator
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import a_channel, a_definition
from tests.fakes import FakeSubstrate

PARAMS = {"change": None, "parameters": {}, "bypass": "none", "bypass_channels": []}
PARAMS |= {"bypass_reason": ""}
INFRA, PRODUCTION = a_channel("infra", talks_to=()), a_channel("production", talks_to=("infra",))
ONE = 'provides: {api: 1}\nrequires: {api: ">=1"}\n'
BOTH = 'provides: {api: [1, 2]}\nrequires: {api: ">=1"}\n'
TWO = 'provides: {api: 2}\nrequires: {api: ">=2"}\n'


@pytest.fixture
def base(store: Path, substrate: FakeSubstrate) -> Path:
    for name, settings in {"one": ONE, "both": BOTH, "two": TWO, "silent": "tags: {}"}.items():
        folder = store / "changes" / name
        folder.mkdir(parents=True)
        template = f"Resources: {{A: {{Type: AWS::SQS::Queue}}}} # {name}\n"
        (folder / "template.yaml").write_text(template)
        (folder / "change.yaml").write_text(settings)
    return store


def plan(
    base: Path,
    run: int,
    change: str,
    *channels: Channel,
    emergency: bool = False,
    skip: str = "",
) -> RolloutRecords:
    """Make the plan of a run, of two channels in which all neighbours talk unless told."""
    planned = a_definition(*(channels or (a_channel("infra"), a_channel("production"))))
    with DAG("accounts", params=PARAMS):
        task = PlanOperator(task_id="plan", planned=planned, base=str(base), emergency=emergency)
    dag_run = SimpleNamespace(conf={}, run_id=f"run {run}", triggering_user_name="ann")
    params: dict[str, Any] = {**PARAMS, "change": f"changes/{change}"}
    if skip:
        params |= {"bypass": "skip_channels", "bypass_channels": [skip], "bypass_reason": "CVE"}
    context: dict[str, Any] = {"dag_run": dag_run, "run_id": dag_run.run_id, "params": params}
    task.execute(context)
    return Rollout.open("accounts", dag_run.run_id).records


def rolled_out(base: Path, run: int, change: str) -> None:
    records = plan(base, run, change)
    rollout = Rollout(records)
    for channel in records.plan().channels:
        records.add(Kind.ENTERED, at=datetime.now(UTC), channel=channel.name)
        for target in channel.targets:
            artifact = rollout.artifact(channel.name, target)
            rollout.substrate.running[target.name] = artifact  # type: ignore[attr-defined]  # a fake
            records.add(
                Kind.VERIFIED, at=datetime.now(UTC), channel=channel.name, target=target.name
            )
    records.add(Kind.FINISHED, at=datetime.now(UTC))


def asked(records: RolloutRecords) -> list[str]:
    PreviewOperator(task_id="preview", definition="accounts").execute({"run_id": records.run_id})
    found: list[str] = records.details(Kind.PREVIEWED)[-1]["authorize"]
    return found


def test_a_change_that_does_not_work_beside_its_neighbour_does_not_begin(base: Path) -> None:
    rolled_out(base, 1, "one")
    with pytest.raises(AirflowFailException) as refused:
        plan(base, 2, "two")
    first, second = str(refused.value).splitlines()
    assert first == "nothing was touched:"
    assert second.startswith("mixed state: while infra is changed, infra runs two (")
    assert "), which requires api >=2, and production runs one (" in second
    with pytest.raises(RecordError, match="there is no record"):
        Rollout.open("accounts", "run 2").records.plan()


def test_with_a_step_in_between_it_is_planned_says_so_and_nobody_is_asked(base: Path) -> None:
    rolled_out(base, 1, "one")
    rolled_out(base, 2, "both")
    records = plan(base, 3, "two")
    assert describe(records.plan()).splitlines()[-1] == (
        "boundaries: 12 mixed states of neighbouring channels checked, and the change works in "
        "all that are known"
    )
    assert asked(records) == []


def test_what_is_not_known_to_provide_what_the_change_requires_needs_an_authorization(
    base: Path,
) -> None:
    records = plan(base, 1, "two")
    [text] = asked(records)
    assert "production runs something that is not recorded" in text
    assert text in describe(records.plan())


def test_what_only_a_failing_restore_could_bring_about_needs_an_authorization(base: Path) -> None:
    rolled_out(base, 1, "one")
    [text] = asked(plan(base, 2, "two", INFRA, PRODUCTION))
    assert text.startswith("mixed state: in a rollback that restores infra and cannot restore")


def test_in_an_emergency_a_person_is_asked_where_a_rollout_would_be_stopped(base: Path) -> None:
    rolled_out(base, 1, "one")
    [text] = asked(plan(base, 2, "two", emergency=True))
    assert text.startswith("mixed state: while infra is changed")


def test_a_change_without_declarations_beside_others_without_is_not_spoken_of(base: Path) -> None:
    records = plan(base, 1, "silent")
    assert records.plan().boundaries is None
    assert "boundaries" not in describe(records.plan())
    assert asked(records) == []


def test_a_bypassed_channel_keeps_what_it_runs_and_stops_the_change(base: Path) -> None:
    rolled_out(base, 1, "one")
    with pytest.raises(AirflowFailException, match="or do not bypass infra"):
        plan(base, 2, "two", INFRA, PRODUCTION, skip="infra")


def test_a_target_that_somebody_changed_since_needs_an_authorization(
    base: Path, substrate: FakeSubstrate
) -> None:
    rolled_out(base, 1, "both")
    records = plan(base, 2, "two")
    assert asked(records) == []
    substrate.running["production-1"] = Artifact("d" * 64, {})
    assert asked(records) == [
        "not known to run what the records say, by which the mixed states were checked: "
        "production-1"
    ]


def test_a_target_of_which_nothing_is_known_is_asked_about_once(
    base: Path, substrate: FakeSubstrate
) -> None:
    rolled_out(base, 1, "both")
    broken = plan(base, 2, "two")
    at = datetime.now(UTC)
    broken.add(Kind.REFUSED, at=at, channel="production", target="production-1", reason="no")
    records = plan(base, 3, "two")
    substrate.running["production-1"] = Artifact("d" * 64, {})
    [text] = asked(records)
    assert "production runs something that is not recorded" in text


def test_a_target_that_has_the_change_already_is_no_stranger(
    base: Path, substrate: FakeSubstrate
) -> None:
    rolled_out(base, 1, "both")
    records = plan(base, 2, "two")
    target = records.plan().channels[0].targets[0]
    substrate.running[target.name] = Rollout(records).artifact("infra", target)
    assert asked(records) == []


def test_a_bypassed_target_that_cannot_be_read_needs_an_authorization_and_stops_nothing(
    base: Path, substrate: FakeSubstrate
) -> None:
    rolled_out(base, 1, "both")
    records = plan(base, 2, "two", skip="production")
    substrate.unreachable = {"production-2"}
    [bypass, doubt] = asked(records)
    assert "bypasses production" in bypass + doubt
    assert "production-2" in bypass + doubt


def test_what_runs_is_not_compared_for_changes_that_declare_nothing(
    base: Path, substrate: FakeSubstrate
) -> None:
    rolled_out(base, 1, "silent")
    records = plan(base, 2, "silent")
    substrate.running["production-1"] = Artifact("d" * 64, {})
    assert asked(records) == []
