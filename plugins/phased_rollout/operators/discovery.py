"""Which targets a plan has: named, found, and none lost since the last graduated plan."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, replace

from phased_rollout import inventory, substrates
from phased_rollout.config.addresses import problem_of
from phased_rollout.errors import GuardError, RolloutError, UnreachableError
from phased_rollout.model import members
from phased_rollout.model.definition import Definition
from phased_rollout.model.found import Found
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Origin, Plan
from phased_rollout.model.target_guard import Comparison, compare
from phased_rollout.model.targets import resolve
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import for_each


def find_targets(
    planned: Definition, records: RolloutRecords, *, without: Collection[str] = ()
) -> tuple[Definition, Origin]:
    """Give the definition with explicit targets only, and where they come from.

    Asks the inventory, the records and, for what targets consist of, their substrate; touches no
    target. Raises GuardError with every reason why no plan may be made, and what an inventory
    raises.

    :param without: channels of which it is not asked what their targets consist of
    """
    found = _ask(planned)
    resolution = resolve(planned, found)
    last, difference = last_graduated(records), Comparison()
    if last and resolution.definition:
        difference = compare(last.definition, resolution.definition)
    stops = [*resolution.problems, *_misfits(planned, resolution.definition), *difference.stops]
    if stops or resolution.definition is None:
        raise GuardError("\n".join(stops))
    definition = _with_members(resolution.definition, without=without)
    inside = members.compare(last.definition, definition) if last else Comparison()
    return definition, Origin(
        inventory=planned.inventory.source.kind if planned.inventory else "",
        found=len(found),
        answer=records.store.put({"found": [asdict(f) for f in found]}) if found else "",
        compared_with=last.run_id if last else "",
        notes=(*resolution.notes, *difference.notes, *inside.notes),
        authorize=(*difference.authorize, *inside.authorize),
    )


def _with_members(definition: Definition, *, without: Collection[str]) -> Definition:
    """Freeze what targets consist of, where their substrate can tell; not in channels left out."""
    find = getattr(substrates.build(definition.substrate), "members", None)
    if find is None:
        return definition
    channels = [c for c in definition.channels if c.name not in without]
    answers = for_each([t for c in channels for t in c.targets], find)
    errors = [e for e in answers.values() if isinstance(e, RolloutError)]
    found = {n: tuple(e) for n, e in answers.items() if not isinstance(e, RolloutError)}
    if silent := [str(e) for e in errors if isinstance(e, UnreachableError)]:
        raise UnreachableError("\n".join(silent))
    if errors:
        raise GuardError("\n".join(map(str, errors)))
    frozen = replace(
        definition,
        channels=tuple(
            replace(c, targets=tuple(replace(t, members=found.get(t.name, ())) for t in c.targets))
            for c in definition.channels
        ),
    )
    if problems := members.shared(frozen):
        raise GuardError("\n".join(problems))
    return frozen


def last_graduated(records: RolloutRecords) -> Plan | None:
    """Give the newest plan before this run that was rolled out as a whole; None without any."""
    runs = records.begun()
    earlier = runs[: runs.index(records.run_id)] if records.run_id in runs else runs
    for run in reversed(earlier):
        candidate = records.of(run)
        if candidate.ledger().happened(Kind.FINISHED):
            return candidate.plan()
    return None


def _ask(planned: Definition) -> list[Found]:
    if planned.inventory is None:
        return []
    found = inventory.build(planned.inventory.source).list()
    return sorted(found, key=lambda f: f.name)


def _misfits(planned: Definition, definition: Definition | None) -> Iterator[str]:
    """Say which found targets could not stand in channels.yaml; what does was judged there."""
    named = {t.name for c in planned.channels for t in c.targets}
    for channel in definition.channels if definition else ():
        for target in (t for t in channel.targets if t.name not in named):
            if what := problem_of(target.name, target.address, substrate=planned.substrate.kind):
                yield f"{channel.name}: the inventory's target {target.name!r} has {what}"
