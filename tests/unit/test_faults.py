"""How the fault report plans its kills, and what it takes for harm."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import pytest

from bench.faults import lines_of, totals
from tests.integration.effects import KILLS_OF_A_TASK, Effect, Place, Runs, distribute, telling
from tests.integration.kills import Run
from tests.integration.verdicts import problems_of

DONE = ("lock taken", "CreateChangeSet", "ExecuteChangeSet", "lock released", "record verified")
SEEN = {
    Effect("apply", what, number, moment, "task"): [
        Place("good", "playground.apply"),
        Place("good", "production.apply"),
    ]
    for number, what, moment in product((1, 2), DONE, ("before", "after"))
}
TWO = [
    ("playground", "ExecuteChangeSet", "a"),
    ("production", "ExecuteChangeSet", "b"),
]
RUN = Run(
    story="bad",
    name="bad_1",
    run_id="r",
    state="failed",
    running={"playground-1": "initial", "production-1": "initial"},
    calls=[*TWO, ("production", "ExecuteChangeSet", "c"), ("playground", "ExecuteChangeSet", "d")],
    left_over=[],
    records={"armed": 1, "restored playground p": 1, "restored production p": 1},
)


def test_each_effect_is_killed_at_once_and_a_task_no_more_often_than_it_is_tried_again() -> None:
    runs: Runs = {}
    distribute(SEEN, runs, kills="task", most=9)
    each = [kill.effect for run in runs["good"] for kills in run.values() for kill in kills]
    assert Counter(each) == dict.fromkeys(SEEN, 1)
    tasks = [kills for run in runs["good"] for kills in run.values()]
    assert max(len(kills) for kills in tasks) == KILLS_OF_A_TASK
    locks = [sum("lock" in kill.effect.effect for kill in kills) for kills in tasks]
    assert max(locks) == 1, "a task that was killed takes its locks anew"


def test_a_sample_kills_each_task_once_after_what_it_did() -> None:
    runs: Runs = {}
    distribute(telling(SEEN), runs, kills="task", most=1, of_a_task=1)
    (run,) = runs["good"]
    assert {task: [str(kill.effect) for kill in kills] for task, kills in run.items()} == {
        "playground.apply": ["after CreateChangeSet of apply"],
        "production.apply": ["after ExecuteChangeSet of apply"],
    }


def test_a_run_like_the_undisturbed_one_has_no_problem() -> None:
    again = replace(RUN, calls=[("playground", "CreateChangeSet", "a"), *RUN.calls])
    assert problems_of(again, RUN) == []


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ({"state": "success"}, "the run ended success"),
        ({"running": {"playground-1": "new", "production-1": "initial"}}, "targets run"),
        ({"calls": [*TWO, *TWO]}, "done twice: ExecuteChangeSet in playground"),
        ({"calls": [*TWO, *reversed(RUN.calls[2:])]}, "executed"),
        ({"left_over": ["phased-x"]}, "ChangeSets left over"),
        ({"records": {"armed": 1, "restored production p": 1}}, "no record: restored playground p"),
        ({"records": RUN.records | {"graduated production": 1}}, "none of an undisturbed run"),
        ({"records": RUN.records | {"refused playground p": 1}}, "recorded ['armed', 'refused']"),
    ],
)
def test_what_differs_from_an_undisturbed_run_is_named(harm: dict[str, object], said: str) -> None:
    assert said in "; ".join(problems_of(replace(RUN, **harm), RUN))  # type: ignore[arg-type]


def row(**more: object) -> dict[str, object]:
    return {
        "effect": "before ExecuteChangeSet of apply",
        "part": "apply",
        "what": "ExecuteChangeSet",
        "moment": "before",
        "order": 1,
        "kills": "task",
        "run": "good_1",
        "hit": True,
        "seconds": 9.2,
        "executed": 2,
        "undisturbed": 2,
        "problems": [],
        **more,
    }


def test_the_report_counts_what_recovered_and_names_what_did_not_and_what_was_missed() -> None:
    rows = [row(), row(run="good_2", problems=["done twice"]), row(run="good_3", hit=False)]
    assert "| apply | ExecuteChangeSet | before | 1 of 2, 9 s | 4 of 4 |" in lines_of(
        rows, ["task"]
    )
    text = "\n".join(totals([{"uncovered": ["task killed after lock taken of apply"]}], rows))
    assert "2 kills in 3 runs; 1 recovered" in text
    assert "failed: task before ExecuteChangeSet of apply in good_2: ['done twice']" in text
    assert "missed: task killed after lock taken of apply" in text
