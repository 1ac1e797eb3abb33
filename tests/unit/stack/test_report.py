from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console, RenderableType

from sandbox.stack.progress import STEPS, Channel, Mark, Step, Task, read_run_steps
from sandbox.stack.report import (
    clock,
    failure_report,
    live_view,
    outcome,
    plain_line,
    run_line,
    summary,
)
from sandbox.stack.story import Failure, Restoration, Story

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DONE = [Mark.DONE] * 5
FAILED = [Mark.DONE, Mark.FAILED, Mark.BLOCKED, Mark.BLOCKED, Mark.BLOCKED]
UNTOUCHED = [Mark.BLOCKED] * 5
BYPASSED = [Mark.SKIPPED, Mark.SKIPPED, Mark.SKIPPED, Mark.DONE, Mark.DONE]


def make_channel(name: str, marks: list[Mark], *, restore: Mark = Mark.WAITING) -> Channel:
    steps = {step: Step(mark) for step, mark in zip(STEPS, marks, strict=True)}
    return Channel(name, steps, Step(restore), began=NOON, ended=NOON + timedelta(seconds=9))


def text_of(view: RenderableType) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


def test_the_view_has_a_line_per_channel_a_countdown_and_an_estimate() -> None:
    soaking = [Mark.DONE, Mark.DONE, Mark.RUNNING, Mark.WAITING, Mark.WAITING]
    channel = make_channel("playground", soaking)
    channel = replace(channel, steps={**channel.steps, "apply": Step(Mark.DONE, done=3, total=3)})
    story = Story(
        soaks={"playground": timedelta(seconds=20)},
        soak_ends={"playground": NOON + timedelta(seconds=65)},
    )

    now = NOON + timedelta(seconds=5)
    steps = {"plan": Step(Mark.DONE), "preview": Step(Mark.DONE)}
    view = text_of(live_view([channel], story, run_steps=steps, began=NOON, now=now))

    assert [line.split() for line in view.splitlines()] == [
        ["plan", "✓", "preview", "✓"],
        ["channel", "enter", "apply", "soak", "health", "gate", "rollback"],
        ["playground", "✓", "✓", "3/3", "▶", "1:00", "·", "·", "·"],
        ["0:05", "elapsed,", "about", "1:00", "to", "go"],
    ]


def test_a_hold_is_shown_with_its_reason_as_long_as_the_channel_is_busy() -> None:
    story = Story(holds={"test": "frozen until Monday", "infra": "old"})
    busy = make_channel("test", [Mark.RUNNING, *[Mark.WAITING] * 4])

    assert plain_line(busy, story, now=NOON) == (
        "test: enter running, apply waiting, soak waiting, health waiting, gate waiting"
        " (frozen until Monday)"
    )
    assert "old" not in plain_line(make_channel("infra", DONE), story, now=NOON)


def test_a_line_counts_the_soak_down_in_steps() -> None:
    soaking = [Mark.DONE, Mark.DONE, Mark.RUNNING, Mark.WAITING, Mark.WAITING]
    story = Story(soak_ends={"test": NOON + timedelta(seconds=12)})

    def line(second: int) -> str:
        now = NOON + timedelta(seconds=second)
        return plain_line(make_channel("test", soaking), story, now=now)

    assert [line(second).partition("soak running")[2][:22] for second in (0, 1, 3, 8, 12)] == [
        ": less than 0:15 left,",
        ": less than 0:15 left,",
        ": less than 0:10 left,",
        ": less than 0:05 left,",
        ", health waiting, gate",
    ]


def test_a_channel_that_was_never_entered_says_just_that() -> None:
    assert plain_line(make_channel("test", UNTOUCHED), Story(), now=NOON) == "test: not entered"


def test_a_rollback_shows_up_in_the_line_of_its_channel() -> None:
    channel = make_channel("test", FAILED, restore=Mark.RUNNING)

    assert plain_line(channel, Story(), now=NOON).endswith("gate blocked, rollback running")


@pytest.mark.parametrize(
    ("channel", "story", "word"),
    [
        (make_channel("a", DONE), Story(), "graduated"),
        (make_channel("a", FAILED), Story(), "failed"),
        (make_channel("a", UNTOUCHED), Story(), "untouched"),
        (make_channel("a", [Mark.WAITING] * 5), Story(), "untouched"),
        (make_channel("a", BYPASSED), Story(), "graduated"),
        (make_channel("a", BYPASSED), Story(bypassed=frozenset("a")), "bypassed"),
        (make_channel("a", [Mark.SKIPPED] * 5), Story(), "skipped"),
        (make_channel("a", [Mark.SKIPPED] * 5), Story(unchanged=True), "runs it already"),
        (make_channel("a", [Mark.DONE, *[Mark.BLOCKED] * 4]), Story(), "stopped"),
        (make_channel("a", DONE), Story(rolled_back=frozenset("a")), "rolled back"),
        (make_channel("a", FAILED, restore=Mark.DONE), Story(), "rolled back"),
        (make_channel("a", FAILED, restore=Mark.FAILED), Story(), "NOT RESTORED"),
        (
            make_channel("a", FAILED),
            Story(restored=(Restoration("a", "t", "NOT RESTORED", "denied"),)),
            "NOT RESTORED",
        ),
    ],
)
def test_what_became_of_a_channel_fits_in_a_word(channel: Channel, story: Story, word: str) -> None:
    assert outcome(channel, story) == word


def test_the_steps_of_the_run_have_a_line_of_their_own() -> None:
    tasks = [Task("plan", "success"), Task("preview", "running"), Task("a.enter", "failed")]

    line = run_line(read_run_steps(tasks))

    assert line == "plan done, preview running, authorize waiting, outcome waiting"


def test_the_summary_counts_targets_and_tells_durations() -> None:
    channels = [make_channel("playground", DONE), make_channel("test", UNTOUCHED)]

    rows = text_of(summary(channels, Story(targets={"playground": 3}))).splitlines()

    assert [cell.strip() for cell in rows[4].split("│")[1:-1]] == [
        "playground",
        "3",
        "graduated",
        "0:09",
    ]
    assert [cell.strip() for cell in rows[5].split("│")[1:-1]] == ["test", "?", "untouched", ""]


def test_a_failure_says_where_and_why_and_what_was_rolled_back() -> None:
    story = Story(
        failures=(
            Failure("test", "apply", "222222222222", "CREATE_FAILED: no such type"),
            Failure("", "plan", "", "no change"),
        ),
        restored=(Restoration("test", "111111111111", "restored", ""),),
    )

    assert failure_report(story) == [
        "failed: test apply 222222222222: CREATE_FAILED: no such type",
        "failed: plan: no change",
        "restored: test 111111111111",
    ]


def test_a_failure_without_a_reason_is_admitted() -> None:
    assert failure_report(Story()) == ["no reason was recorded"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(7, "0:07"), (750, "12:30"), (10800, "3:00:00"), (-3, "0:00")]
)
def test_durations_read_as_people_write_them(seconds: int, text: str) -> None:
    assert clock(timedelta(seconds=seconds)) == text
