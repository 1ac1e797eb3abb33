"""Which channels talk to which, as the file writes it."""

from __future__ import annotations

from collections.abc import Iterator

from phased_rollout.config.policies import Problem, Raw, mappings
from phased_rollout.config.problems import Path, did_you_mean


def problems_of(rollout: Raw, path: Path) -> Iterator[Problem]:
    """Give the names under ``talks_to`` that are no channels of the rollout, or there twice."""
    channels = mappings(rollout.get("channels"))
    known = [name for each in channels if isinstance(name := each.get("name"), str)]
    for position, channel in enumerate(channels):
        given = channel.get("talks_to")
        names = given if isinstance(given, list) else []
        for number, name in enumerate(names):
            here = (*path, "channels", position, "talks_to", number)
            if not isinstance(name, str):
                continue
            if name not in known:
                close = did_you_mean(name, known) or f": the channels are {', '.join(known)}"
                yield f"there is no channel {name!r} in this rollout{close}", here
            elif name in names[:number]:
                yield f"names {name!r} twice: remove one of the two", here
