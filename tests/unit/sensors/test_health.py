"""The judgement of a channel: evidence graduates it, harm fails it, silence holds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Artifact, Health
from phased_rollout.records import RolloutRecords
from phased_rollout.sensors.health import HealthSensor
from phased_rollout.sensors.soak import SoakSensor
from tests.builders import a_channel
from tests.fakes import FakeSignal, FakeSubstrate
from tests.unit.conftest import begin

CONTEXT: dict[str, Any] = {"run_id": "manual__1"}
LONG_AGO = datetime.now(UTC) - timedelta(minutes=5)


def health(channel: str = "playground") -> HealthSensor:
    return HealthSensor(task_id="health", definition="accounts", channel=channel)


def soaked(
    substrate: FakeSubstrate, *, at: datetime = LONG_AGO, gate: str = "health", verified: int = 2
) -> RolloutRecords:
    records = begin(a_channel("playground", gate=gate))
    records.add(Kind.ENTERED, at=at - timedelta(seconds=1), channel="playground")
    for n in range(1, verified + 1):
        name = f"playground-{n}"
        substrate.running[name] = Artifact("d", {})
        records.add(Kind.VERIFIED, at=at, channel="playground", target=name, digest="d")
    records.add(Kind.APPLIED, at=at, channel="playground", wave=1)
    return records


def test_good_evidence_graduates_the_channel_and_is_recorded(
    store: Path, substrate: FakeSubstrate, signal: FakeSignal
) -> None:
    records = soaked(substrate)
    assert health().poke(CONTEXT)
    assert records.ledger().happened(Kind.GRADUATED, channel="playground")
    evidence = records.details(Kind.HEALTHY)[0]["evidence"]
    assert ["playground-1", "fake", "ok", "as the test says"] in evidence


def test_a_channel_is_not_judged_before_its_soak_is_over(
    store: Path, substrate: FakeSubstrate, signal: FakeSignal
) -> None:
    records = soaked(substrate, at=datetime.now(UTC))
    assert not health().poke(CONTEXT)
    assert not records.ledger().happened(Kind.HEALTHY, channel="playground")


def test_a_silent_signal_holds_the_channel(
    store: Path, substrate: FakeSubstrate, signal: FakeSignal
) -> None:
    records = soaked(substrate)
    signal.health = Health.UNKNOWN
    assert not health().poke(CONTEXT)
    assert not health().poke(CONTEXT)
    [observed] = records.details(Kind.OBSERVED, channel="playground")
    assert ["playground-1", "fake", "unknown", "as the test says"] in observed["evidence"]
    ask_at = LONG_AGO + timedelta(hours=1, seconds=10)
    assert [r["reason"] for r in records.details(Kind.HELD)] == [
        "inconclusive: playground-1: fake: as the test says; playground-2: fake: as the test says; "
        f"at {ask_at:%Y-%m-%d %H:%M:%S} UTC a person is asked"
    ]
    assert not records.ledger().happened(Kind.GRADUATED, channel="playground")


def test_an_unreachable_target_holds_even_a_timer_gate(
    store: Path, substrate: FakeSubstrate, signal: FakeSignal
) -> None:
    soaked(substrate, gate="timer")
    substrate.unreachable.add("playground-1")
    assert not health().poke(CONTEXT)


def test_a_timer_gate_does_not_ask_for_a_declared_signals_word(
    store: Path, substrate: FakeSubstrate, signal: FakeSignal
) -> None:
    soaked(substrate, gate="timer")
    signal.health = Health.UNKNOWN
    assert health().poke(CONTEXT)


def test_harm_fails_for_good(store: Path, substrate: FakeSubstrate, signal: FakeSignal) -> None:
    soaked(substrate, gate="timer")
    signal.health = Health.HARM
    with pytest.raises(AirflowFailException, match="harm in playground or before it"):
        health().poke(CONTEXT)


def test_an_approval_gate_leaves_the_graduation_to_the_person(
    store: Path, substrate: FakeSubstrate, signal: FakeSignal
) -> None:
    records = soaked(substrate, gate="health+approval")
    assert health().poke(CONTEXT)
    assert records.ledger().happened(Kind.HEALTHY, channel="playground")
    assert not records.ledger().happened(Kind.GRADUATED, channel="playground")


def test_an_apply_that_was_marked_success_is_no_evidence(
    store: Path, substrate: FakeSubstrate, signal: FakeSignal
) -> None:
    soaked(substrate, verified=1)
    with pytest.raises(
        AirflowFailException, match="not verified since it was entered: playground-2"
    ):
        health().poke(CONTEXT)


def test_harm_in_an_earlier_channel_fails_the_later_one(
    store: Path, substrate: FakeSubstrate, signal: FakeSignal
) -> None:
    records = begin(a_channel("playground"), a_channel("test"))
    for channel in ("playground", "test"):
        records.add(Kind.ENTERED, at=LONG_AGO - timedelta(seconds=1), channel=channel)
        for n in (1, 2):
            name = f"{channel}-{n}"
            substrate.running[name] = Artifact("d", {})
            records.add(Kind.VERIFIED, at=LONG_AGO, channel=channel, target=name, digest="d")
        records.add(Kind.APPLIED, at=LONG_AGO, channel=channel, wave=1)
    substrate.running["playground-1"] = Artifact("by hand", {})
    with pytest.raises(AirflowFailException, match="playground-1: status: no longer runs"):
        health("test").poke(CONTEXT)


def soak(since: Any, seconds: float = 60) -> SoakSensor:
    return SoakSensor(
        task_id="soak",
        definition="accounts",
        channel="playground",
        since=since,
        delta=timedelta(seconds=seconds),
    )


def test_a_soak_counts_from_the_wave_that_was_verified_last() -> None:
    first, last = "2026-01-05T12:00:00+00:00", "2026-01-05T12:00:07+00:00"
    found = soak([last, first])._derive_base_time(CONTEXT)
    assert found == datetime.fromisoformat(last)


def test_a_soak_waits_in_the_triggerer_for_as_long_as_the_plan_says(store: Path) -> None:
    begin(a_channel("playground"))
    since = datetime.now(UTC)
    with pytest.raises(TaskDeferred) as deferred:
        soak([since.isoformat()]).execute(CONTEXT)
    until = (since + timedelta(seconds=10)).isoformat()
    assert deferred.value.timeout is None
    assert deferred.value.trigger.serialize()[1] == {
        "definition": "accounts",
        "run_id": "manual__1",
        "channel": "playground",
        "until": until,
        "interval": 1.0,
        "judge_at": "",
    }


def test_a_soak_that_is_over_ends_at_once(store: Path) -> None:
    begin(a_channel("playground"))
    soak(["2026-01-05T12:00:00+00:00"]).execute(CONTEXT)


def test_a_soak_without_an_apply_says_what_to_clear(store: Path) -> None:
    begin(a_channel("playground"))
    with pytest.raises(AirflowFailException, match=r"clear playground\.apply with downstream"):
        soak(None).execute(CONTEXT)


def test_harm_in_a_soak_fails_it_for_good(store: Path) -> None:
    begin(a_channel("playground"))
    with pytest.raises(AirflowFailException, match="harm while playground soaked: alarm"):
        soak([]).execute_complete(CONTEXT, {"harm": "alarm"})
