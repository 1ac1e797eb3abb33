"""The Dags of include/channels.yaml: their shape is what the product promises operators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, TriggerRule
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction

from phased_rollout.dag_control import build_control
from phased_rollout.dag_factory import build_dag
from phased_rollout.model.definition import Access, Conduct, Emergency, OnFailure
from phased_rollout.operators.callbacks import record_and_arm
from phased_rollout.operators.gate import ApprovalGate
from tests.builders import a_channel, a_definition

ROOT = Path(__file__).parents[2]
WORDS = ["enter", "apply", "soak", "health", "gate"]


@pytest.fixture(scope="module")
def bag() -> Iterator[DagBag]:
    patch = pytest.MonkeyPatch()
    patch.delenv("PHASED_ROLLOUT_CONFIG", raising=False)
    yield DagBag(ROOT / "dags")
    patch.undo()


def read_back(dag: DAG) -> Any:
    """Give the Dag as Airflow's scheduler and API server see it."""
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


@pytest.fixture
def dag(bag: DagBag) -> DAG:
    return bag.dags["aws_accounts"]


def test_the_dag_file_parses_without_a_database_and_without_errors(bag: DagBag) -> None:
    assert bag.import_errors == {}
    names = ["aws_accounts", "aws_accounts_control", "aws_accounts_emergency"]
    assert sorted(bag.dags) == names


def test_channels_are_task_groups_in_the_order_of_the_file(dag: DAG) -> None:
    order = ["playground", "test", "infra", "production"]
    groups = [g for g in dag.task_group.children if g in order]
    assert groups == order
    for channel in order:
        assert [t for t in dag.task_ids if t.startswith(f"{channel}.")] == [
            f"{channel}.{word}" for word in WORDS
        ]
    for earlier, later in pairwise(order):
        assert f"{later}.enter" in dag.task_dict[f"{earlier}.gate"].downstream_task_ids


def test_every_task_of_a_channel_waits_for_the_one_before(dag: DAG) -> None:
    upstream = {w: dag.task_dict[f"test.{w}"].upstream_task_ids for w in WORDS}
    assert upstream == {
        "enter": {"playground.gate"},
        "apply": {"test.enter"},
        "soak": {"test.apply"},
        "health": {"test.apply", "test.soak"},
        "gate": {"test.health"},
    }


def test_trigger_rules_are_those_that_survived_being_disturbed(dag: DAG) -> None:
    rules = {t: dag.task_dict[t].trigger_rule for t in dag.task_ids}
    assert {t: rules[f"test.{t}"] for t in WORDS} == {
        "enter": TriggerRule.NONE_FAILED,
        "apply": TriggerRule.ALL_SUCCESS,
        "soak": TriggerRule.ALL_SUCCESS,
        "health": TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        "gate": TriggerRule.ALL_SUCCESS,
    }
    assert rules["outcome"] == TriggerRule.NONE_FAILED
    assert rules["rollback.trip"] == TriggerRule.ONE_FAILED
    assert rules["rollback.settled"] == TriggerRule.ALL_DONE
    assert rules["rollback.armed"] == TriggerRule.ALL_SUCCESS
    assert rules["rollback.test"] == TriggerRule.ALL_SUCCESS
    assert rules["rollback.after_test"] == TriggerRule.ALL_DONE


def test_a_failure_anywhere_trips_the_rollback(dag: DAG) -> None:
    everything = {t for t in dag.task_ids if not t.startswith("rollback.")}
    assert dag.task_dict["rollback.trip"].upstream_task_ids == everything


def test_channels_are_restored_in_reverse_and_go_on_when_one_fails(dag: DAG) -> None:
    assert dag.task_dict["rollback.production"].upstream_task_ids == {"rollback.armed"}
    assert dag.task_dict["rollback.infra"].upstream_task_ids == {
        "rollback.armed",
        "rollback.after_production",
    }
    assert dag.task_dict["rollback.playground"].upstream_task_ids == {
        "rollback.armed",
        "rollback.after_test",
    }


