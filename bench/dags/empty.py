"""The Airflow Dags of the product without their work."""

from bench.emptied import empty_dags

globals().update(empty_dags())
