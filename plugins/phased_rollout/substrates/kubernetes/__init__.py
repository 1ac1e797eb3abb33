"""Kubernetes clusters: a set of manifests each, changed by server-side apply."""

from phased_rollout.substrates.kubernetes.substrate import KubernetesSubstrate

__all__ = ["KubernetesSubstrate"]
