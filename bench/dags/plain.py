"""The Airflow Dags that the product is compared with."""

from bench.plain_dag import plain_dags

globals().update(plain_dags())
