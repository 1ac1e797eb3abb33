"""Fleets of hosts in AWS Systems Manager, changed by Run Command."""

from phased_rollout.substrates.ssm.substrate import FleetSubstrate

__all__ = ["FleetSubstrate"]