def test_the_verdict_is_a_lone_teardown_that_can_fail_the_run(dag: DAG) -> None:
    verdict = dag.task_dict["rollback.verdict"]
    assert verdict.is_teardown
    assert verdict.on_failure_fail_dagrun
    assert verdict.upstream_task_ids == {"outcome", "rollback.after_playground"}
    assert [t for t in dag.tasks if t.is_setup] == []


def test_every_task_records_its_failure_and_arms_the_rollback(dag: DAG) -> None:
    without = [t.task_id for t in dag.tasks if t.on_failure_callback != [record_and_arm]]
    assert without == []


def test_soaks_hold_no_slot_and_outlast_airflows_default_timeout(dag: DAG) -> None:
    soak = dag.task_dict["test.soak"]
    assert soak.deferrable
    assert soak.delta == timedelta(seconds=5)
    assert soak.timeout > soak.delta.total_seconds()


def test_one_rollout_at_a_time_and_no_catch_up(dag: DAG) -> None:
    assert (dag.max_active_runs, dag.catchup) == (1, False)


def test_a_dag_that_keeps_failing_is_paused_when_the_file_says_so(dag: DAG) -> None:
    once = build_dag(a_definition(a_channel("only"), pause_after_failures=3), base="/")
    assert read_back(once).max_consecutive_failed_dag_runs == 3
    assert read_back(dag).max_consecutive_failed_dag_runs == 0


def test_a_stuck_run_is_told_by_what_the_triggerer_can_import() -> None:
    dag = build_dag(a_definition(a_channel("only"), stuck_after=timedelta(days=3)), base="/")
    [alert] = DagSerialization.to_dict(dag)["dag"]["deadline"]
    assert alert["callback"]["__data__"]["path"] == "phased_rollout.triggers.stuck.tell_stuck"
    assert alert["interval"]["__data__"] == timedelta(days=3).total_seconds()
    assert alert["reference"] == {"reference_type": "DagRunQueuedAtDeadline"}
    assert len(read_back(dag).deadline) == 1


def test_roles_get_what_the_file_grants_them_on_both_dags(dag: DAG) -> None:
    definition = a_definition(
        a_channel("only"), access={"Ops": Access.OPERATE, "Audit": Access.SEE}
    )
    for built in (build_dag(definition, base="/"), build_control(definition)):
        assert read_back(built).access_control == {
            "Ops": {"DAGs": {"can_read", "can_edit"}, "DAG Runs": {"can_read", "can_create"}},
            "Audit": {"DAGs": {"can_read"}, "DAG Runs": {"can_read"}},
        }
    assert dag.access_control is None


def test_the_emergency_dag_has_permissions_of_its_own() -> None:
    see = {"DAGs": {"can_read"}, "DAG Runs": {"can_read"}}
    for granted, roles in (({"Chiefs": Access.SEE}, {"Chiefs": see}), ({}, {"Ops": see})):
        definition = a_definition(
            a_channel("only"), access={"Ops": Access.SEE}, emergency=Emergency(access=granted)
        )
        emergency = build_dag(definition, base="/", emergency=True)
        assert read_back(emergency).access_control == roles


def test_what_cannot_wait_is_never_paused() -> None:
    definition = a_definition(a_channel("only"), pause_after_failures=3)
    for dag in (build_dag(definition, base="/", emergency=True), build_control(definition)):
        assert (dag.max_consecutive_failed_dag_runs, dag.is_paused_upon_creation) == (0, False)


def test_a_run_chooses_among_the_policies_that_the_file_allows() -> None:
    only = a_channel("only")
    conduct = (Conduct(only.soak, only.gate, only.waves),)
    policies = {"standard": conduct, "light": conduct}
    dag = build_dag(a_definition(only, policy="standard", policies=policies), base="/")
    param = dag.params.get_param("policy")
    assert (param.value, param.schema["enum"]) == ("standard", ["standard", "light"])


def test_the_control_dag_starts_by_hand_only_and_is_ready_when_it_is_needed(bag: DagBag) -> None:
    control = bag.dags["aws_accounts_control"]
    assert control.task_ids == ["record"]
    assert (control.schedule, control.max_active_runs) == (None, 1)
    assert control.is_paused_upon_creation is False
    assert control.params.dump() == {"action": "hold", "reason": "", "run_id": None}
    assert control.task_dict["record"].on_failure_callback == []


