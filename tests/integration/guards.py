"""What may be rolled out, when, and who may bypass: people, clocks and drift meet rollouts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from phased_rollout.model.ledger import Kind
from sandbox.stack import PROJECT, ApiError, wait_until
from tests.integration.disturbances import TWO, Story, ended_again, refuse, verdict
from tests.integration.listener import NOTIFY
from tests.integration.scenarios import ASKING, THREE, Ended, change, roll
from tests.integration.world import (
    CHANGES,
    CHANNELS,
    FINAL,
    GOOD,
    PATIENCE,
    REFUSED,
    REGION,
    Json,
    Scenario,
    World,
)

URGENT = {"bypass_reason": "CVE-2026-1", "change": change(REFUSED)}
BUCKET = "changes"
FOREVER = {"from": "2020-01-01", "until": "2099-12-31"}


def emergency(scenario: Scenario) -> Scenario:
    """Give the scenario as its emergency Dag."""
    return replace(scenario, name=f"{scenario.name}_emergency")


def control(world: World, scenario: Scenario, action: str) -> None:
    """Tell a rollout that is under way what to do, as the operator does."""
    desk = replace(scenario, name=f"{scenario.name}_control")
    ended = roll(world, desk, action=action, reason="the phone rang")
    if ended.state != "success":
        raise RuntimeError(
            f"{action}: {world.operator.last_error(desk.name, ended.run_id, 'record')}"
        )


def soaking(world: World, scenario: Scenario, **conf: Any) -> str:
    """Trigger a run and wait until playground soaks."""
    run_id = world.trigger(scenario, **conf)
    world.wait_for_record(scenario, run_id, Kind.APPLIED, channel="playground")
    return run_id


def owed(world: World, scenario: Scenario) -> tuple[int, str]:
    """Ask the command line what is owed; gives its exit status and what it says."""
    command = "import sys; from phased_rollout.cli import main; sys.exit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", command, "debt", scenario.name, "--json"],
        env=os.environ
        | {
            "PYTHONPATH": str(PROJECT / "plugins"),
            "PHASED_ROLLOUT_CONFIG": str(world.config),
            "PHASED_ROLLOUT_RECORDS": f"file://{world.stack.records}",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return ran.returncode, ran.stdout + ran.stderr


def by_hand(world: World, account: str, **parameters: str) -> None:
    """Update the stack of an account as somebody else would; returns when that is done."""
    client = world.aws.client("cloudformation", account, region=REGION)
    client.update_stack(
        StackName="baseline",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )

    def done() -> bool:
        found = client.describe_stacks(StackName="baseline")["Stacks"][0]
        return bool(found["StackStatus"] == "UPDATE_COMPLETE")

    if not wait_until(done, timeout=PATIENCE, interval=0.5):
        raise TimeoutError(f"{account}: the update by hand did not end")


# an operator's word


def held_by_operator(world: World, scenario: Scenario) -> Story:
    """An operator holds the rollout while playground soaks, and resumes it later."""
    run_id = soaking(world, scenario)
    control(world, scenario, "hold")
    world.wait_for_record(scenario, run_id, Kind.HELD, channel="production")
    held = world.wait_for_task(scenario, run_id, "production.enter", "deferred")
    story = Story(run_id, seen={"held": held, "running": world.running(scenario)})
    control(world, scenario, "resume")
    ended_again(world, scenario, story, "resumed")
    return story


def aborted(action: str) -> Callable[[World, Scenario], Story]:
    """An operator aborts the rollout in a soak of ten minutes."""

    def act(world: World, scenario: Scenario) -> Story:
        story = Story(soaking(world, scenario))
        control(world, scenario, action)
        ended_again(world, scenario, story, action)
        story.seen[action] = world.running(scenario)
        story.errors[action] = verdict(world, scenario, story.run_id)
        if action == "abort_and_leave":
            control(world, scenario, "abort_and_roll_back")
            world.operator.clear(scenario.name, story.run_id, ["rollback.trip"])
            ended_again(world, scenario, story, "rolled back later")
            story.seen["rolled back later"] = world.running(scenario)
        return story

    return act


# emergencies


def superseded(world: World, scenario: Scenario) -> Story:
    """A security fix goes out while the regular rollout soaks; then what is owed is paid."""
    story, urgent = Story(soaking(world, scenario)), emergency(scenario)
    fix = world.trigger(urgent, **URGENT)
    story.seen["fix"] = fix
    story.states["fix"] = world.wait_for_end(urgent, fix)
    ended_again(world, scenario, story, "regular")
    story.seen["running"] = world.running(scenario)
    story.seen["owed"] = owed(world, scenario)
    other = roll(world, scenario)
    story.states["another change"] = other.state
    story.errors["another change"] = world.operator.last_error(scenario.name, other.run_id, "plan")
    story.seen["executed"] = world.executed(*scenario.accounts())
    full = roll(world, scenario, change=change(REFUSED))
    story.states["in full"] = full.state
    story.seen["paid"] = owed(world, scenario)
    return story


def fleet_wide(world: World, scenario: Scenario) -> Story:
    """A fix goes everywhere at once; who asked for it cannot authorize it."""
    urgent = emergency(scenario)
    run_id = world.trigger(urgent, bypass="fleet_wide", **URGENT)
    world.wait_until_asked(urgent, run_id, "authorize")
    world.operator.answer(urgent.name, run_id, "authorize", options=["Approve"])
    records = world.records(scenario, run_id)

    def asked_again() -> bool:
        return len(records.details(Kind.ASKED, channel="authorize")) == 2

    if not wait_until(asked_again, timeout=PATIENCE, interval=0.5):
        raise TimeoutError("the authorization was not asked again")
    story = Story(run_id, seen={"mutations": world.mutations(*scenario.accounts())})
    world.answer(urgent, run_id, "authorize", "Approve")
    ended_again(world, urgent, story, "fix")
    return story


def fleet_wide_refused(world: World, scenario: Scenario) -> Story:
    """A fix that goes everywhere at once is refused by an account of production."""
    urgent = emergency(scenario)
    world.aws.deny(account=scenario.account("production", 1), resource_type="AWS::SQS::Queue")
    run_id = world.trigger(urgent, bypass="fleet_wide", **URGENT)
    world.answer(urgent, run_id, "authorize", "Approve")
    story = Story(run_id)
    ended_again(world, urgent, story, "fix")
    return story


def emergency_in_a_freeze(world: World, scenario: Scenario) -> Story:
    """A frozen production holds the regular rollout; an emergency passes, and its rollback too."""
    run_id = world.trigger(scenario)
    world.wait_for_record(scenario, run_id, Kind.HELD, channel="production")
    urgent, production = emergency(scenario), scenario.account("production", 1)
    story = Story(run_id, seen={"frozen": world.mutations(production)})
    fix = world.trigger(urgent, **URGENT)
    world.wait_for_record(urgent, fix, Kind.APPLIED, channel="production")
    story.seen["applied"] = world.running(scenario)
    world.alarm(production, "ALARM")
    story.states["fix"] = world.wait_for_end(urgent, fix)
    ended_again(world, scenario, story, "regular")
    return story


# clocks


@dataclass(frozen=True)
class FrozenAtFirst(Scenario):
    """Its production is frozen for some minutes from when its file is written."""

    def definition(self) -> Json:
        """Give the entry for channels.yaml."""
        found, now = super().definition(), datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        window = {
            "name": "books",
            "reason": "the year is closed",
            "timezone": "UTC",
            "from": (now - timedelta(days=1)).isoformat(),
            "until": (now + timedelta(minutes=6)).isoformat(),
        }
        found["channels"][-1]["freeze"] = [window]
        return found


def frozen(world: World, scenario: Scenario) -> Story:
    """Production opens while the rollout waits for it."""
    run_id = world.trigger(scenario)
    world.wait_for_record(scenario, run_id, Kind.HELD, channel="production")
    held = world.wait_for_task(scenario, run_id, "production.enter", "deferred")
    story = Story(run_id, seen={"held": held})
    ended_again(world, scenario, story, "opened")
    return story


def nightly(world: World, scenario: Scenario) -> list[Json]:
    """Let the schedule start a rollout each minute that soaks longer than that."""

    def scheduled() -> list[Json]:
        found = [r for r in world.operator.runs(scenario.name) if r["run_type"] == "scheduled"]
        return sorted((r for r in found if r["state"] in FINAL), key=lambda r: str(r["start_date"]))

    try:
        if not wait_until(lambda: len(scheduled()) >= 2, timeout=PATIENCE, interval=2):
            raise TimeoutError(f"{scenario.name}: {world.operator.runs(scenario.name)}")
    finally:
        world.operator.pause(scenario.name)  # or it would take the others' time
    return scheduled()[:2]


def failing_nights(world: World, scenario: Scenario) -> list[bool]:
    """Let two runs fail; gives whether the Dag was paused after each."""
    paused = []
    for last in (False, True):
        roll(world, scenario, change=change("none"))

        def is_paused() -> bool:
            return bool(world.operator.dag(scenario.name)["is_paused"])

        paused.append(wait_until(is_paused, timeout=PATIENCE, interval=1) if last else is_paused())
    return paused


def stuck(world: World, scenario: Scenario) -> Ended:
    """Nobody answers a gate, until the alert tells of it."""
    run_id = world.trigger(scenario)
    world.wait_for_record(scenario, run_id, Kind.STUCK)
    world.answer(scenario, run_id, "playground.gate", "Reject")
    return Ended(run_id, world.wait_for_end(scenario, run_id))


def nothing_new(world: World, scenario: Scenario) -> list[tuple[str, float]]:
    """Roll the same change out again and again, when all else is quiet: state and seconds."""
    first = roll(world, scenario)
    world.wait_for_others(scenario)
    found = [(first.state, 0.0)]
    for _ in range(3):
        again = roll(world, scenario)
        run = world.operator.run(scenario.name, again.run_id)
        ended, began = (datetime.fromisoformat(run[k]) for k in ("end_date", "start_date"))
        found.append((again.state, (ended - began).total_seconds()))
    return found


# what is rolled out


def chosen_policy(world: World, scenario: Scenario) -> tuple[Ended, str]:
    """Choose a faster policy that the file allows, and one that it does not."""
    try:
        world.trigger(scenario, policy="hasty")
        refusal = "none"
    except ApiError as error:
        refusal = str(error)
    return roll(world, scenario, policy="light"), refusal


def from_object_storage(world: World, scenario: Scenario) -> Ended:
    """Roll out a change that lies in a bucket."""
    client = world.aws.management_client("s3", region=REGION)
    where = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    client.create_bucket(Bucket=BUCKET, **where)
    for path in sorted((CHANGES / GOOD).iterdir()):
        client.put_object(Bucket=BUCKET, Key=f"{GOOD}/{path.name}", Body=path.read_bytes())
    return roll(world, scenario, change=f"s3://aws_rollout@{BUCKET}/{GOOD}")


def partly_unchanged(world: World, scenario: Scenario) -> list[Ended]:
    """Roll out, let somebody change production by hand, and roll out once more."""
    first = roll(world, scenario)
    by_hand(world, scenario.account("production", 1), LogRetentionDays="7")
    return [first, roll(world, scenario)]


def drifted(world: World, scenario: Scenario) -> Story:
    """Somebody changes production after it was previewed, so that the change would do more."""
    run_id = soaking(world, scenario)
    production = scenario.account("production", 1)
    by_hand(world, production, LogRetentionDays="14", KeepLog="yes")
    world.wait_for_record(scenario, run_id, Kind.HELD, channel="production")
    story = Story(run_id, seen={"held": world.mutations(production)})
    world.operator.clear(scenario.name, run_id, ["production.enter"])
    world.wait_until_asked(scenario, run_id, "production.enter")
    [asked] = [
        a
        for a in world.operator.approvals(scenario.name, run_id)
        if a["task_instance"]["task_id"] == "production.enter"
    ]
    story.seen["asked"] = asked["body"]
    world.answer(scenario, run_id, "production.enter", "Go on")
    ended_again(world, scenario, story, "confirmed")
    return story


def flipped(world: World, scenario: Scenario) -> Story:
    """A parameter flips a condition, and a resource would be deleted."""
    first = roll(world, scenario, parameters={"KeepLog": "yes"})
    story = Story(first.run_id, states={"kept": first.state})
    before = world.mutations(*scenario.accounts())
    run_id = world.trigger(scenario, parameters={"KeepLog": "no"})
    story.run_id = run_id
    if "max_destructive" not in scenario.settings:
        world.answer(scenario, run_id, "authorize", "Reject")
    ended_again(world, scenario, story, "dropped")
    story.seen["mutations"] = world.mutations(*scenario.accounts())[len(before) :]
    return story


def told(world: World, scenario: Scenario) -> Ended:
    """Production refuses, and everybody who wants to know is told of all that happens."""
    refuse(world, scenario, "production", 1)
    return roll(world, scenario, change=change(REFUSED))


POLICIES = {
    "standard": {"soak": "1h"},
    "light": {"soak": "2s"},
    "hasty": {"soak": "1s"},
}
AN_HOUR, SOAK_30 = {"defaults": {"soak": "1h"}}, {"playground": {"soak": "30s"}}
FIX = {"defaults": {"soak": "40s"}, "emergency": {"soak": "3s"}}
GUARDED = [
    FrozenAtFirst("frozen", 601, frozen, TWO, 1),
    Scenario(
        "nightly", 602, nightly, TWO, 1, {"schedule": "* * * * *"}, {"playground": {"soak": "70s"}}
    ),
    Scenario("superseded", 603, superseded, TWO, 1, FIX),
    Scenario("drifted", 604, drifted, TWO, 1, of_channel=SOAK_30),
    Scenario("held_by_operator", 605, held_by_operator, TWO, 1, of_channel=SOAK_30),
    Scenario("aborted_back", 606, aborted("abort_and_roll_back"), TWO, 1, AN_HOUR),
    Scenario("aborted_left", 607, aborted("abort_and_leave"), TWO, 1, AN_HOUR),
    Scenario("fleet_wide", 608, fleet_wide, THREE, 1, AN_HOUR),
    Scenario("fleet_wide_refused", 609, fleet_wide_refused, THREE, 1, AN_HOUR),
    Scenario(
        "emergency_in_a_freeze",
        610,
        emergency_in_a_freeze,
        TWO,
        1,
        {"emergency": {"soak": "1h"}},
        {
            "playground": {"soak": "3s"},
            "production": {
                "soak": "1h",
                "freeze": [{"name": "books", "reason": "the year is closed", **FOREVER}],
            },
        },
    ),
    Scenario("failing_nights", 611, failing_nights, TWO, 1, {"pause_after_failures": 2}),
    Scenario("stuck", 612, stuck, TWO, 1, {"stuck_after": "5m"}, ASKING),
    Scenario(
        "chosen_policy",
        613,
        chosen_policy,
        TWO,
        1,
        {"defaults": {}, "policy": "standard", "policies_allowed": ["standard", "light"]},
    ),
    Scenario("from_object_storage", 614, from_object_storage, TWO, 1),
    Scenario("partly_unchanged", 615, partly_unchanged, TWO, 1),
    Scenario("told", 619, told, TWO, 1, {"notify": [NOTIFY]}),
    Scenario("flipped", 616, flipped, TWO, 1),
    Scenario("flipped_capped", 617, flipped, TWO, 1, {"max_destructive": 0}),
    Scenario(
        "nothing_new",
        618,
        nothing_new,
        CHANNELS,
        3,
        {"defaults": {"soak": "2s", "waves": {"size": 3, "concurrency": "soft"}}},
    ),
]
