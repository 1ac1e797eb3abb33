"""How recorded evidence becomes series, whatever record it is of."""

from __future__ import annotations

from datetime import timedelta

from phased_rollout.ui.evidence import Look, Series, charts, last_judgement, series_of
from tests.builders import START
from tests.unit.ui.told import applied, facts_of

OWNERS = {"test-1": "test", "test-2": "test", "production-1": "production"}


def at(seconds: int) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def seen(seconds: int, *observed: tuple[str, str, str], kind: str = "healthy") -> dict[str, object]:
    rows = [[target, signal, health, "said"] for target, signal, health in observed]
    return {"at": at(seconds), "kind": kind, "evidence": rows}


def test_a_signal_is_one_series_of_its_channel() -> None:
    looks = [
        seen(1, ("test-1", "status", "ok"), ("test-2", "status", "ok")),
        seen(9, ("test-1", "status", "ok"), ("production-1", "status", "ok")),
    ]
    assert series_of(looks, OWNERS) == [
        Series("test", "status", "", (Look(at(1), "ok", "2 ok"), Look(at(9), "ok", "ok: said"))),
        Series("production", "status", "", (Look(at(9), "ok", "ok: said"),)),
    ]


def test_a_target_that_was_not_always_well_has_a_series_of_its_own() -> None:
    looks = [
        seen(1, ("test-1", "alarm", "ok"), ("test-2", "alarm", "unknown"), kind="held"),
        seen(9, ("test-1", "alarm", "harm"), ("test-2", "alarm", "ok"), kind="failed"),
    ]
    told = {
        one.target: [(look.health, look.text) for look in one.looks]
        for one in series_of(looks, OWNERS)
    }
    assert told == {
        "": [("unknown", "1 unknown, 1 ok: test-2"), ("harm", "1 harm, 1 ok: test-1")],
        "test-1": [("ok", "ok: said"), ("harm", "harm: said")],
        "test-2": [("unknown", "unknown: said"), ("ok", "ok: said")],
    }


def test_a_fleet_that_is_unwell_draws_no_more_than_can_be_seen() -> None:
    owners = {f"test-{n}": "test" for n in range(1000)}
    looks = [seen(1, *((name, "alarm", "harm") for name in owners))]
    assert len(series_of(looks, owners)) == 41


def test_a_soak_is_drawn_from_the_last_verified_target_to_its_end() -> None:
    assert charts(facts_of("entered test")) is None
    begun = {"channel": "test", "from": at(4), "planned": at(14)}
    for more, to, health in (
        ([], None, None),
        (["healthy test"], at(5), "ok"),
        (["failed test"], at(5), "harm"),
    ):
        drawn = charts(facts_of(*applied("test"), *more))
        assert drawn == {"soaks": [{**begun, "to": to, "health": health}], "series": []}


def test_a_channel_that_was_not_applied_as_a_whole_did_not_soak() -> None:
    assert (
        charts(facts_of(*applied("test")[:2], "applied test", "failed test", "rolled_back test"))
        is None
    )


METRIC = {"name": "errors", "verdict": "fail", "said": "worse by 4 sd", "drivers": ["test-2"]}


def test_judged_metrics_stand_beside_what_the_signals_say_the_worst_first() -> None:
    told = last_judgement(
        facts_of(
            *applied("test"),
            "observed test",
            "judged test",
            evidence=[["test-1", "status", "ok", "CREATE_COMPLETE"]],
            metrics=[METRIC, {**METRIC, "name": "delay", "verdict": "pass", "drivers": []}],
        )
    )
    assert told is not None
    rows = [(row["health"], row["signal"], row["targets"]) for row in told["rows"]]
    assert rows == [
        ("harm", "metric errors", "test-2"),
        ("ok", "metric delay", "test"),
        ("ok", "status", "test-1"),
    ]


def test_a_soak_that_told_nothing_is_drawn_as_unknown() -> None:
    drawn = charts(facts_of(*applied("test"), "inconclusive test"))
    assert drawn is not None
    assert drawn["soaks"][0]["health"] == "unknown"
