"""AWS accounts and regions: one CloudFormation stack each, changed by ChangeSets."""

from phased_rollout.substrates.cloudformation.substrate import CloudFormationSubstrate

__all__ = ["CloudFormationSubstrate"]
