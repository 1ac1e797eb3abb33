"""What all tasks of a rollout share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from phased_rollout.errors import GuardError, RefusedError
from phased_rollout.rollout import Rollout


def now() -> datetime:
    """Read the clock, in UTC."""
    return datetime.now(UTC)


@contextmanager
def no_retry() -> Iterator[None]:
    """Fail the task for good on what a retry cannot mend: a rule or a target said no."""
    try:
        yield
    except (GuardError, RefusedError) as error:
        raise AirflowFailException(str(error)) from error


def refuse_unknown_conf(task: BaseOperator, context: Any) -> None:
    """Refuse conf keys that are no params of the Dag: a typo must not pass for a default."""
    known = set(task.dag.params) if task.dag else set()
    if unknown := set(context["dag_run"].conf or {}) - known:
        raise GuardError(
            f"unknown conf keys: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )


class RolloutOperator(BaseOperator):
    """A task of a rollout.

    :param definition: name of the rollout definition, which is also the Dag's id
    """

    def __init__(self, *, definition: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.definition = definition

    def rollout(self, context: Any) -> Rollout:
        """Open the rollout of this Dag run."""
        return Rollout.open(self.definition, context["run_id"])
