"""Follows one rollout and shows it: in a table on a terminal, line by line in a pipe."""

import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta

import requests
from rich.console import Console
from rich.live import Live

from sandbox.stack.api import ApiError, Json
from sandbox.stack.launcher import StackError
from sandbox.stack.progress import Mark, Task, channel_order, read_channels, read_run_steps
from sandbox.stack.report import (
    clock,
    eta,
    failure_report,
    live_view,
    plain_line,
    run_line,
    summary,
)
from sandbox.stack.stack import Stack
from sandbox.stack.story import Failure, Story, read_story

POLL = 1.0
PATIENCE = timedelta(minutes=10)
"""How long a question may wait for a person before the demo gives up."""
PATIENCE_WITH_A_PIPE = timedelta(minutes=1)
_OVER = {"success", "failed"}


class Watch:
    """Follows one run until its end and shows it."""

    def __init__(
        self,
        stack: Stack,
        definition: str,
        run_id: str,
        console: Console,
    ) -> None:
        self._stack = stack
        self._client = stack.client("viewer")
        self._definition = definition
        self._run_id = run_id
        self._console = console
        self._patience = PATIENCE if console.is_terminal else PATIENCE_WITH_A_PIPE
        self._began = datetime.now(UTC)
        self._asked_at: datetime | None = None
        # The record store's reader brings Airflow along, which makes itself a home.
        os.environ["AIRFLOW_HOME"] = stack.env()["AIRFLOW_HOME"]
        os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"
        self._shown: dict[str, str] = {}
        self._asked: set[str] = set()
        self._order = channel_order(self._client.tasks(definition))

    def follow(self) -> int:
        """Show the run until it is over; return 0 when it succeeded, else 1."""
        self._say(f"rollout: {self._address()}")
        terminal = self._console.is_terminal
        live = Live(console=self._console, auto_refresh=False) if terminal else None
        shown: AbstractContextManager[object] = live or nullcontext()
        with shown:
            while not self._show(live):
                time.sleep(POLL)
        return self._conclude()

    def _show(self, live: Live | None) -> bool:
        try:
            state = self._client.run(self._definition, self._run_id)["state"]
            tasks = self._tasks()
        except (requests.RequestException, ApiError) as error:
            self._say(f"Airflow does not answer, asking again: {error}")
            return False
        story, now = self._story(), datetime.now(UTC)
        channels = read_channels(tasks, order=self._order)
        steps = read_run_steps(tasks)
        self._say_who_must_answer(tasks, now=now)
        if live is not None:
            view = live_view(channels, story, run_steps=steps, began=self._began, now=now)
            live.update(view, refresh=True)
        else:
            lines = {
                c.name: plain_line(c, story, now=now) for c in channels if c.marks != {Mark.WAITING}
            }
            left = eta(channels, story, now=now)
            self._print_changes({"": run_line(steps), **lines}, left=left, now=now)
        return state in _OVER

    def _print_changes(self, lines: Mapping[str, str], *, left: str, now: datetime) -> None:
        for about, line in lines.items():
            if self._shown.get(about) != line:
                self._shown[about] = line
                self._say(f"{clock(now - self._began):>7}  {line} ({left})")

    def _say_who_must_answer(self, tasks: list[Task], *, now: datetime) -> None:
        asking = [task for task in tasks if task.mark is Mark.ASKING]
        self._asked_at = (self._asked_at or now) if asking else None
        if self._asked_at is not None and now - self._asked_at > self._patience:
            names = ", ".join(task.task_id for task in asking)
            raise StackError(f"nobody answered {names} within {clock(self._patience)}: gave up")
        for task in asking:
            key = f"{task.task_id} {task.map_index} {task.attempt}"
            if key in self._asked:
                continue
            self._asked.add(key)
            passwords = self._stack.settings.passwords_file
            self._say(
                f"{task.task_id} waits for a person. To answer, open {self._address(task.task_id)}"
                f" as user 'approver' (password: {passwords}) and choose under 'Required Actions'."
            )

    def _conclude(self) -> int:
        run = self._client.run(self._definition, self._run_id)
        tasks = self._tasks()
        story = self._story()
        self._console.print(summary(read_channels(tasks, order=self._order), story))
        if run["state"] == "success":
            self._console.print("the rollout succeeded", style="green")
            return 0
        if not story.failures:
            story = Story(failures=self._failed_tasks(tasks), restored=story.restored)
        for line in failure_report(story):
            self._say(line)
        self._console.print("the rollout failed", style="bold red")
        return 1

    def _failed_tasks(self, tasks: list[Task]) -> tuple[Failure, ...]:
        return tuple(
            Failure("", task.task_id, task.label or "", self._last_words(task))
            for task in tasks
            if task.mark is Mark.FAILED
        )

    def _last_words(self, task: Task) -> str:
        try:
            return self._client.last_error(
                self._definition,
                self._run_id,
                task.task_id,
                attempt=task.attempt,
                map_index=task.map_index,
            )
        except (requests.RequestException, ApiError) as error:
            return f"its log cannot be read: {error}"

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def _tasks(self) -> list[Task]:
        raw: list[Json] = self._client.task_instances(self._definition, self._run_id)
        return [Task.from_json(task) for task in raw]

    def _story(self) -> Story:
        return read_story(self._stack.records, definition=self._definition, run_id=self._run_id)

    def _address(self, task_id: str | None = None) -> str:
        page = f"{self._stack.url}/dags/{self._definition}/runs/{self._run_id}"
        return page if task_id is None else f"{page}/tasks/{task_id}"
