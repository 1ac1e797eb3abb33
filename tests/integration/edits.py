"""channels.yaml is edited while rollouts are under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from phased_rollout.model.ledger import Kind
from sandbox.stack import wait_until
from tests.integration.disturbances import Story, ended_again
from tests.integration.scenarios import THREE, Ended, roll
from tests.integration.world import Json, Scenario, World, write_config

Edit = Callable[[Json], None]
STRANGERS = ("799999001001", "799999001002")
"""Accounts that no plan names."""


def channel(definition: Json, name: str) -> Any:
    """Find a channel in a definition."""
    return next(c for c in definition["channels"] if c["name"] == name)


def add_target(definition: Json) -> None:
    """Add an account to test."""
    channel(definition, "test")["targets"].append({"name": "test-9", "account": STRANGERS[0]})


def remove_target(definition: Json) -> None:
    """Take an account out of test."""
    channel(definition, "test")["targets"].pop()


def move_target(definition: Json) -> None:
    """Move an account of production, which comes last, to test."""
    moved = channel(definition, "production")["targets"].pop()
    channel(definition, "test")["targets"].append(moved)


def add_channel(definition: Json) -> None:
    """Put a channel between playground and test."""
    target = {"name": "canary-1", "account": STRANGERS[1]}
    definition["channels"].insert(1, {"name": "canary", "targets": [target]})


def rename_channel(definition: Json) -> None:
    """Give test another name."""
    channel(definition, "test")["name"] = "testing"


def reorder_channels(definition: Json) -> None:
    """Put production before test."""
    first, second, third = definition["channels"]
    definition["channels"] = [first, third, second]


def remove_channel(definition: Json) -> None:
    """Take test out."""
    definition["channels"].remove(channel(definition, "test"))


def remove_last_channel(definition: Json) -> None:
    """Take production out."""
    definition["channels"].pop()


def change_gate(definition: Json) -> None:
    """Let the gate of the channel that soaks, a timer so far, ask a person."""
    channel(definition, "playground")["gate"] = ["health", "approval"]


GOES_ON: dict[str, Edit] = {
    "target_added": add_target,
    "target_removed": remove_target,
    "target_moved": move_target,
}
HOLDS: dict[str, Edit] = {
    "channel_added": add_channel,
    "channel_renamed": rename_channel,
    "channels_reordered": reorder_channels,
    "channel_removed": remove_channel,
    "last_channel_removed": remove_last_channel,
    "gate_changed": change_gate,
}
EDITS = GOES_ON | HOLDS


def edit_all(world: World) -> None:
    """Edit every definition; returns when Airflow has built the other Dags."""
    rollouts = as_it_was(world)
    before = {name: world.versions(name) for name in rollouts if name in EDITS}
    for name in before:
        EDITS[name](rollouts[name])
    write_config(world.config, rollouts)
    if not wait_until(
        lambda: all(world.versions(name) > count for name, count in before.items()),
        timeout=180,
        interval=1,
    ):
        raise TimeoutError("Airflow did not build the edited Dags")


def mend(world: World) -> None:
    """Write the file as it was."""
    write_config(world.config, as_it_was(world))


def as_it_was(world: World) -> dict[str, Json]:
    """Give the definitions of the scenarios that act."""
    return {s.name: s.definition() for s in EDITED if s.name in world.names}


def spoil(world: World) -> None:
    """Make the file no YAML; returns when Airflow says so."""
    world.config.write_text("rollouts: [\n")
    if not wait_until(lambda: bool(world.operator.import_errors()), timeout=180, interval=1):
        raise TimeoutError("Airflow did not find the file invalid")


def soaking(world: World, scenario: Scenario) -> str:
    """Trigger a run and wait until playground soaks."""
    run_id = world.trigger(scenario)
    world.wait_for_record(scenario, run_id, Kind.APPLIED, channel="playground")
    return run_id


def edited(world: World, scenario: Scenario) -> Ended:
    """Edit the file while playground soaks; what holds for it is mended when all hold."""
    run_id = soaking(world, scenario)
    world.together(lambda: edit_all(world))
    if scenario.name in HOLDS:
        world.wait_for_record(scenario, run_id, Kind.HELD)
        world.together(lambda: mend(world))
        state = world.wait_for_end(scenario, run_id)
    else:
        state = world.wait_for_end(scenario, run_id)
        world.together(lambda: mend(world))
    world.together(lambda: spoil(world))
    world.together(lambda: mend(world))
    return Ended(run_id, state)


def spoilt(*, harm: bool) -> Callable[[World, Scenario], Story]:
    """Spoil the file while playground soaks; it is mended when the run has ended."""

    def act(world: World, scenario: Scenario) -> Story:
        world.together(lambda: edit_all(world))
        world.together(lambda: mend(world))
        run_id = soaking(world, scenario)
        world.together(lambda: spoil(world))
        if harm:
            world.alarm(scenario.account("playground", 1), "ALARM")
        story = Story(run_id)
        ended_again(world, scenario, story, "spoilt")
        story.seen["errors"] = [e["stack_trace"] for e in world.operator.import_errors()]
        again = roll(world, scenario)
        story.states["begun while spoilt"] = again.state
        story.errors["begun while spoilt"] = world.operator.last_error(
            scenario.name, again.run_id, "plan"
        )
        story.seen["running"] = world.running(scenario)
        world.together(lambda: mend(world))
        return story

    return act


LONG, LONGEST = {"playground": {"soak": "90s"}}, {"playground": {"soak": "10m"}}
EDITED = [
    *(
        Scenario(name, 501 + number, edited, THREE, 2 if name in GOES_ON else 1, of_channel=LONG)
        for number, name in enumerate(EDITS)
    ),
    Scenario("file_spoilt", 521, spoilt(harm=False), THREE, 1, of_channel=LONG),
    Scenario("file_spoilt_and_harm", 522, spoilt(harm=True), THREE, 1, of_channel=LONGEST),
]
