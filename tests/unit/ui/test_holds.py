"""Why a run does not go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from phased_rollout.model.plan import Plan
from phased_rollout.model.windows import FreezeWindow
from phased_rollout.ui.facts import Facts
from phased_rollout.ui.holds import freezes
from phased_rollout.ui.survey import survey
from tests.builders import START, a_channel, a_plan
from tests.unit.ui.told import NOW, applied, facts_of, graduated

WINDOW = FreezeWindow(
    "year end", "books", "UTC", START.replace(tzinfo=None), timedelta(hours=2), ""
)
OPENS = START + timedelta(hours=2)
FROZEN = a_plan(a_channel("playground"), a_channel("test", freeze=(WINDOW,)))
HELD = "operator_hold"


def held(*happened: str, plan: Plan | None = None) -> list[tuple[str, str]]:
    """Give what holds, and where it stops the run."""
    found = survey(facts_of(*happened, plan=plan), over=False, now=NOW)
    return [(hold.why, hold.channel) for hold in found.holds]


@pytest.mark.parametrize(
    ("happened", "where"),
    [
        (["previewed"], "playground"),
        (["entered playground"], "playground"),
        (applied("playground"), ""),
        (graduated("playground"), "test"),
    ],
)
def test_an_operator_stops_what_would_be_started_and_not_a_soak(
    happened: list[str], where: str
) -> None:
    assert held(*happened, HELD) == [("operator", where)]


def test_an_operator_is_named_with_the_reason_and_the_moment() -> None:
    found = survey(facts_of(HELD, reason="packet loss"), over=False, now=NOW).holds[0]
    assert (found.who, found.reason, found.since) == (
        "ann",
        "packet loss",
        START + timedelta(seconds=1),
    )


@pytest.mark.parametrize("word", ["operator_resume", "aborted", "abandoned"])
def test_an_operator_ends_the_hold(word: str) -> None:
    assert held("previewed", HELD, word) == []


def test_a_freeze_that_a_channel_waits_for_tells_when_it_ends() -> None:
    facts = facts_of(*graduated("playground"), "held test", plan=FROZEN)
    found = survey(facts, over=False, now=NOW)
    assert [(h.why, h.channel, h.until) for h in found.holds] == [("freeze", "test", OPENS)]
    assert "year end (books)" in found.holds[0].reason
    assert found.stages["test"] == "held"
    assert {cell.state for cell in found.cells["test"].values()} == {"held"}


def test_a_freeze_ahead_is_told_and_stops_nothing_yet() -> None:
    assert held(*applied("playground"), plan=FROZEN) == [("freeze", "")]
    assert held(*graduated("playground"), plan=FROZEN) == [("freeze", "")]


def test_a_freeze_that_has_ended_holds_nothing() -> None:
    reason = "frozen by year end (books) until …"
    facts = facts_of(*graduated("playground"), "held test", plan=FROZEN, reason=reason)
    assert survey(facts, over=False, now=OPENS).holds == []


def test_an_emergency_obeys_no_freeze() -> None:
    urgent = replace(FROZEN, emergency=True)
    assert held(*graduated("playground"), plan=urgent) == []
    assert freezes(urgent, NOW) == []


def test_a_view_depends_on_the_windows_that_are_open_now() -> None:
    assert freezes(FROZEN, NOW) != freezes(FROZEN, OPENS)


def test_any_other_hold_is_told_until_something_happens() -> None:
    assert held("entered playground", "held playground") == [("other", "playground")]
    assert held("entered playground", "held playground", "verified playground/playground-1") == []
    assert held("entered playground", "held playground", "asked playground.gate", "stuck") == [
        ("other", "playground")
    ]


def test_a_hold_before_any_plan_is_told() -> None:
    told = [{"at": START.isoformat(), "kind": "held", "channel": "", "reason": "busy"}]
    found = survey(Facts(told=told), over=False, now=NOW).holds
    assert [(hold.why, hold.reason) for hold in found] == [("other", "busy")]


def test_a_run_that_has_ended_holds_no_more() -> None:
    assert survey(facts_of("previewed", HELD), over=True, now=NOW).holds == []
