"""Sessions into many AWS accounts from one Airflow connection."""

from phased_rollout.aws.access import Access, Hop
from phased_rollout.aws.hook import AccountHook, account, forget
from phased_rollout.aws.regions import doubt_of

__all__ = ["Access", "AccountHook", "Hop", "account", "doubt_of", "forget"]
