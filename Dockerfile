# The image of docker-compose.yaml: Airflow and the product, at the versions of constraints.txt.
FROM python:3.12-slim-bookworm AS base
RUN useradd --uid 50000 --create-home rollout \
 && mkdir -p /opt/rollout/records /opt/rollout/logs \
 && chown -R rollout /opt/rollout
WORKDIR /opt/rollout
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY plugins ./plugins
RUN pip install --no-cache-dir -c constraints.txt '.[s3,team]'
COPY dags ./dags
COPY include ./include
ENV AIRFLOW_HOME=/home/rollout/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/rollout/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/rollout/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=/opt/rollout/logs \
    PHASED_ROLLOUT_CONFIG=/opt/rollout/include/channels.yaml

# With the stand-in for AWS, for the profile `sandbox`.
FROM base AS sandbox
COPY sandbox ./sandbox
RUN pip install --no-cache-dir -c constraints.txt '.[sandbox]'
ENV PYTHONPATH=/opt/rollout
USER rollout

FROM base AS product
USER rollout