def test_unpausing_for_the_first_time_starts_no_missed_run(dag: DAG) -> None:
    scheduled = read_back(dag)
    now = datetime.now(UTC)
    info = scheduled.timetable.next_dagrun_info(
        last_automated_data_interval=None,
        restriction=TimeRestriction(earliest=dag.start_date, latest=None, catchup=False),
    )
    assert info.run_after > now


def test_a_scheduled_run_has_valid_defaults(dag: DAG) -> None:
    assert dag.params.dump() == {
        "change": None,
        "parameters": {},
        "bypass": "none",
        "bypass_channels": [],
        "bypass_reason": "",
    }


def test_a_channel_with_an_approval_asks_a_person_at_its_gate() -> None:
    dag = build_dag(a_definition(a_channel("only", gate="health+approval")), base="/")
    assert isinstance(dag.task_dict["only.gate"], ApprovalGate)
    assert dag.task_dict["only.gate"].fail_on_reject


def test_hold_on_failure_asks_before_anything_is_restored() -> None:
    dag = build_dag(a_definition(a_channel("only"), on_failure=OnFailure.HOLD), base="/")
    assert dag.task_dict["rollback.only"].upstream_task_ids == {"rollback.decide"}


@pytest.mark.parametrize("count", [2, 4, 12])
def test_any_number_of_channels_gives_a_dag_in_that_order(count: int) -> None:
    names = [f"c{n}" for n in range(count)]
    dag = build_dag(a_definition(*(a_channel(n) for n in names)), base="/")
    assert [t.removesuffix(".enter") for t in dag.task_ids if t.endswith(".enter")] == names
    assert DagSerialization.to_dict(dag)["dag"]["dag_id"] == "accounts"


def test_a_bad_file_is_a_visible_import_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = tmp_path / "channels.yaml"
    bad.write_text("version: 1\nrollouts: {}\n")
    monkeypatch.setenv("PHASED_ROLLOUT_CONFIG", str(bad))
    found = DagBag(ROOT / "dags")
    assert len(found.dags) == 0
    assert "channels.yaml:2" in "".join(found.import_errors.values())


@pytest.mark.parametrize(
    ("options", "offered"),
    [({}, ["changes/one"]), ({"stacks": [{"template": "net.yaml"}]}, ["changes/two"])],
)
def test_the_form_offers_the_changes_that_the_definition_can_roll_out(
    tmp_path: Path, options: dict[str, Any], offered: list[str]
) -> None:
    for name, template in (("one", "template.yaml"), ("two", "net.yaml"), ("three", "notes.md")):
        (tmp_path / "changes" / name).mkdir(parents=True)
        (tmp_path / "changes" / name / template).touch()
    definition = a_definition(change="changes/one")
    substrate = replace(definition.substrate, options={**definition.substrate.options, **options})
    params = build_dag(replace(definition, substrate=substrate), base=str(tmp_path)).params
    assert params.get_param("change").schema["examples"] == offered


def test_the_emergency_dag_has_the_same_tasks_and_no_schedule(bag: DagBag, dag: DAG) -> None:
    urgent = bag.dags["aws_accounts_emergency"]
    assert urgent.task_ids == dag.task_ids
    assert (urgent.schedule, urgent.params["bypass"]) == (None, "shorten_soak")
    assert dag.params["bypass"] == "none"
    assert {task.definition for task in urgent.tasks if hasattr(task, "definition")} == {
        "aws_accounts"
    }


def test_only_what_records_a_graduation_may_make_an_asset_event(dag: DAG) -> None:
    declared = {
        task.task_id: [outlet.name for outlet in task.outlets] for task in dag.tasks if task.outlets
    }
    assert declared == {
        f"{name}.{task}": [f"rollout://aws_accounts/{name}"]
        for name in ("playground", "test", "infra", "production")
        for task in ("health", "gate")
    }


def test_where_a_person_approves_the_gate_may_make_the_event() -> None:
    dag = build_dag(a_definition(a_channel("playground", gate="approval")), base=".")
    read = read_back(dag).task_dict["playground.gate"]
    assert [outlet.name for outlet in read.outlets] == ["rollout://accounts/playground"]
