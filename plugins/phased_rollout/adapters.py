"""Finds an adapter by its kind: built in, or registered by an entry point of another package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import AdapterSpec


def load(spec: AdapterSpec, *, group: str, built_in: Mapping[str, str]) -> Any:
    """Import the adapter only now (it may be heavy) and build it with its options.

    :param group: entry point group that other packages register in
    :param built_in: kind to ``module:attribute``
    """
    if spec.kind in built_in:
        module, _, attribute = built_in[spec.kind].partition(":")
        return getattr(import_module(module), attribute)(spec.options)
    found = [e for e in entry_points(group=group) if e.name == spec.kind]
    if not found:
        known = ", ".join(sorted({*built_in, *(e.name for e in entry_points(group=group))}))
        raise ConfigError([f"unknown kind {spec.kind!r} in {group}; known: {known}"])
    return found[0].load()(spec.options)
