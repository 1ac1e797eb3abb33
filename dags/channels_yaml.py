"""Shows an unusable channels.yaml as an import error while rollouts under way keep their Dags.

Airflow reads this file because it says airflow and dag; it has no Dag of its own.
"""

from phased_rollout.dag_source import check_file

check_file()
