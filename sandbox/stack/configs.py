"""Which file a definition is in, and what it needs there to be: read as YAML, not judged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sandbox.stack.environment import PROJECT, Folders

EXAMPLES = PROJECT / "include" / "examples"


def config_with(definition: str) -> Path:
    """Return the project's configuration, or the example that has the definition."""
    known = [Folders().config, *sorted(EXAMPLES.glob("*/channels.yaml"))]
    return next((path for path in known if definition in _rollouts(path)), known[0])


def clusters_of(config: Path) -> list[str]:
    """Name the contexts of all Kubernetes targets of a configuration."""
    return _addressed(config, kind="kubernetes", by="context")


def tenants_of(config: Path) -> list[str]:
    """Name the tenants of all targets behind HTTP of a configuration."""
    return _addressed(config, kind="http", by="tenant")


def _addressed(config: Path, *, kind: str, by: str) -> list[str]:
    found = [
        str(target[by])
        for rollout in _rollouts(config).values()
        if isinstance(rollout, dict) and rollout.get("substrate", {}).get("kind") == kind
        for target in _targets(rollout)
        if by in target
    ]
    return list(dict.fromkeys(found))


def _targets(rollout: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for channel in rollout.get("channels") or ():
        yield from channel.get("targets") or ()


def _rollouts(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        return dict(found["rollouts"])
    except (OSError, yaml.YAMLError, TypeError, KeyError, ValueError):
        return {}  # Airflow says what is wrong with it
