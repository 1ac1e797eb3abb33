"""Phased rollout of infrastructure changes across release channels, on Apache Airflow."""
