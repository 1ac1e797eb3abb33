"""A registry of targets in a YAML or JSON file, for fleets that no service lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from phased_rollout.config.document import parse, read_text
from phased_rollout.config.explain import validated
from phased_rollout.config.inventories import Registry
from phased_rollout.config.problems import Problems
from phased_rollout.errors import RefusedError
from phased_rollout.model.found import Found


class RegistryFile:
    """Reads ``targets:``, each with ``name``, ``address`` and optionally state, labels, ou.

    :param options: ``path``
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._path = Path(str(options.get("path") or ""))

    def list(self) -> Sequence[Found]:
        """Give the targets in the order of the file; raises RefusedError with every problem."""
        problems = Problems(str(self._path))
        text = read_text(self._path, problems)
        document = None if text is None else parse(text, problems)
        registry = validated(Registry, document, problems) if document else None
        if problems or registry is None:
            raise RefusedError("\n".join(problems.texts()))
        return [
            Found(one.name, one.address, one.state.upper(), one.labels, tuple(one.ou))
            for one in registry.targets
        ]
