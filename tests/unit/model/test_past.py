"""What became of rollouts, and the figures of many."""

from __future__ import annotations

from datetime import timedelta

import pytest

from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.past import (
    Figures,
    PastRun,
    Result,
    Share,
    Typical,
    figures_of,
    looked_back,
)
from tests.builders import a_ledger, a_plan, passed


def run(*happened: str, bypass: Bypass | None = None) -> PastRun:
    """Look back at what happened, a second between two entries, the first after one second."""
    return looked_back(a_plan(bypass=bypass), a_ledger(*happened))


def seconds(*counts: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=count) for count in counts)


FINISHED = ("previewed", *passed("playground"), "finished")
ROLLED_BACK = (
    "previewed",
    "entered playground",
    "failed playground",
    "rolling_back playground",
    "rolled_back playground",
    "concluded",
)


@pytest.mark.parametrize(
    ("happened", "result", "took"),
    [
        ((), Result.UNDER_WAY, None),
        (("previewed", "entered playground"), Result.UNDER_WAY, None),
        (FINISHED, Result.FINISHED, 6),
        (("previewed", "nothing_to_change", "finished"), Result.NOTHING_TO_CHANGE, 3),
        (("previewed", "failed", "concluded"), Result.FAILED, 3),
        (ROLLED_BACK, Result.ROLLED_BACK, 6),
        ((*ROLLED_BACK, "entered playground"), Result.UNDER_WAY, None),
        ((*ROLLED_BACK, *passed("playground"), "finished"), Result.FINISHED, 11),
        ((*FINISHED, "previewed", "failed", "concluded"), Result.FAILED, 9),
        (("previewed", "entered playground", "failed", "kept", "concluded"), Result.FAILED, 5),
    ],
)
def test_a_run_has_the_result_of_its_last_life(
    happened: tuple[str, ...], result: Result, took: int | None
) -> None:
    found = run(*happened)
    assert (found.result, found.took) == (result, took and timedelta(seconds=took))


def test_what_failed_before_a_channel_was_entered_harmed_nothing() -> None:
    assert not run("failed", "previewed", "concluded").harmed
    assert run("previewed", "entered playground", "concluded").harmed
    assert run("entered playground", "failed playground", *passed("playground"), "finished").harmed
    assert not run(*FINISHED).harmed


@pytest.mark.parametrize(
    ("happened", "restored"),
    [
        (FINISHED, ()),
        (ROLLED_BACK, (2,)),
        ((*ROLLED_BACK, "entered playground", "armed", "rolled_back playground"), (2, 1)),
        # a channel that could not be restored: the rollback is not complete
        ((*ROLLED_BACK[:4], "rolling_back test", "rolled_back playground", "concluded"), ()),
        # … until it is
        ((*ROLLED_BACK[:4], "concluded", "rolled_back playground"), (3,)),
        # mended before anything was restored
        (("entered playground", "failed playground", "entered test"), ()),
    ],
)
def test_a_restoration_lasts_from_the_first_failure_to_the_end_of_the_rollback(
    happened: tuple[str, ...], restored: tuple[float, ...]
) -> None:
    assert run(*happened).restored_after == seconds(*restored)


def test_the_figures_of_no_rollout_are_none() -> None:
    nothing = Typical(None, 0)
    found = figures_of([])
    assert found == Figures(0, 0, nothing, Share(0, 0), nothing, Share(0, 0))
    assert found.change_failure_rate.rate is None


def test_the_figures_count_what_they_say() -> None:
    bypass = Bypass(BypassTier.SHORTEN_SOAK, reason="CVE")
    runs = [
        run(*FINISHED),
        run("previewed", "entered playground", *FINISHED[2:], bypass=bypass),
        run(*FINISHED[:1], *passed("playground"), *passed("test"), "finished"),
        run("previewed", "nothing_to_change", "finished"),  # nothing to lead, nothing to fail
        run("failed", "previewed", "concluded"),  # touched nothing
        run(*ROLLED_BACK),
        run("previewed", "entered playground"),  # under way
    ]
    assert figures_of(runs) == Figures(
        began=7,
        under_way=1,
        lead_time=Typical(timedelta(seconds=6), 3),
        change_failure_rate=Share(1, 4),
        time_to_restore=Typical(timedelta(seconds=2), 1),
        bypass_rate=Share(1, 7),
    )
