"""A region that cannot be reached, is not enabled or does not exist holds, and harms no other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred

from phased_rollout import substrates
from phased_rollout.aws import doubt_of
from phased_rollout.errors import UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Channel, Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Outcome
from phased_rollout.operators.apply import ApplyOperator
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from phased_rollout.substrates.cloudformation.api import poll
from tests.builders import a_plan
from tests.unit.substrates.conftest import TEMPLATE, World

HOME, AWAY = "eu-central-1", "us-east-1"
CONTEXT: dict[str, Any] = {"run_id": "manual__1"}


@pytest.fixture
def away(world: World) -> World:
    """Another region of the same account."""
    return World(world.aws, account=world.account, region=AWAY)


def cut_off(world: World, kind: str) -> str:
    return world.aws.fault(kind, region=AWAY, count=None, seconds=0.1)


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        ("read", "timeout"),
        ("preview", "reset"),
        ("apply", "timeout"),
        ("verify", "reset"),
        ("restore", "timeout"),
    ],
)
def test_nothing_that_is_asked_of_a_region_that_cannot_be_reached_is_a_failure(
    world: World, away: World, kind: str, act: str
) -> None:
    artifact, before = away.artifact(), away.read()
    acts: dict[str, Callable[[], Any]] = {
        "read": away.read,
        "preview": lambda: away.substrate.preview(away.target, artifact, token="a-preview"),
        "apply": lambda: away.apply(artifact),
        "verify": lambda: away.substrate.verify(away.target, artifact),
        "restore": lambda: away.restore(before, artifact),
    }
    cut_off(world, kind)
    with pytest.raises(UnreachableError, match=rf"account {away.account} \(us-east-1\): could not"):
        acts[act]()
    assert world.apply(artifact).outcome is Outcome.DONE


@pytest.fixture
def records(store: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> RolloutRecords:
    """A rollout to two regions of an account, which has entered its channel."""
    monkeypatch.setattr(substrates, "build", lambda _: world.substrate)
    targets = tuple(
        Target(f"shop-{region}", {"account": world.account, "region": region})
        for region in (HOME, AWAY)
    )
    found = Rollout.open("accounts", "manual__1").records
    plan = a_plan(Channel("dev", targets, soak=timedelta(seconds=1)))
    found.freeze(plan, Change("change", {"template.yaml": TEMPLATE}))
    found.add(Kind.ENTERED, at=datetime.now(UTC), channel="dev")
    return found


def driven(world: World, *, until: Callable[[], bool]) -> None:
    """Run the task as the triggerer would resume it, until it has ended or a condition holds."""
    wave = {"wave": 1, "targets": [f"shop-{HOME}", f"shop-{AWAY}"]}
    task = ApplyOperator(task_id="apply", definition="accounts", channel="dev", wave=wave)
    step: Callable[[], Any] = partial(task.execute, CONTEXT)
    while True:
        try:
            step()
        except TaskDeferred as deferred:
            given = dict(deferred.kwargs or {})
            if until():
                return
            for name, token in given["tokens"].items():
                target = Target(name, {"account": world.account, "region": name[5:]})
                settled = partial(world.substrate.settled, target, token=token)
                poll(settled, until=bool, seconds=10)
            step = partial(task.resume, CONTEXT, {}, **given)
        else:
            return


def test_a_region_that_cannot_be_reached_holds_its_target_and_goes_on_where_it_was(
    world: World, away: World, records: RolloutRecords
) -> None:
    fault = cut_off(world, "reset")
    driven(world, until=lambda: bool(records.details(Kind.HELD)))
    [held] = [detail["reason"] for detail in records.details(Kind.HELD)]
    assert held.startswith(f"shop-{AWAY} cannot be reached, which is no failure of the change: ")
    assert f"account {world.account} ({AWAY})" in held
    assert world.value() == "info"
    assert records.details(Kind.REFUSED, Kind.FAILED, Kind.ARMED, targets=True) == []
    world.aws.clear_faults(fault)
    driven(world, until=lambda: False)
    assert (world.value(), away.value()) == ("info", "info")
    assert [c["region"] for c in world.calls("ExecuteChangeSet")] == [HOME, AWAY]


def test_a_region_that_does_not_exist_is_named_with_the_one_that_is_meant(world: World) -> None:
    slip = World(world.aws, account=world.account, region="eu-centrall-1")
    words = r"\(eu-centrall-1\): could not be asked: botocore [\d.]+ knows no region "
    with pytest.raises(UnreachableError, match=words + r"'eu-centrall-1', did you mean 'eu-cent"):
        slip.read()


def test_a_plan_tells_of_a_region_that_boto_does_not_know_but_makes_no_error_of_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    targets = [Target(r, {"account": world.account, "region": r}) for r in (HOME, "eu-west-9")]
    with caplog.at_level(logging.WARNING):
        assert world.substrate.check(Change("c", {"template.yaml": TEMPLATE}), targets) == []
    assert "knows no region 'eu-west-9', did you mean 'eu-west-" in caplog.text
    assert HOME not in caplog.text


@pytest.mark.parametrize("region", ["eu-central-1", "cn-north-1", "us-gov-west-1", "ap-south-2"])
def test_there_is_no_doubt_of_regions_of_any_partition(region: str) -> None:
    assert doubt_of(region) == ""
