"""One running system with many rollouts side by side, and what can be seen of it from outside."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import ObjectStoragePath

from phased_rollout import changes
from phased_rollout.model.definition import definition_of
from phased_rollout.model.ledger import NEVER, Kind
from phased_rollout.records import RecordStore, RolloutRecords
from sandbox.aws.client import SandboxAws
from sandbox.stack import PROJECT, Client, Stack, wait_until

REGION = "eu-central-1"
CHANGES = PROJECT / "include/changes"
GOOD, RUNTIME_FAILURE, REFUSED = "longer-retention", "wrong-pointer", "audit-queue"
OLD, NEW = "initial CREATE_COMPLETE", f"{GOOD} UPDATE_COMPLETE"
RESTORED, ROLLED_BACK = "initial UPDATE_COMPLETE", "initial UPDATE_ROLLBACK_COMPLETE"
"""What an account runs: before, with the change, after our rollback, after CloudFormation's."""
CHANNELS = ("playground", "test", "infra", "production")
BY_HAND = "baseline-by-hand"
"""An alarm that only the test sets; the prefix of the declared signal covers it."""
SAMPLES = [changes.load(p.name, base=CHANGES, given={}) for p in sorted(CHANGES.iterdir())]
MUTATIONS = {"ExecuteChangeSet", "DeleteStack", "CreateStack", "UpdateStack"}
FINAL = {"success", "failed"}
PATIENCE = 1500.0
"""Seconds until what does not come about in a scenario is given up, on a slow machine too."""
SELDOM = 5.0
"""Seconds between two questions that only a failure answers with yes."""
PATIENCE_WITH_ALL = 2600.0
"""The same for a whole scenario, which may wait several times and for others."""
Json = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """A rollout definition of its own with accounts of its own, and who acts on its run.

    :param act: triggers the run, disturbs it, and returns when it has ended
    """

    name: str
    number: int
    act: Callable[[World, Scenario], Any]
    channels: tuple[str, ...] = CHANNELS
    targets: int = 2
    settings: Mapping[str, Any] = field(default_factory=dict)
    of_channel: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def account(self, channel: str, number: int) -> str:
        """Give the account of the n-th target of a channel, from 1."""
        return f"7{self.number:05d}{self.channels.index(channel) + 1:03d}{number:03d}"

    def accounts(self, *channels: str) -> list[str]:
        """Give the accounts of some channels, or of all."""
        wanted = channels or self.channels
        return [self.account(c, n) for c in wanted for n in range(1, self.targets + 1)]

    def definition(self) -> Json:
        """Give the entry for channels.yaml."""
        return {
            "change": f"{CHANGES}/{GOOD}",
            "substrate": {
                "kind": "cloudformation",
                "connection": "aws_rollout",
                "role": "phased-rollout",
                "stack": "baseline",
                "region": REGION,
            },
            "signals": [{"kind": "cloudwatch_alarms", "prefix": "baseline-"}],
            "defaults": {"soak": "4s"},
            **self.settings,
            "channels": [
                {
                    "name": channel,
                    "targets": [
                        {"name": f"{channel}-{n}", "account": self.account(channel, n)}
                        for n in range(1, self.targets + 1)
                    ],
                    **self.of_channel.get(channel, {}),
                }
                for channel in self.channels
            ],
        }


def write_config(path: Path, rollouts: Mapping[str, Json], **more: Json) -> None:
    """Write a channels.yaml, whole or not at all."""
    part = path.with_suffix(".part")
    file = {"version": 1, **more, "rollouts": dict(rollouts)}
    part.write_text(yaml.safe_dump(file, sort_keys=False))
    part.replace(path)


