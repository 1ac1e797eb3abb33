from datetime import UTC, datetime, timedelta

import pytest

from sandbox.stack.progress import (
    STEPS,
    Channel,
    Mark,
    Step,
    Task,
    channel_order,
    read_channels,
    remaining,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SOAKS = {"playground": timedelta(seconds=20), "test": timedelta(seconds=30)}


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def make_channel(name: str, *marks: Mark, began: float = 0, ended: float = 0) -> Channel:
    steps = {step: Step(mark) for step, mark in zip(STEPS, marks, strict=True)}
    return Channel(name, steps, Step(Mark.WAITING), began=at(began), ended=at(ended))


DONE = [Mark.DONE] * 5
WAITING = [Mark.WAITING] * 5
SOAKING = [Mark.DONE, Mark.DONE, Mark.RUNNING, Mark.WAITING, Mark.WAITING]


def test_channels_are_in_the_order_in_which_they_run() -> None:
    tasks = [
        {"task_id": "test.enter", "downstream_task_ids": ["test.gate"]},
        {"task_id": "alpha.enter", "downstream_task_ids": ["alpha.gate"]},
        {"task_id": "test.gate", "downstream_task_ids": ["alpha.enter"]},
        {"task_id": "alpha.gate", "downstream_task_ids": ["outcome"]},
        {"task_id": "plan", "downstream_task_ids": ["test.enter"]},
    ]

    assert channel_order(tasks) == ["test", "alpha"]


def test_waves_are_counted_and_times_span_the_channel() -> None:
    tasks = [
        Task("test.enter", "success", began=at(1), ended=at(2)),
        Task("test.apply", "success", map_index=0, began=at(2), ended=at(5)),
        Task("test.apply", "running", map_index=1, began=at(3)),
        Task("test.soak", None),
        Task("other.apply", "failed", map_index=0),
    ]

    [channel] = read_channels(tasks, order=["test"])

    assert channel == Channel(
        name="test",
        steps={
            "enter": Step(Mark.DONE),
            "apply": Step(Mark.RUNNING, done=1, total=2),
            "soak": Step(Mark.WAITING),
            "health": Step(Mark.WAITING),
            "gate": Step(Mark.WAITING),
        },
        restore=Step(Mark.WAITING),
        began=at(1),
        ended=at(5),
    )


@pytest.mark.parametrize(
    ("states", "mark"),
    [
        (["success", "failed", "running"], Mark.FAILED),
        (["success", "up_for_retry"], Mark.RETRYING),
        (["success", None], Mark.RUNNING),
        (["success", "skipped"], Mark.DONE),
        (["skipped"], Mark.SKIPPED),
        (["upstream_failed"], Mark.BLOCKED),
        (["awaiting_input"], Mark.ASKING),
        (["deferred"], Mark.RUNNING),
        (["a state of a later Airflow"], Mark.RUNNING),
        ([], Mark.WAITING),
    ],
)
def test_several_states_make_one_mark(states: list[str | None], mark: Mark) -> None:
    tasks = [Task("test.apply", state, map_index=i) for i, state in enumerate(states)]

    [channel] = read_channels(tasks, order=["test"])

    assert channel.steps["apply"].mark is mark


def test_a_task_instance_of_the_api_is_read() -> None:
    raw = {
        "task_id": "test.apply",
        "state": "success",
        "map_index": 3,
        "rendered_map_index": "111111111111",
        "try_number": 2,
        "start_date": "2026-01-01T12:00:00Z",
        "end_date": None,
    }

    assert Task.from_json(raw) == Task(
        "test.apply", "success", map_index=3, label="111111111111", attempt=2, began=NOON
    )


def test_what_is_left_are_the_soaks_and_as_much_overhead_as_before() -> None:
    channels = [
        make_channel("playground", *DONE, began=0, ended=24),  # its overhead was 4 s
        make_channel("test", *WAITING),
    ]

    left = remaining(channels, soaks=SOAKS, soak_ends={}, now=at(25))

    assert left == timedelta(seconds=34)


@pytest.mark.parametrize(("now", "seconds"), [(30, 15), (50, 0)])
def test_a_running_soak_counts_down_and_never_below_zero(now: float, seconds: float) -> None:
    channels = [make_channel("test", *SOAKING)]

    left = remaining(channels, soaks=SOAKS, soak_ends={"test": at(45)}, now=at(now))

    assert left == timedelta(seconds=seconds)


@pytest.mark.parametrize("mark", [Mark.FAILED, Mark.BLOCKED, Mark.ASKING])
def test_nobody_knows_how_long_a_failed_or_asking_rollout_takes(mark: Mark) -> None:
    channels = [make_channel("test", *[Mark.DONE] * 4, mark)]

    assert remaining(channels, soaks=SOAKS, soak_ends={}, now=at(0)) is None
