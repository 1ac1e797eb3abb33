"""Hard metrics: so many points in a row beyond a limit are harm, too few points are unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from phased_rollout.errors import RolloutError
from phased_rollout.health import Series
from phased_rollout.model.definition import Target
from phased_rollout.model.metric import Ceiling
from phased_rollout.model.target_state import Health, Observation

_LATE = timedelta(minutes=5)
"""How late the points of a system may come, at least, before it counts as silent."""

Answer = Series | RolloutError
"""What a system said of one metric of one target, or why it could not be asked."""


def window_of(ceiling: Ceiling) -> timedelta:
    """Say how far back the points may lie that tell how a target fares now."""
    period = timedelta(seconds=ceiling.period)
    return period * ceiling.points + max(_LATE, 2 * period)


def observed(
    ceiling: Ceiling,
    targets: Sequence[Target],
    answers: Mapping[str, Answer],
    *,
    since: Mapping[str, datetime],
) -> list[Observation]:
    """Judge each target's last points; those from before ``since`` do not count."""
    found = []
    for target in targets:
        answer = answers[target.name]
        if isinstance(answer, RolloutError):
            health, detail = Health.UNKNOWN, str(answer)
        else:
            begun = since[target.name].timestamp() if target.name in since else 0.0
            health, detail = _judged(ceiling, [value for at, value in answer if at >= begun])
        found.append(Observation(target.name, f"metric {ceiling.name}", health, detail))
    return found


def _judged(ceiling: Ceiling, values: Sequence[float]) -> tuple[Health, str]:
    last = values[-ceiling.points :]
    shown = ", ".join(f"{value:g}" for value in last)
    if len(last) < ceiling.points:
        return (
            Health.UNKNOWN,
            f"{len(last)} of {ceiling.points} points since the apply, in the last "
            f"{window_of(ceiling)}" + (f": {shown}" if shown else ""),
        )
    if all(ceiling.beyond(value) for value in last):
        return Health.HARM, f"{shown}: {ceiling}"
    return Health.OK, f"{shown}: not {ceiling}"
