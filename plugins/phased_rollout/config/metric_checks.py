"""Rules about the signals of a channel as a whole: names, how many are judged, whose values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from phased_rollout.config.document import Document
from phased_rollout.config.policies import Problem, Raw, mapping, mappings
from phased_rollout.config.problems import Path, did_you_mean
from phased_rollout.model.definition import AdapterSpec, Channel, Config
from phased_rollout.model.metric import MAX_JUDGED
from phased_rollout.model.placeholders import TARGETS, keys_in, known_of

_BUILT_IN = ("cloudwatch_metrics", "http_probe", "prometheus")
_HARMLESS = {"name", "unit", "expression", "contains", "json"}
"""Keys in whose values braces mean nothing."""


def written(rollout: Raw, path: Path) -> Iterator[Problem]:
    """Say what is wrong with the signals of a rollout and of its channels, as the file has them."""
    role = mapping(rollout.get("substrate")).get("role")
    yield from _of(rollout.get("signals"), (*path, "signals"), role)
    for number, channel in enumerate(mappings(rollout.get("channels"))):
        yield from _of(channel.get("signals"), (*path, "channels", number, "signals"), role)


def _of(signals: Any, path: Path, deploying: Any) -> Iterator[Problem]:
    names: set[Any] = set()
    judged = 0
    for number, signal in enumerate(mappings(signals)):
        if signal.get("kind") not in _BUILT_IN:
            continue
        if signal.get("kind") == "cloudwatch_metrics" and deploying == signal.get("role"):
            what = "is the role that changes the targets: name one that can only read"
            yield what, (*path, number, "role")
        for position, entry in enumerate(mappings(signal.get("metrics"))):
            here: Path = (*path, number, "metrics", position)
            if str(entry.get("name")) in names:
                yield "another metric of the channel has this name: rename one", (*here, "name")
            names.add(str(entry.get("name")))
            judged += "worse" in entry
            if "worse" in entry and judged == MAX_JUDGED + 1:
                what = f"at most {MAX_JUDGED} metrics of a channel are judged, for each more makes"
                yield f"{what} harm harder to tell from chance: remove some", (*here, "worse")


def resolved(config: Config, document: Document) -> Iterator[Problem]:
    """Say which signals refer to what a target's address does not have."""
    for name, definition in config.definitions.items():
        for number, channel in enumerate(definition.channels):
            way: Path = ("rollouts", name, "channels", number)
            own = "signals" in document.find(way)[1].children
            for position, signal in enumerate(channel.signals):
                for what in _lacking(channel, signal):
                    yield what, (*(way if own else way[:2]), "signals", position)


def _lacking(channel: Channel, signal: AdapterSpec) -> Iterator[str]:
    if signal.kind not in _BUILT_IN:
        return
    wanted = _keys(signal.options) - {TARGETS}
    if signal.kind == "cloudwatch_metrics":
        wanted |= {"account", "region"} - signal.options.keys()
        if "connection" not in signal.options:
            yield "needs a connection, for the substrate has none of AWS: add connection"
    for target in (*channel.targets, *channel.on_hold):
        known = sorted(known_of(target))
        if missing := sorted(wanted - set(known)):
            close = did_you_mean(missing[0], known) or f": there is {', '.join(known)}"
            yield f"needs {missing[0]}, which {target.name}'s address does not have{close}"
            return


def _keys(value: Any) -> set[str]:
    if isinstance(value, str):
        return keys_in(value)
    if isinstance(value, dict):
        return {k for key, each in value.items() if key not in _HARMLESS for k in _keys(each)}
    return {key for each in value for key in _keys(each)} if isinstance(value, list) else set()
