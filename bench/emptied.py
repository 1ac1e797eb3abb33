"""Our own Dags, from our own factory, with the work of every task taken out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import patch

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG, get_parsing_context

from phased_rollout import config, dag_factory
from phased_rollout.operators.apply import ApplyOperator
from phased_rollout.operators.approval import AuthorizeOperator
from phased_rollout.operators.enter import EnterOperator
from phased_rollout.operators.outcome import OutcomeOperator, VerdictOperator
from phased_rollout.operators.plan import PlanOperator
from phased_rollout.operators.preview import PreviewOperator
from phased_rollout.sensors.health import HealthSensor
from phased_rollout.sensors.soak import SoakSensor

SUFFIX = "_empty"
_WAVES: dict[tuple[str, str], list[dict[str, Any]]] = {}


class _Idle:
    def execute(self, context: Any, *_: Any, **__: Any) -> Any:
        """Do nothing."""


class Plan(_Idle, PlanOperator):
    """Plans nothing."""


class Preview(_Idle, PreviewOperator):
    """Previews nothing."""


class Authorize(_Idle, AuthorizeOperator):
    """Asks nobody."""


class Enter(EnterOperator):
    """Hands out the waves, unasked."""

    def execute(self, context: Any, event: Any = None) -> Any:  # noqa: ARG002 - Airflow's
        """Give the waves of the file."""
        return _WAVES[self.definition, self.channel]


class Apply(ApplyOperator):
    """Applies nothing."""

    def execute(self, context: Any) -> str:  # noqa: ARG002 - Airflow's
        """Give the moment, from which the soak counts."""
        return datetime.now(UTC).isoformat()


class Soak(SoakSensor):
    """Waits, with Airflow's own trigger: waiting is part of the graph."""

    def execute(self, context: Any) -> None:
        """Wait and look at nothing."""
        until = self._derive_base_time(context) + cast("timedelta", self.delta)
        self.defer(
            trigger=DateTimeTrigger(moment=until, end_from_trigger=True),
            method_name="execute_complete",
        )


class Health(HealthSensor):
    """Is content."""

    def poke(self, context: Any) -> bool:  # noqa: ARG002 - Airflow's
        """Look at nothing."""
        return True


class Outcome(_Idle, OutcomeOperator):
    """Checks nothing."""


class Verdict(_Idle, VerdictOperator):
    """Sweeps nothing."""


def empty_dags() -> dict[str, DAG]:
    """Build a Dag of each definition, named with the suffix."""
    wanted, _ = get_parsing_context()
    found = {}
    for name, definition in config.load().definitions.items():
        if wanted in (None, name + SUFFIX):
            empty = replace(definition, name=name + SUFFIX)
            for channel in empty.channels:
                _WAVES[empty.name, channel.name] = [
                    {"wave": number, "targets": [t.name for t in wave]}
                    for number, wave in enumerate(channel.handed_out(), start=1)
                ]
            with patch.multiple(
                dag_factory,
                PlanOperator=Plan,
                PreviewOperator=Preview,
                AuthorizeOperator=Authorize,
                EnterOperator=Enter,
                ApplyOperator=Apply,
                SoakSensor=Soak,
                HealthSensor=Health,
                OutcomeOperator=Outcome,
                VerdictOperator=Verdict,
            ):
                found[empty.name] = dag_factory.build_dag(empty, base="/")
    return found
