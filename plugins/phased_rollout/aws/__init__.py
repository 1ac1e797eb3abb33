"""Sessions into many AWS accounts from one Airflow connection."""

from phased_rollout.aws.access import Access, Hop
from phased_rollout.aws.hook import AccountHook, account, forget

__all__ = ["Access", "AccountHook", "Hop", "account", "forget"]
