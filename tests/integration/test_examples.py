"""Each kind of target by its example: through all channels, and stopped at the first one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from phased_rollout.config import load
from phased_rollout.model.ledger import Kind
from phased_rollout.records import RecordStore, RolloutRecords
from sandbox.stack import Stack, wait_until
from sandbox.stack.demo import await_dag, seed_sandbox
from tests.integration.examples import EXAMPLES, Example, everywhere, write_together

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2700)]
Seen = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Walked:
    """A run of an example that has ended, and what its targets ran and were asked until then."""

    state: str
    records: RolloutRecords
    runs: Seen
    asked: Seen


class Examples:
    """All examples in one Airflow: each good change first, then each failing one."""

    def __init__(self, stack: Stack, config: Path) -> None:
        self.definitions = load(config).definitions
        self._stack = stack
        self._operator = stack.client("operator")
        self._store = RecordStore(ObjectStoragePath(f"file://{stack.records}"))
        self.before = {e.rollout: self._look(e, e.runs) for e in EXAMPLES}
        self.good = self._walk({})
        self.failed = self._walk({e.rollout: {"change": e.failing} for e in EXAMPLES})

    def _walk(self, conf: Mapping[str, Mapping[str, str]]) -> dict[str, Walked]:
        begun = {
            e: self._operator.trigger(e.rollout, conf=conf.get(e.rollout, {}))["dag_run_id"]
            for e in EXAMPLES
        }
        return {e.rollout: self._ended(e, run_id) for e, run_id in begun.items()}

    def _ended(self, example: Example, run_id: str) -> Walked:
        def state() -> str:
            return str(self._operator.run(example.rollout, run_id)["state"])

        if not wait_until(lambda: state() in {"success", "failed"}, timeout=600, interval=2):
            instances = self._operator.task_instances(example.rollout, run_id)
            left = {i["task_id"]: i["state"] for i in instances}
            raise TimeoutError(f"{example.rollout} did not end: {left}")
        return Walked(
            state(),
            self._store.rollout(example.rollout, run_id),
            runs=self._look(example, example.runs),
            asked=self._look(example, example.asked),
        )

    def _look(self, example: Example, how: Any) -> Seen:
        return everywhere(self.definitions[example.rollout], partial(how, self._stack))


@pytest.fixture(scope="module")
def examples(stack_folder: Path) -> Iterator[Examples]:
    config = write_together(EXAMPLES, stack_folder)
    env = {
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
    }
    with Stack(stack_folder / "state", config=config, env=env) as stack:
        seed_sandbox(stack)
        for example in EXAMPLES:
            await_dag(stack.client("viewer"), example.rollout)
        yield Examples(stack, config)


every = pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.rollout)


@every
def test_the_change_of_the_example_walks_through_all_channels_in_order(
    examples: Examples, example: Example
) -> None:
    walked, channels = examples.good[example.rollout], examples.definitions[example.rollout]
    assert walked.state == "success"
    graduated = [e.channel for e in walked.records.ledger().entries if e.kind is Kind.GRADUATED]
    assert graduated == [c.name for c in channels.channels]
    for channel, targets in walked.runs.items():
        for target, running in targets.items():
            assert running, f"{target} of {channel} runs nothing"
            assert running != examples.before[example.rollout][channel][target]


@every
def test_a_change_that_fails_when_it_runs_stops_at_the_first_channel_and_is_rolled_back(
    examples: Examples, example: Example
) -> None:
    good, walked = examples.good[example.rollout], examples.failed[example.rollout]
    assert walked.state == "failed"
    first, *later = [c.name for c in examples.definitions[example.rollout].channels]
    ledger = walked.records.ledger()
    assert {e.channel for e in ledger.entries if e.kind is Kind.ENTERED} == {first}
    assert ledger.happened(Kind.ROLLED_BACK, channel=first)
    assert walked.runs == good.runs, "everything runs what it ran before"
    assert {c: walked.asked[c] for c in later} == {c: good.asked[c] for c in later}
    assert sum(walked.asked[first].values()) > sum(good.asked[first].values())
