"""Object storage that is reached by the Airflow connection that its URL names, or not at all."""

from __future__ import annotations

from airflow.sdk import BaseHook, ObjectStoragePath
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.io import attach
from fsspec.implementations.local import LocalFileSystem


def storage_at(url: str) -> ObjectStoragePath:
    """Open a URL; raises LookupError when the connection that it names does not exist.

    Without it, Airflow's S3 would go on with whatever credentials the machine has, or anonymously.
    """
    path = ObjectStoragePath(url)
    if path.protocol in ("", "file"):
        # Left to itself, Airflow loads the file systems of all providers, with boto3, in each task.
        attach("file", fs=LocalFileSystem())
    if path.conn_id:
        try:
            BaseHook.get_connection(path.conn_id)
        except AirflowNotFoundException as error:
            raise LookupError(f"the connection {path.conn_id} does not exist") from error
    return path
