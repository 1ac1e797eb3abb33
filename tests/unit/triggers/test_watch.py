"""The watch over a channel: what is asked, how often, and what silence means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phased_rollout import health
from phased_rollout.errors import RecordError, UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Artifact, Health, Observation
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from phased_rollout.triggers.soak import SoakTrigger
from phased_rollout.triggers.watch import Watch
from tests.builders import a_channel
from tests.fakes import FakeSignal, FakeSubstrate
from tests.unit.conftest import begin
from tests.unit.triggers.test_triggers import first_event

START = datetime(2027, 1, 1, tzinfo=UTC)
NAMES = ["playground-1", "playground-2"]


@dataclass
class Batch:
    """Answers for all targets at once, or raises; ``leaves_out`` some of them."""

    error: Exception | None = None
    health: Health = Health.OK
    leaves_out: str = ""
    calls: list[tuple[list[str], Mapping[str, datetime], datetime]] = field(default_factory=list)

    def observe_all(
        self, targets: Sequence[Target], *, since: Mapping[str, datetime], now: datetime
    ) -> Mapping[str, Sequence[Observation]]:
        self.calls.append(([t.name for t in targets], since, now))
        if self.error:
            raise self.error
        return {
            t.name: [Observation(t.name, "batch", self.health, "as the test says")]
            for t in targets
            if t.name != self.leaves_out
        }


@pytest.fixture
def records(store: Path, substrate: FakeSubstrate) -> RolloutRecords:
    found = begin(a_channel("playground", gate="health"))
    for number, name in enumerate(NAMES):
        at = START + timedelta(minutes=number)
        found.add(Kind.VERIFIED, at=at, channel="playground", target=name, digest="d")
        substrate.running[name] = Artifact("d", {})
    return found


def watching(monkeypatch: pytest.MonkeyPatch, signal: Any, *, patience: int = 1) -> Watch:
    monkeypatch.setattr(health, "build", lambda _: [signal])
    return Watch.of(Rollout.open("accounts", "manual__1"), "playground", patience=patience)


def seen(watch: Watch) -> list[tuple[str, str, Health]]:
    return [(o.target, o.signal, o.health) for o in watch.look(START + timedelta(hours=1))]


def test_a_signal_that_can_is_asked_once_about_all_targets(
    records: RolloutRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch()
    assert seen(watching(monkeypatch, batch)) == [
        ("playground-1", "status", Health.OK),
        ("playground-1", "batch", Health.OK),
        ("playground-2", "status", Health.OK),
        ("playground-2", "batch", Health.OK),
    ]
    since = {"playground-1": START, "playground-2": START + timedelta(minutes=1)}
    assert batch.calls == [(NAMES, since, START + timedelta(hours=1))]


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (UnreachableError("throttled"), "throttled"),
        (KeyError("token=hunter2"), "has a fault (KeyError): see the log"),
    ],
)
def test_a_signal_that_raises_is_unknown_and_no_failure_whatever_it_raises(
    records: RolloutRecords, monkeypatch: pytest.MonkeyPatch, error: Exception, detail: str
) -> None:
    def raises(target: Target) -> list[Observation]:
        raise error

    single = FakeSignal()
    monkeypatch.setattr(single, "observe", raises)
    for signal in (Batch(error=error), single):
        found = watching(monkeypatch, signal).look(START)
        silent = [o for o in found if o.signal != "status"]
        assert [(o.health, o.detail) for o in silent] == [(Health.UNKNOWN, detail)] * 2


def test_a_target_that_a_signal_leaves_out_is_unknown(
    records: RolloutRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = seen(watching(monkeypatch, Batch(leaves_out="playground-2")))
    assert {health for _, signal, health in found if signal != "status"} == {Health.UNKNOWN}


def test_short_silence_is_ridden_out_and_a_long_one_is_unknown(
    records: RolloutRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Batch()
    watch = watching(monkeypatch, batch, patience=3)
    seen(watch)
    batch.error = UnreachableError("throttled")
    looks = [{health for _, signal, health in seen(watch)} for _ in range(3)]
    assert looks == [{Health.OK}, {Health.OK}, {Health.OK, Health.UNKNOWN}]
    batch.error = None
    assert {health for _, _, health in seen(watch)} == {Health.OK}


def test_what_was_never_known_is_unknown_at_once(
    records: RolloutRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watching(monkeypatch, Batch(health=Health.UNKNOWN), patience=3)
    assert ("playground-1", "batch", Health.UNKNOWN) in seen(watch)


def test_records_that_cannot_be_read_for_a_while_do_not_end_a_soak(
    records: RolloutRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    signal, errors = FakeSignal(Health.HARM), [RecordError("no such bucket"), OSError("down")]
    monkeypatch.setattr(health, "build", lambda _: [signal])
    opened = Rollout.open

    def failing(definition: str, run_id: str) -> Rollout:
        if errors:
            raise errors.pop()
        return opened(definition, run_id)

    monkeypatch.setattr(Rollout, "open", failing)
    until = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    trigger = SoakTrigger(
        definition="accounts", run_id="manual__1", channel="playground", until=until, interval=0.01
    )
    assert "playground-1: fake" in first_event(trigger).payload["harm"]
    assert errors == []
