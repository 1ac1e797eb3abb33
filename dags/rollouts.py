"""One Airflow Dag for each rollout definition in include/channels.yaml.

A file that cannot be used fails here, and Airflow shows every problem in it as an import error.
"""

from phased_rollout.dag_factory import build_dags

globals().update(build_dags())
