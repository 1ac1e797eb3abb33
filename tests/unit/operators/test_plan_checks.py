"""The plan is frozen only when the change could run on every target of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.dag_factory import build_dag
from phased_rollout.errors import ChangeError, RecordError, UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.rollout import Rollout
from tests.builders import a_channel, a_definition
from tests.fakes import FakeSubstrate

TEMPLATE = "Resources: {Topic: {Type: AWS::SNS::Topic}}\n"


@pytest.fixture
def folder(store: Path) -> Path:
    folder = store / "changes" / "topic"
    folder.mkdir(parents=True)
    (folder / "template.yaml").write_text(TEMPLATE)
    return folder


def execute(base: Path, **given: Any) -> dict[str, Any]:
    params: dict[str, Any] = {"change": "changes/topic", "parameters": {}, "bypass": "none"}
    params |= {"bypass_channels": [], "bypass_reason": "", **given}
    run = SimpleNamespace(run_id="manual__1", conf={}, triggering_user_name="ann")
    definition = a_definition(a_channel("playground"), a_channel("test", targets=1))
    task = build_dag(definition, base=str(base)).task_dict["plan"]
    context: dict[str, Any] = {"dag_run": run, "params": params, "run_id": run.run_id}
    found: dict[str, Any] = task.execute(context)
    return found


def frozen() -> Change:
    return Rollout.open("accounts", "manual__1").change


def refusal(base: Path, **given: Any) -> str:
    with pytest.raises(AirflowFailException) as refused:
        execute(base, **given)
    with pytest.raises(RecordError, match="there is no record"):
        frozen()
    return str(refused.value)


def test_a_change_that_every_target_can_run_is_frozen(
    store: Path, folder: Path, substrate: FakeSubstrate
) -> None:
    execute(store)
    assert frozen().files == {"template.yaml": TEMPLATE}
    assert substrate.calls == ["check playground-1, playground-2, test-1"]


def test_what_is_wrong_with_the_content_stops_the_plan(
    store: Path, folder: Path, substrate: FakeSubstrate
) -> None:
    substrate.faults = ["topic/template.yaml:1: E3002: mend it"]
    assert refusal(store) == "nothing was touched:\ntopic/template.yaml:1: E3002: mend it"


def test_what_one_target_could_not_run_stops_the_plan_and_is_said_once(
    store: Path, folder: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(*_: Any, channel: str, target: Target) -> None:
        raise ChangeError(f"parameter 'Size' has no value in {channel}")

    monkeypatch.setattr(FakeSubstrate, "render", render)
    assert refusal(store).splitlines() == [
        "nothing was touched:",
        "parameter 'Size' has no value in playground",
        "parameter 'Size' has no value in test",
    ]


def test_a_bypassed_channel_is_not_asked_of(
    store: Path, folder: Path, substrate: FakeSubstrate
) -> None:
    bypass = {"bypass": "skip_channels", "bypass_channels": ["test"], "bypass_reason": "urgent"}
    execute(store, **bypass)
    assert substrate.calls == ["check playground-1, playground-2"]


def test_an_empty_template_is_refused(store: Path, folder: Path, substrate: FakeSubstrate) -> None:
    (folder / "template.yaml").write_text('{"Resources": {}}')
    assert "Resources is missing or empty, so nothing would be rolled out" in refusal(store)


def test_a_source_that_does_not_answer_is_asked_again(
    store: Path, folder: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any, **__: Any) -> None:
        raise UnreachableError("no answer")

    monkeypatch.setattr("phased_rollout.sources._fetch", unreachable)
    with pytest.raises(UnreachableError):
        execute(store, change="s3://store@bucket/changes")
