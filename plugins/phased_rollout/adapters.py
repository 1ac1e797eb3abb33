"""Finds an adapter by its kind: built in, or registered by an entry point of another package."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import AdapterSpec

SUBSTRATES = "phased_rollout.substrates"
SIGNALS = "phased_rollout.health"
INVENTORIES = "phased_rollout.inventory"
"""Entry point groups."""

BUILT_IN = {
    SUBSTRATES: {
        "cloudformation": "phased_rollout.substrates.cloudformation:CloudFormationSubstrate",
        "kubernetes": "phased_rollout.substrates.kubernetes:KubernetesSubstrate",
        "http": "phased_rollout.substrates.http:HttpSubstrate",
        "ssm": "phased_rollout.substrates.ssm:FleetSubstrate",
    },
    SIGNALS: {
        "cloudwatch_alarms": "phased_rollout.health.cloudwatch_alarms:CloudWatchAlarms",
        "cloudwatch_metrics": "phased_rollout.health.cloudwatch_metrics:CloudWatchMetrics",
        "http_probe": "phased_rollout.health.http_probe:HttpProbe",
        "kubernetes_workloads": "phased_rollout.health.kubernetes_workloads:KubernetesWorkloads",
        "prometheus": "phased_rollout.health.prometheus:Prometheus",
    },
    INVENTORIES: {
        "organizations": "phased_rollout.inventory.organizations:Organizations",
        "file": "phased_rollout.inventory.registry_file:RegistryFile",
        "http": "phased_rollout.inventory.registry_http:RegistryHttp",
    },
}
"""Group to kind to ``module:attribute``."""


@cache
def installed(group: str) -> tuple[str, ...]:
    """Name the kinds that other packages have registered."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def load(spec: AdapterSpec, *, group: str) -> Any:
    """Import the adapter only now (it may be heavy) and build it with its options.

    Raises ConfigError when nothing is registered under its kind.
    """
    if spec.kind in BUILT_IN[group]:
        module, _, attribute = BUILT_IN[group][spec.kind].partition(":")
        return getattr(import_module(module), attribute)(spec.options)
    found = [e for e in entry_points(group=group) if e.name == spec.kind]
    if not found:
        known = ", ".join(sorted({*BUILT_IN[group], *installed(group)}))
        raise ConfigError([f"unknown kind {spec.kind!r} in {group}; known: {known}"])
    return found[0].load()(spec.options)
