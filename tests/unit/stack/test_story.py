from datetime import timedelta
from pathlib import Path

from airflow.sdk import ObjectStoragePath

from phased_rollout.model.change import Change
from phased_rollout.model.ledger import Kind
from phased_rollout.records import RecordStore
from sandbox.stack.story import Failure, Restoration, Story, read_story
from tests.builders import START, a_plan

CHANGE = Change(name="change", files={"template.yaml": "{}"})


def test_a_rollout_without_a_plan_has_no_story(tmp_path: Path) -> None:
    assert read_story(tmp_path, definition="accounts", run_id="run") == Story()


def test_the_records_tell_what_failed_what_was_restored_and_how_long_a_soak_lasts(
    tmp_path: Path,
) -> None:
    frozen = a_plan()
    first = frozen.channels[0]
    where = {"channel": first.name, "target": first.targets[0].name}
    store = RecordStore(ObjectStoragePath(f"file://{tmp_path}"))
    records = store.rollout(frozen.definition.name, frozen.run_id)
    records.freeze(frozen, CHANGE)
    records.add(Kind.APPLIED, at=START, channel=first.name, wave=1)
    records.add(Kind.REFUSED, at=START, reason="no such type", **where)
    for task in (f"{first.name}.apply", f"{first.name}.soak", "rollback.verdict"):
        channel = task.partition(".")[0]
        records.add(Kind.FAILED, at=START, channel=channel, task=task, reason="why", attempt="1")
    records.add(Kind.RESTORED, at=START + timedelta(seconds=1), reason="", **where)

    story = read_story(tmp_path, definition=frozen.definition.name, run_id=frozen.run_id)

    assert story.soak_ends == {first.name: START + first.soak}
    assert story.targets[first.name] == len(first.targets)
    assert story.failures == (
        Failure(first.name, "apply", where["target"], "no such type"),
        Failure(first.name, "soak", "", "why"),
    )
    assert story.restored == (Restoration(first.name, where["target"], "restored", ""),)
