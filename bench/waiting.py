"""What holds a worker slot while a rollout waits, and how soon a failure is restored."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from bench.report import Row, middle, spread
from bench.system import Rollout, System, running, seconds

_TODAY = datetime.now(UTC).date()
_CLOSED = {
    "name": "closed",
    "reason": "measured",
    "from": str(_TODAY - timedelta(days=1)),
    "until": str(_TODAY + timedelta(days=2)),
}
_WAITING = {
    "soaking": (Rollout("soaking", 1, 1, 1, 600, {}), "production.soak"),
    "a stack": (Rollout("updating", 2, 1, 1, 4, {}), "production.apply"),
    "a freeze": (Rollout("frozen", 3, 1, 1, 4, {"freeze": [_CLOSED]}), "production.enter"),
    "a person": (
        Rollout("asking", 4, 1, 1, 4, {"gate": ["health", "approval"]}),
        "production.gate",
    ),
}
_BREAKS = Rollout("breaks", 5, 2, 3, 20, {})
_WAITS = ("deferred", "awaiting_input")
_SAMPLES, _SLOW, _PHASE = 20, 300.0, 0.02
_ALARM = "baseline-by-hand"


def rows(*, runs: int) -> list[Row]:
    """Measure in one Airflow."""
    with running(_BREAKS, *(r for r, _ in _WAITING.values()), phase=_PHASE) as system:
        begun, busy = _begin(system)
        slots = _slots(system, begun)
        pairs = [_failure(system) for _ in range(runs)]
    restored, noticed = ([pair[n] for pair in pairs] for n in (0, 1))
    return [
        Row(
            f"worker slots held while waiting: {', '.join(_WAITING)}",
            slots,
            0,
            "",
            f"most of {_SAMPLES} counts; the same count, while they began, was up to {busy}",
        ),
        Row(
            "from the failed task to the first restore", middle(restored), 5, note=spread(restored)
        ),
        Row("from the alarm to the first restore", middle(noticed), note=spread(noticed)),
    ]


def _begin(system: System) -> tuple[list[tuple[str, str, str]], int]:
    """Begin what waits; gives the runs, and how many processes ran a task meanwhile.

    :raises RuntimeError: when no task was ever counted, since such a count proves nothing
    """
    (updating,) = _WAITING["a stack"][0].accounts()["production"]
    system.aws.settings(slow={updating: _SLOW})
    begun = [(r.name, system.begin(r.name, turn=0), t) for r, t in _WAITING.values()]
    most = 0
    for dag, run_id, task in begun:
        most = max(most, *system.counts_until(dag, run_id, task, *_WAITS))
    if not most:
        raise RuntimeError("tasks ran, but none was counted")
    return begun, most


def _slots(system: System, begun: list[tuple[str, str, str]]) -> int:
    """Count the processes that run a task while all of them wait."""
    time.sleep(3)  # the process that has just deferred ends
    most = 0
    for _ in range(_SAMPLES):
        most = max(most, system.task_processes())
        time.sleep(1)
    for dag, run_id, task in begun:
        system.wait_for(dag, run_id, task, *_WAITS)
    return most


def _failure(system: System) -> tuple[float, float]:
    """Give the seconds from the failed task, and from the alarm, to the first restore."""
    accounts = [a for each in _BREAKS.accounts().values() for a in each]
    _alarm(system, accounts[-1], "OK")
    run_id = system.begin("breaks", turn=0)
    system.wait_for("breaks", run_id, "production.soak", "deferred")
    time.sleep(3)  # nothing is in flight, and the deferral is a settled one
    harmed = datetime.now(UTC)
    _alarm(system, accounts[-1], "ALARM")
    system.wait("breaks", run_id)
    _alarm(system, accounts[-1], "OK")
    (soak,) = system.client.task_instances("breaks", run_id, task_id="production.soak")
    restored = min(
        moment
        for call in system.calls(accounts)
        if call["operation"] == "ExecuteChangeSet"
        and (moment := datetime.fromisoformat(call["time"])) > harmed
    )
    return seconds(soak["end_date"], restored), seconds(harmed, restored)


def _alarm(system: System, account: str, state: str) -> None:
    client = system.aws.client("cloudwatch", account)
    client.put_metric_alarm(
        AlarmName=_ALARM,
        Namespace="Bench",
        MetricName="ByHand",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    client.set_alarm_state(AlarmName=_ALARM, StateValue=state, StateReason="by hand")