class World:
    """A stack, its sandbox, and the scenarios that run in it."""

    def __init__(self, stack: Stack, *, config: Path, at_once: int = 32) -> None:
        self.stack = stack
        self.config = config
        self.aws = SandboxAws(stack.aws_endpoint)
        self.operator: Client = stack.client("operator")
        self.approver: Client = stack.client("approver")
        self.store = RecordStore(ObjectStoragePath(f"file://{stack.records}"))
        self._acts: dict[str, Future[Any]] = {}
        self._pool = ThreadPoolExecutor(max_workers=at_once)
        self._together = threading.Barrier(1)

    def begin(self, scenarios: list[Scenario]) -> None:
        """Let all scenarios act, side by side."""
        self._together = threading.Barrier(max(1, len(scenarios)))
        for scenario in scenarios:
            self._acts[scenario.name] = self._pool.submit(scenario.act, self, scenario)

    def end(self) -> None:
        """Let no scenario wait any longer: its Airflow ends."""
        self._together.abort()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def acted(self, name: str) -> Any:
        """Wait until a scenario's act has ended; gives what it returned."""
        return self._acts[name].result(timeout=PATIENCE_WITH_ALL)

    def wait_for_others(self, scenario: Scenario) -> None:
        """Wait until all other scenarios have ended, well or badly."""
        futures.wait(
            [act for name, act in self._acts.items() if name != scenario.name],
            timeout=PATIENCE_WITH_ALL,
        )

    # acting

    def together(self, act: Callable[[], None]) -> None:
        """Act once, when all scenarios have come to this call; returns when that is done."""
        try:
            if self._together.wait(timeout=PATIENCE_WITH_ALL) == 0:
                act()
            self._together.wait(timeout=PATIENCE_WITH_ALL)
        except BaseException:
            self._together.abort()
            raise

    @property
    def names(self) -> set[str]:
        """The names of the scenarios that act."""
        return set(self._acts)

    def versions(self, dag: str) -> int:
        """Give how many versions of a Dag Airflow knows."""
        found = self.operator.request("GET", f"/dags/{dag}/dagVersions")
        return int(found["total_entries"])

    def alarm(self, account: str, state: str) -> None:
        """Set an alarm of an account that nothing but the test sets: OK or ALARM."""
        client = self.aws.client("cloudwatch", account, region=REGION)
        client.put_metric_alarm(
            AlarmName=BY_HAND,
            Namespace="Baseline",
            MetricName="ByHand",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
        client.set_alarm_state(AlarmName=BY_HAND, StateValue=state, StateReason="by hand")

    def trigger(self, scenario: Scenario, **conf: Any) -> str:
        """Start a run and give its id."""
        run_id: str = self.operator.trigger(scenario.name, conf=conf)["dag_run_id"]
        return run_id

    def wait_for_end(self, scenario: Scenario, run_id: str, *, timeout: float = PATIENCE) -> str:
        """Wait until the run has ended; gives its state."""

        def state() -> str:
            return str(self.operator.run(scenario.name, run_id)["state"])

        if not wait_until(lambda: state() in FINAL, timeout=timeout, interval=2):
            raise self._too_late(f"{scenario.name} did not end: {self.states(scenario, run_id)}")
        return state()

    def wait_for_task(
        self,
        scenario: Scenario,
        run_id: str,
        task: str,
        *states: str,
        timeout: float = PATIENCE,
        interval: float = 1,
        beyond_end: bool = False,
    ) -> Json:
        """Wait until some instance of a task is in one of the states; gives the instance.

        :param beyond_end: keep waiting when the run has ended already
        """
        found: list[Json] = []

        def reached() -> bool:
            found[:] = [
                ti
                for ti in self.operator.task_instances(scenario.name, run_id, task_id=task)
                if ti["state"] in states
            ]
            return bool(found)

        ended = self._ended(scenario, run_id)

        def over() -> bool:
            # What came between the two questions counts.
            return reached() or (not beyond_end and ended() and (reached() or True))

        if not (wait_until(over, timeout=timeout, interval=interval) and found):
            raise self._too_late(f"{scenario.name}: {task}: {self.states(scenario, run_id)}")
        return found[0]

    def wait_until_asked(
        self, scenario: Scenario, run_id: str, task: str, *, timeout: float = PATIENCE
    ) -> Json:
        """Wait until a task asks a person; a gate watches its channel meanwhile, deferred."""
        asks = "deferred" if task.endswith(".gate") else "awaiting_input"
        return self.wait_for_task(scenario, run_id, task, asks, interval=0.5, timeout=timeout)

    def answer(
        self, scenario: Scenario, run_id: str, task: str, option: str, *, timeout: float = PATIENCE
    ) -> None:
        """Answer a question as the approver, the moment it is asked."""
        self.wait_until_asked(scenario, run_id, task, timeout=timeout)
        self.approver.answer(scenario.name, run_id, task, options=[option])

    def _ended(self, scenario: Scenario, run_id: str) -> Callable[[], bool]:
        """Say whether a run has ended; Airflow is asked now and then, for asking takes its time."""
        next_at = 0.0

        def ended() -> bool:
            nonlocal next_at
            if time.monotonic() < next_at:
                return False
            next_at = time.monotonic() + SELDOM
            return self.operator.run(scenario.name, run_id)["state"] in FINAL

        return ended

    # seeing

    def _too_late(self, what: str) -> TimeoutError:
        """Say what did not come about, whether Airflow is well, and how busy the machine is."""
        health = {name: part["status"] for name, part in self.operator.health().items()}
        running = [
            f"{run['dag_id']} {ti['task_id']} {ti['state']}"
            for run in self.operator.runs()
            if run["state"] not in FINAL
            for ti in self.operator.task_instances(run["dag_id"], run["dag_run_id"])
            if ti["state"] in ("scheduled", "queued", "running", "deferred", "up_for_retry")
        ]
        return TimeoutError(f"{what}; {health}; load {os.getloadavg()}; at work: {running}")

    def states(self, scenario: Scenario, run_id: str) -> dict[str, str]:
        """Give the state of each task; of a mapped one, those of all its instances, sorted."""
        found: dict[str, list[str]] = {}
        for ti in self.operator.task_instances(scenario.name, run_id):
            found.setdefault(ti["task_id"], []).append(str(ti["state"]))
        return {task: " ".join(sorted(set(states))) for task, states in found.items()}

    def records(self, scenario: Scenario, run_id: str) -> RolloutRecords:
        """Open the records of a run, of an emergency too."""
        return self.store.rollout(definition_of(scenario.name), run_id)

    def running(self, scenario: Scenario, *channels: str) -> dict[str, str]:
        """Read what each account of these channels runs: target to sample change and status."""
        return {
            f"{channel}-{n}": self._running(channel, scenario.account(channel, n))
            for channel in channels or scenario.channels
            for n in range(1, scenario.targets + 1)
        }

    def _running(self, channel: str, account: str) -> str:
        client = self.aws.client("cloudformation", account, region=REGION)
        stack = client.describe_stacks(StackName="baseline")["Stacks"][0]
        text = client.get_template(StackName="baseline", TemplateStage="Original")["TemplateBody"]
        found = {p["ParameterKey"]: p["ParameterValue"] for p in stack["Parameters"]}
        for change in SAMPLES:
            wanted = change.parameters_for(channel=channel, target="")
            if change.files["template.yaml"] == text and found.items() >= wanted.items():
                return f"{change.name} {stack['StackStatus']}"
        return f"something else {stack['StackStatus']}"

    def mutations(self, *accounts: str, after: int = 0) -> list[tuple[str, str]]:
        """Give the calls that changed stacks in these accounts: (account, operation), in order."""
        return [
            (call["account"], call["operation"])
            for call in self.aws.calls(after=after)
            if call["account"] in accounts
            and call["service"] == "cloudformation"
            and call["operation"] in MUTATIONS
        ]

    def wait_for_call(self, account: str, operation: str, *, timeout: float = PATIENCE) -> None:
        """Wait until the sandbox was asked something in an account."""
        asked = {"account": account, "operation": operation}
        if not wait_until(lambda: bool(self.aws.calls(**asked)), timeout=timeout, interval=0.3):
            raise self._too_late(f"{account} was never asked to {operation}")

    def wait_until_hit(self, fault: str, *, timeout: float = PATIENCE) -> None:
        """Wait until a call has run into an injected fault."""
        if not wait_until(
            lambda: fault not in [f["id"] for f in self.aws.faults()],
            timeout=timeout,
            interval=0.3,
        ):
            raise self._too_late(f"no call ran into the fault {fault}")

    def wait_for_record(
        self,
        scenario: Scenario,
        run_id: str,
        kind: Kind,
        *,
        channel: str | None = None,
        timeout: float = PATIENCE,
    ) -> None:
        """Wait until something was recorded of the run, or of a channel (by default of any)."""
        records = self.records(scenario, run_id)

        def recorded() -> bool:
            ledger = records.ledger()
            if channel is None:
                return ledger.last_of_any(kind) > NEVER
            return ledger.happened(kind, channel=channel)

        ended = self._ended(scenario, run_id)
        if not (
            wait_until(lambda: recorded() or ended(), timeout=timeout, interval=0.5) and recorded()
        ):
            raise self._too_late(f"{scenario.name}: nothing was {kind}")

    def process_of(self, scenario: Scenario, run_id: str, task: Json) -> int:
        """Give the process that runs a task instance."""
        found = self.operator.task_instance(
            scenario.name, run_id, task["task_id"], map_index=task["map_index"]
        )
        pid = int(found["pid"])
        if pid not in self.stack.members("scheduler"):
            raise ProcessLookupError(f"{pid} is no process of the executor")
        return pid

    def executed(self, *accounts: str) -> list[tuple[str, str]]:
        """Give the executions that took effect, in order: (account, name of the attempt)."""
        calls = self.aws.calls(service="cloudformation", operation="ExecuteChangeSet")
        return [
            (call["account"], call["params"]["ClientRequestToken"])
            for call in calls
            if call["account"] in accounts and self.took_effect(call)
        ]

    @staticmethod
    def took_effect(call: Json) -> bool:
        """Say whether a call did what it asked for, whatever the caller was told."""
        if call["fault"] == "lost_503":
            return bool(call["error"] == "ServiceUnavailable")
        return call["error"] is None and call["fault"] not in ("reset", "timeout")

    def change_sets(self, account: str) -> list[str]:
        """Name the ChangeSets of the product that still wait to be executed."""
        client = self.aws.client("cloudformation", account, region=REGION)
        found = client.list_change_sets(StackName="baseline")["Summaries"]
        return [s["ChangeSetName"] for s in found if s["ExecutionStatus"] == "AVAILABLE"]

    def wait_for_rollback(self, scenario: Scenario, run_id: str) -> str:
        """Wait until the verdict of a run has ended; gives the run's state."""
        verdict = ("rollback.verdict", "failed", "success")
        self.wait_for_task(scenario, run_id, *verdict, beyond_end=True)
        return self.wait_for_end(scenario, run_id)
