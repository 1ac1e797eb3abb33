"""The slips behind the outage of 2022: in the organization, in the file, in an edit of either.

A stray letter in a key made a required list vanish, and a tool with power over the whole fleet took
"no accounts" for "all accounts are to go".
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.stack import wait_until
from tests.integration.disturbances import TWO
from tests.integration.edits import STRANGERS, channel
from tests.integration.scenarios import Ended, roll
from tests.integration.world import CHANGES, GOOD, Json, Scenario, World, write_config

MANAGEMENT = "999999999999"
UNIT = "Production"


@dataclass(frozen=True)
class Selecting(Scenario):
    """Its playground is named; its production is what an organizational unit has."""

    at_least: int = 1

    def definition(self) -> Json:
        """Give the entry for channels.yaml."""
        found = super().definition()
        found["inventory"] = {"kind": "organizations", "account": MANAGEMENT}
        production = found["channels"][-1]
        del production["targets"]
        production["select"] = {"ou": [UNIT], "at_least": self.at_least}
        return found

    def members(self) -> list[Json]:
        """Give its accounts as the organization knows them, the named ones first."""
        return [
            {"id": account, "name": "team", "ou": UNIT if of == "production" else "Playgrounds"}
            for of in self.channels
            for account in self.accounts(of)
        ]


@dataclass
class Seen:
    """What came of a slip: the state of the run, what it said, who was asked meanwhile."""

    state: str
    said: str
    calls: list[Json] = field(default_factory=list)


ANSWERS: dict[str, Callable[[list[Json]], list[Json]]] = {
    "no account at all": lambda _: [],
    "a selector that matches nothing": lambda known: known[:2],
    "an account twice in the answer": lambda known: [*known, {**known[-1], "name": "twin"}],
    "an account that is named and selected": lambda known: [{**known[0], "ou": UNIT}, *known[1:]],
    "a named account is unknown": lambda known: known[1:],
    "a named account is suspended": lambda known: [{**known[0], "state": "SUSPENDED"}, *known[1:]],
    "fewer accounts than last time": lambda known: known[:-1],
}
"""What the organization answers instead: by the slip."""


def _without(key: str) -> Callable[[Json], None]:
    return lambda definition: channel(definition, "playground").pop(key)


def _with(key: str, value: Any) -> Callable[[Json], None]:
    return lambda definition: channel(definition, "playground").update({key: value})


def _misspelt(definition: Json) -> None:
    playground = channel(definition, "playground")
    playground["tragets"] = playground.pop("targets")


EDITS: dict[str, Callable[[Json], Any]] = {
    "a key misspelt": _misspelt,
    "a key absent": _without("targets"),
    "null": _with("targets", None),
    "an empty list": _with("targets", []),
    "an empty mapping": _with("targets", {}),
    "a selector of nothing": lambda d: channel(d, "production").update(select={}),
    "a selector without a condition": lambda d: channel(d, "production").update(
        select={"at_least": 1}
    ),
}
"""What somebody makes of channels.yaml: by the slip."""


def slips(world: World, scenario: Scenario) -> dict[str, Seen]:
    """Roll out once, then let one slip after the other happen."""
    assert isinstance(scenario, Selecting)
    seen: dict[str, Seen] = {}
    world.aws.organization(*scenario.members(), *AT_LEAST.members()[:2])
    seen["none"] = _roll(world, scenario)
    seen["fewer accounts than at_least"] = _roll(world, AT_LEAST)
    for slip, answer in ANSWERS.items():
        world.aws.organization(*answer(scenario.members()))
        seen[slip] = _roll(world, scenario)
    world.aws.organization(*scenario.members())
    for slip, edit in EDITS.items():
        seen[slip] = _edit(world, scenario, edit)
    seen["a good edit"] = _good_edit(world, scenario)
    return seen


def _roll(world: World, scenario: Scenario) -> Seen:
    before = _last_call(world)
    ended: Ended = roll(world, scenario)
    said = world.operator.last_error(scenario.name, ended.run_id, "plan")
    accounts = {*SLIPS.accounts(), *AT_LEAST.accounts()}
    calls = [c for c in world.aws.calls(after=before) if c["account"] in accounts]
    return Seen(ended.state, said, calls)


def _edit(world: World, scenario: Scenario, edit: Callable[[Json], Any]) -> Seen:
    before = _last_call(world)
    rollouts = {s.name: s.definition() for s in (scenario, AT_LEAST)}
    edit(rollouts[scenario.name])
    write_config(world.config, rollouts)
    if not wait_until(lambda: bool(world.operator.import_errors()), timeout=120, interval=1):
        raise TimeoutError("Airflow took the file")
    [error] = world.operator.import_errors()
    write_config(world.config, {s.name: s.definition() for s in (scenario, AT_LEAST)})
    if not wait_until(lambda: not world.operator.import_errors(), timeout=120, interval=1):
        raise TimeoutError("Airflow did not take the mended file")
    return Seen("import error", error["stack_trace"], world.aws.calls(after=before))


def _good_edit(world: World, scenario: Scenario) -> Seen:
    """Add an account and another change to what is rolled out, and let Airflow take that."""
    before, runs = _last_call(world), len(world.operator.runs())
    changes = world.config.parent / "changes"
    shutil.copytree(CHANGES / GOOD, changes / GOOD)
    rollouts = {s.name: s.definition() for s in (scenario, AT_LEAST)}
    rollouts[scenario.name]["change"] = str(changes / GOOD)
    targets = channel(rollouts[scenario.name], "playground")["targets"]
    targets.append({"name": "playground-9", "account": STRANGERS[0]})
    write_config(world.config, rollouts)
    template = changes / GOOD / "template.yaml"
    template.write_text(template.read_text() + "# edited\n")

    def taken() -> bool:
        found = world.operator.request("GET", f"/dags/{scenario.name}/details")
        return str(changes) in str(found["params"])

    if not wait_until(taken, timeout=120, interval=1):
        raise TimeoutError("Airflow did not build the edited Dag")
    said = f"{len(world.operator.runs()) - runs} runs"
    return Seen("edited", said, world.aws.calls(after=before))


def _last_call(world: World) -> int:
    calls = world.aws.calls()
    return int(calls[-1]["id"]) if calls else 0


def left_to_the_other(world: World, scenario: Scenario) -> None:
    """Do nothing: `slips` triggers its runs."""


SLIPS = Selecting("slips", 701, slips, TWO, 2, settings={"defaults": {"soak": "2s"}})
AT_LEAST = Selecting("at_least", 702, left_to_the_other, TWO, 2, at_least=3)
METADPATA = [SLIPS, AT_LEAST]
