"""The operator's desk: what Airflow's UI shows of a rollout. See app.py."""
