"""The rules that span several values: nothing twice, and no policy that cannot work.

They read the parsed file itself and pass over what has not the right shape, so that their findings
are told together with those of the schema, not one round later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from phased_rollout.config import metric_checks, neighbours, regions
from phased_rollout.config.document import Document
from phased_rollout.config.gates import vain_gates
from phased_rollout.config.places import Places, Seen, mappings
from phased_rollout.config.policies import (
    Policies,
    Problem,
    Raw,
    asks_for_approval,
    gate_of,
    mapping,
    unknown_channels,
)
from phased_rollout.config.problems import Path, Problems, in_words
from phased_rollout.config.windows import endless
from phased_rollout.model.definition import Config, GateKind, Waves
from phased_rollout.model.inconclusive import Then
from phased_rollout.model.targets import MAX_WAVES

MAX_BUCKET = 63


def check(document: Document, problems: Problems) -> None:
    """Note every problem that no single value shows."""
    checks = _Checks(document, problems)
    file = mapping(document.root.value)
    known, rollouts = mapping(file.get("policies")), mapping(file.get("rollouts"))
    for name, raw in rollouts.items():
        rollout = mapping(raw)
        policies = Policies(known, rollout, mapping(file.get("defaults")))
        checks.rollout(rollout, ("rollouts", name), policies)
    checks.note(unknown_channels(known, rollouts))


def check_built(config: Config, document: Document, problems: Problems) -> None:
    """Note what shows only once every setting is resolved."""
    checks = _Checks(document, problems)
    checks.note(endless(config))
    checks.note(metric_checks.resolved(config, document))
    for name, definition in config.definitions.items():
        checks.note(vain_gates(definition))
        if definition.stuck_after and definition.stuck_after <= definition.longest_soak:
            what = f"the soaks alone take {definition.longest_soak}: make it longer than that"
            checks.note([(what, ("rollouts", name, "stuck_after"))])


class _Checks:
    def __init__(self, document: Document, problems: Problems) -> None:
        self._document = document
        self._problems = problems
        self._places = Places(self._add, self._line)

    def note(self, found: Iterable[Problem]) -> None:
        for what, path in found:
            self._add(what, path)

    def rollout(self, rollout: Raw, path: Path, policies: Policies) -> None:
        self.note(policies.problems(path))
        self.note(neighbours.problems_of(rollout, path))
        substrate = mapping(rollout.get("substrate"))
        self.note(metric_checks.written(rollout, path))
        channels: dict[Any, Seen] = {}
        names: dict[Any, Seen] = {}
        addresses: dict[Any, Seen] = {}
        in_regions = substrate.get("kind") in regions.KINDS
        if substrate.get("kind") == "cloudformation":
            self._cloudformation(substrate, (*path, "substrate"))
        if substrate.get("kind") == "ssm" and isinstance(record := substrate.get("record"), str):
            named = f"the record {record}"
            self._places.claim((record,), (*path, "substrate", "record"), named)
        for position, channel in mappings(rollout.get("channels")):
            here: Path = (*path, "channels", position)
            self._once(channels, channel.get("name"), (*here, "name"), "channel")
            for number, listed in mappings(channel.get("targets")):
                there: Path = (*here, "targets", number)
                for target in regions.spread(listed, channel, substrate):
                    self._once(names, target.get("name"), (*there, "name"), "target")
                    self._places.take(target, there, substrate, addresses)
            self._select(channel, here, rollout)
            for policy in policies.allowed:
                levels = policies.levels(channel, policy)
                self._limits(channel, here, levels, substrate)
                self._gate(channel, here, levels, rollout)
        claimed = [*addresses.items()][::-1] if in_regions else []
        self._retired(rollout, path, {part: seen for at, seen in claimed for part in at} | names)
        self.note(regions.problems_in(rollout, path))
        if substrate.get("kind") == "cloudformation":
            selects = [c for _, c in mappings(rollout.get("channels")) if "select" in c]
            bucket = (*path, "substrate", "bucket")
            self._bucket(substrate, addresses, bucket, selects)

    def _cloudformation(self, substrate: Raw, path: Path) -> None:
        if "stack" in substrate and "stacks" in substrate:
            self._add("stack is set as well: remove one of the two", (*path, "stacks"))
        if "stack" not in substrate and "stacks" not in substrate:
            self._add("missing: set it, or stacks", (*path, "stack"))
        names: dict[Any, Seen] = {}
        for number, stack in mappings(substrate.get("stacks")):
            self._once(names, stack.get("name"), (*path, "stacks", number, "name"), "stack")

    def _bucket(
        self, substrate: Raw, addresses: dict[Any, Seen], path: Path, selects: list[Raw]
    ) -> None:
        """Bucket names are global, and a bucket is in one region."""
        bucket = substrate.get("bucket")
        if not isinstance(bucket, str):
            return
        for number, what in enumerate(("account", "region")):
            found = bool(selects) and what == "account"
            values = {address[number] for address in addresses}
            if what == "region":
                values |= {r for channel in selects for r in regions.regions_of(channel, substrate)}
            if (found or len(values) > 1) and f"{{{what}}}" not in bucket:
                each = (
                    f"each of the {'' if found else f'{len(values)} '}{what}s needs one of its own"
                )
                self._add(f"{each}: write {{{what}}} in its name", path)
        names = [bucket.replace("{account}", a).replace("{region}", r) for a, r in addresses]
        if any(len(name) > MAX_BUCKET for name in names):
            what = f"is longer than {MAX_BUCKET} with the account and region in it: shorten it"
            self._add(what, path)

    def _once(self, seen: dict[Any, Seen], name: Any, path: Path, kind: str) -> None:
        if not isinstance(name, str):
            return
        first = seen.setdefault(name, Seen(self._line(path), path))
        if first.path != path:
            at = f"{in_words(first.path[2:-1])}, line {first.line}"
            self._add(f"the {kind} {name!r} is there already ({at}): remove one of the two", path)

    def _select(self, channel: Raw, path: Path, rollout: Raw) -> None:
        """A channel has targets, named or selected; never all of them, and never by accident."""
        if "select" not in channel:
            if "targets" not in channel:
                self._add("missing: name targets, or select them", (*path, "targets"))
            return
        inventory, substrate = (mapping(rollout.get(key)) for key in ("inventory", "substrate"))
        kind = inventory.get("kind")
        if "inventory" not in rollout:
            what = "there is no inventory to select from: add one to the rollout"
            self._add(what, (*path, "select"))
        if kind == "http" and "ou" in mapping(channel["select"]):
            what = "an http inventory knows no organizational units: select by labels"
            self._add(what, (*path, "select", "ou"))
        of_aws = kind == "organizations" and substrate.get("kind") == "cloudformation"
        told = {"region", "regions"} & {*channel, *substrate}
        if of_aws and not told:
            what = "missing: set the region of the accounts that are selected"
            self._add(what, (*path[:2], "substrate", "region"))

    def _retired(self, rollout: Raw, path: Path, there: Mapping[Any, Seen]) -> None:
        retired = rollout.get("retired")
        for position, name in enumerate(retired if isinstance(retired, list) else []):
            if isinstance(name, str) and (seen := there.get(name)):
                at = f"{in_words(seen.path[2:6])}, line {seen.line}"
                what = f"{name!r} is still there ({at}): remove one of the two"
                self._add(what, (*path, "retired", position))

    def _limits(self, channel: Raw, path: Path, levels: tuple[Raw, ...], substrate: Raw) -> None:
        targets = channel.get("targets")
        listed = [
            target
            for one in (targets if isinstance(targets, list) else [])
            for target in regions.spread(mapping(one), channel, substrate)
        ]
        count = sum("hold" not in target for target in listed)
        if listed and not count and "select" not in channel:
            what = "every target is on hold, which is a channel of nothing: end a hold"
            self._add(what, (*path, "targets"))
        if not any("soak" in level for level in levels):
            self._add("missing: set it here or in defaults", (*path, "soak"))
        size = _first(mapping(level.get("waves")).get("size") for level in levels)
        size = Waves().size if size is None else size
        if isinstance(size, int) and size > 0 and -(-count // size) > MAX_WAVES:
            needed = -(-count // MAX_WAVES)
            what = f"{-(-count // size)} waves, but Airflow maps at most {MAX_WAVES}"
            self._add(f"{what}: raise size to {needed} or more", (*path, "waves", "size"))
        tolerated = _first(level.get("max_failed") for level in levels)
        known = "select" not in channel  # the plan counts those that are selected
        if known and isinstance(tolerated, int) and 0 < count <= tolerated:
            what = f"{tolerated} of {count} targets may fail, so no failure would ever count"
            self._add(f"{what}: tolerate fewer", (*path, "max_failed"))

    def _gate(self, channel: Raw, path: Path, levels: tuple[Raw, ...], rollout: Raw) -> None:
        kinds = gate_of(levels)
        signals = channel.get("signals", rollout.get("signals"))
        if GateKind.HEALTH in kinds and not signals:
            what = "judges health, but no signals are set here or in the rollout: add one"
            self._add(what, (*path, "gate"))
        then = _first(mapping(level.get("on_inconclusive")).get("then") for level in levels)
        if (
            "approval" in channel
            and then in (Then.FAIL, Then.HOLD)
            and not asks_for_approval(kinds)
        ):
            what = "nobody is ever asked: add approval to gate, or remove this"
            self._add(what, (*path, "approval"))

    def _line(self, path: Path) -> int:
        return self._document.find(path)[0]

    def _add(self, what: str, path: Path) -> None:
        self._problems.add(what, line=self._line(path), path=path)


def _first(values: Iterator[Any]) -> Any:
    return next((value for value in values if value is not None), None)
