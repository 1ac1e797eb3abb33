"""Which definitions Dags are built from: those of the file, or of the rollouts under way.

Airflow starts no task of a Dag whose file cannot be imported, so an unusable channels.yaml must not
stop a rollout, least of all its rollback: while one is under way, its Dags are built from its plan.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from phased_rollout import config
from phased_rollout.errors import ConfigError, RecordError
from phased_rollout.model.definition import Definition, GateKind, definition_of
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Plan
from phased_rollout.records import RecordStore, RolloutRecords

AFTERWARDS = timedelta(hours=1)
"""How long a rollout that has ended counts as under way: Airflow has yet to end its run."""


def to_build(wanted: str | None) -> tuple[config.Config, str]:
    """Give what to build Dags of, and why that is not the file; raises ConfigError without any.

    A task of a rollout under way goes on with its plan when the file does not give its Dag any
    more. A new rollout is refused by the task ``plan``, with that reason.

    :param wanted: the Dag that a task is about to run in; None when all are parsed
    """
    name, source = definition_of(wanted or ""), str(config.default_path().absolute())
    try:
        found = config.load()
    except ConfigError as error:
        planned = _planned(name) if wanted else under_way(now=datetime.now(UTC))
        if not planned:
            raise
        return config.Config(source, planned), str(error)
    if wanted is None or name in found.definitions:
        return found, ""
    return config.Config(source, _planned(name)), f"{source}: rollouts: has no {name} any more"


def _planned(name: str) -> dict[str, Definition]:
    try:
        return {name: _as_in_the_file(RecordStore.from_environment().newest(name).plan())}
    except RecordError:
        return {}


def check_file() -> None:
    """Raise ConfigError on an unusable file where ``to_build`` does without it."""
    try:
        config.load()
    except ConfigError:
        if under_way(now=datetime.now(UTC)):
            raise


def under_way(*, now: datetime) -> dict[str, Definition]:
    """Give the definitions whose last rollout has not ended, as planned, without a schedule."""
    store = RecordStore.from_environment()
    found = {}
    for name in store.definitions():
        try:
            records = store.newest(name)
            if not _has_ended(records, now=now):
                found[name] = replace(_as_in_the_file(records.plan()), schedule=None)
        except RecordError:  # nothing was planned, or a newer version of the product did
            continue
    return found


def _has_ended(records: RolloutRecords, *, now: datetime) -> bool:
    ledger = records.ledger()
    ended = ledger.last_of_any(Kind.FINISHED, Kind.CONCLUDED)
    return ledger.last_of_any(Kind.ENTERED, Kind.PREVIEWED) < ended < now - AFTERWARDS


def _as_in_the_file(plan: Plan) -> Definition:
    """Undo what a bypass does to gates: the Dag has a task for each approval of the file."""
    asked = {f"{channel.name} (approval)": channel.name for channel in plan.channels}
    names = {asked[each] for each in plan.shape if each in asked}
    channels = (
        replace(c, gate=c.gate | {GateKind.APPROVAL}) if c.name in names else c
        for c in plan.channels
    )
    return replace(plan.definition, channels=tuple(channels))
