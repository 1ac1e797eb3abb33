"""The Airflow Dags of the product."""

from phased_rollout.dag_factory import build_dags

globals().update(build_dags())
