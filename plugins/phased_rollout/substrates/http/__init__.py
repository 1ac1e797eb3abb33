"""SaaS tenants and whatever else has settings behind a control plane's HTTP API."""

from phased_rollout.substrates.http.substrate import HttpSubstrate

__all__ = ["HttpSubstrate"]
