"""What a plan freezes of the things that targets consist of."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from phased_rollout import substrates
from phased_rollout.errors import GuardError, RefusedError, UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind
from phased_rollout.operators.discovery import find_targets
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import NAMES, a_definition, a_plan
from tests.fakes import FakeSubstrate


@dataclass
class Hosts(FakeSubstrate):
    """Targets of two hosts each, unless ``found`` says otherwise."""

    found: dict[str, tuple[str, ...] | Exception] = field(default_factory=dict)

    def members(self, target: Target) -> tuple[str, ...]:
        self.calls.append(target.name)
        found = self.found.get(target.name, (f"{target.name}-a", f"{target.name}-b"))
        if isinstance(found, Exception):
            raise found
        return found


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> Hosts:
    made = Hosts()
    monkeypatch.setattr(substrates, "build", lambda _: made)
    return made


@pytest.fixture
def records(store: object) -> RolloutRecords:
    return Rollout.open("accounts", "manual__1").records


def test_the_plan_freezes_what_each_target_consists_of(
    hosts: Hosts, records: RolloutRecords
) -> None:
    definition, _ = find_targets(a_definition(), records)
    target = definition.channel("test").targets[1]
    assert target.members == ("test-2-a", "test-2-b")
    assert sorted(hosts.calls) == sorted(f"{name}-{n}" for name in NAMES for n in (1, 2))


def test_channels_that_are_left_out_are_not_asked(hosts: Hosts, records: RolloutRecords) -> None:
    definition, _ = find_targets(a_definition(), records, without=["playground"])
    assert definition.channel("playground").targets[0].members == ()
    assert not any(name.startswith("playground") for name in hosts.calls)


@pytest.mark.parametrize(
    ("found", "error", "said"),
    [
        ({"test-1": RefusedError("no host"), "test-2": RefusedError("nor here")}, GuardError,
         "no host\nnor here"),
        ({"test-1": ("x",), "production-1": ("x",)}, GuardError, "1 are of test-1 and of prod"),
        ({"test-1": UnreachableError("no answer")}, UnreachableError, "no answer"),
    ],
)  # fmt: skip
def test_a_plan_stops_when_members_cannot_be_had(
    hosts: Hosts, records: RolloutRecords, found: dict, error: type[Exception], said: str
) -> None:
    hosts.found = found
    with pytest.raises(error, match=said):
        find_targets(a_definition(), records)


def test_fewer_members_than_in_the_last_graduated_plan_need_an_authorization(
    hosts: Hosts, records: RolloutRecords
) -> None:
    before, _ = find_targets(a_definition(), records)
    change = Change("change", {"template.yaml": "x"})
    records.freeze(replace(a_plan(), definition=before, change=change.digest), change)
    records.add(Kind.FINISHED, at=datetime.now(UTC))
    hosts.found = {"test-1": ("test-1-a",)}
    _, origin = find_targets(a_definition(), Rollout.open("accounts", "manual__9").records)
    assert origin.authorize == (
        "test-1 has 1 members, and had 2 in the last graduated plan; gone: test-1-b",
    )
