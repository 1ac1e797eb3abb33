"""What the plan refuses before any target is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.model.definition import AdapterSpec
from phased_rollout.operators.plan import PlanOperator
from phased_rollout.rollout import Rollout
from tests.builders import a_definition

TEMPLATE = "Resources: {A: {Type: B}}\n"
CONTEXT: dict[str, Any] = {
    "run_id": "manual__1",
    "dag_run": SimpleNamespace(conf={}, run_id="manual__1", triggering_user_name=None),
    "params": {
        "bypass": "none",
        "bypass_channels": [],
        "bypass_reason": "",
        "change": "change",
        "parameters": {},
    },
}


def plan(store: Path, **options: Any) -> None:
    substrate = AdapterSpec("cloudformation", {"connection": "aws", **options})
    definition = replace(a_definition(), substrate=substrate)
    with DAG("accounts"):
        operator = PlanOperator(task_id="plan", planned=definition, base=str(store))
    operator.execute(CONTEXT)


@pytest.fixture
def change(store: Path) -> Path:
    folder = store / "change"
    folder.mkdir()
    (folder / "base.yaml").write_text(TEMPLATE)
    return folder


def test_each_stack_needs_its_template_and_the_plan_freezes_them_all(
    store: Path, change: Path
) -> None:
    stacks = [{"name": name, "template": f"{name}.yaml"} for name in ("base", "app")]
    with pytest.raises(AirflowFailException, match=r"nothing was touched:\n.*found no app\.yaml"):
        plan(store, stacks=stacks)
    (change / "app.yaml").write_text(TEMPLATE)
    plan(store, stacks=stacks)
    frozen = Rollout.open("accounts", "manual__1")
    target = frozen.plan.channels[0].targets[0]
    parts = frozen.artifact(frozen.plan.names[0], target).body["stacks"]
    assert [part["stack"] for part in parts] == ["base", "app"]


def test_a_template_that_is_too_long_fails_the_plan_unless_there_is_a_bucket(
    store: Path, change: Path
) -> None:
    (change / "base.yaml").rename(change / "template.yaml")
    (change / "template.yaml").write_text(TEMPLATE + "#" * 60_000)
    with pytest.raises(AirflowFailException, match=r"60,026 bytes.*set `bucket` in the substrate"):
        plan(store, stack="app")
    plan(store, stack="app", bucket="templates")
