"""What the judge could find, before a rollout begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from phased_rollout.errors import GuardError
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import AdapterSpec, Channel, GateKind
from phased_rollout.model.outlook import outlooks
from phased_rollout.model.plan import describe, refuse_vain_gates
from tests.builders import a_channel, a_definition, a_plan

HOUR = timedelta(hours=1)


def judged(name: str, *, soak: timedelta = HOUR, gate: str = "health", **metric: Any) -> Channel:
    options = {"metrics": [{"name": "errors", "worse": "higher", **metric}]}
    found = a_channel(name, targets=3, gate=gate, signals=(AdapterSpec("fake", options),))
    return replace(found, soak=soak)


def test_each_metric_is_judged_against_all_that_comes_later() -> None:
    definition = a_definition(judged("a"), judged("b"), a_channel("c", targets=9))
    found = list(outlooks(definition))
    sides = [(each.channel.name, each.changed, each.controls) for each in found]
    assert sides == [("a", 3, 12), ("b", 3, 9)]
    assert all(each.attainable.possible for each in found)
    assert str(found[0]).startswith(
        "judges errors (higher is worse), 3 changed against 12 not reached: rule "
    )


def test_a_bypassed_channel_is_not_judged_and_gives_controls_all_along() -> None:
    definition = a_definition(judged("a"), judged("b"))
    found = list(outlooks(definition, bypassed=["a"]))
    assert [(each.channel.name, each.controls) for each in found] == [("b", 3)]


def test_a_limit_is_no_judgement() -> None:
    assert not list(outlooks(a_definition(judged("a", worse=None, above=1))))


SECONDS = timedelta(seconds=30)


def test_a_gate_that_waits_for_what_can_never_be_known_is_refused_with_the_cure() -> None:
    plan = a_plan(judged("a", soak=SECONDS), a_channel("b"))
    with pytest.raises(GuardError) as refused:
        refuse_vain_gates(plan)
    said = str(refused.value)
    assert said.startswith(
        "the gate of a waits for a judgement of errors that can never be made: a soak of 0:00:30 "
    )
    assert "give the metric a limit" in said


@pytest.mark.parametrize("gate", ["timer", "approval"])
def test_a_gate_that_does_not_wait_for_health_is_not_refused(gate: str) -> None:
    plan = a_plan(judged("a", soak=SECONDS, gate=gate), a_channel("b"))
    assert GateKind.HEALTH not in plan.channels[0].gate
    refuse_vain_gates(plan)
    assert "can never tell harm" in describe(plan)


def test_what_cannot_wait_is_left_to_a_person_at_the_gate() -> None:
    bypass = Bypass(BypassTier.SHORTEN_SOAK, (), "urgent", "ann")
    refuse_vain_gates(a_plan(judged("a", soak=SECONDS), a_channel("b"), bypass=bypass))


def test_the_plan_says_what_each_gate_can_see() -> None:
    lines = describe(a_plan(judged("a"), a_channel("c", targets=9))).splitlines()
    [line] = [line for line in lines if "judges errors" in line]
    assert lines.index(line) > lines.index(next(one for one in lines if one.startswith("1. a")))
    assert "sd in 4 of 5 cases" in line
