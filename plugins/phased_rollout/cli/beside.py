"""Whether a change would work beside what runs now. Reads the record store."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from phased_rollout import config
from phased_rollout.cli.chosen import change_named, definition_named
from phased_rollout.cli.tables import write, write_json
from phased_rollout.model.boundary_check import Boundaries
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.present import boundaries_of
from phased_rollout.records import RecordStore


def run(arguments: argparse.Namespace) -> bool:
    """Check the mixed states of a rollout that would begin now; say whether any is doubtful."""
    found = config.load(arguments.config)
    definition, skipped = definition_named(found, arguments), tuple(arguments.skip or ())
    for name in set(skipped) - {channel.name for channel in definition.channels}:
        arguments.refuse(f"no channel {name!r} in {definition.name}")
    change = change_named(found, definition, arguments)
    records = RecordStore.from_environment().rollout(definition.name, "")
    bypass = Bypass(BypassTier.SKIP_CHANNELS if skipped else BypassTier.NONE, skipped)
    boundaries = boundaries_of(records, definition, bypass, change) or Boundaries(checked=0)
    if arguments.json:
        write_json(asdict(boundaries))
    else:
        _write(boundaries)
    return bool(boundaries.stops or boundaries.authorize)


def _write(found: Boundaries) -> None:
    if not found.checked:
        write("nothing to check: no change declares anything, or no channel talks to another")
        return
    write(*found.in_words())
    if found.stops:
        write("a run stops before anything is touched; one of the emergency Dag asks a person")
    elif found.authorize:
        write("a run asks a person before anything is touched")
