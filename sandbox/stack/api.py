"""A small client of Airflow's REST API, for the demo and the integration tests.

Every method answers with the parsed JSON of Airflow and raises `ApiError` for a refusal.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sandbox.stack.transport import ApiError, Json, Transport

__all__ = ["ApiError", "Client", "Json"]


class Client(Transport):
    """Airflow's REST API as one user."""

    def health(self) -> Json:
        """Return the state of the components; needs no user."""
        return dict(self.anonymous("/monitor/health"))

    # Dags

    def dag(self, dag_id: str) -> Json:
        """Return one Dag."""
        return dict(self.request("GET", f"/dags/{dag_id}"))

    def dags(self) -> list[Json]:
        """Return all Dags, paused ones too."""
        return list(self.paged("/dags", key="dags", params={"exclude_stale": True}))

    def tasks(self, dag_id: str) -> list[Json]:
        """Return the tasks of a Dag, each with its `downstream_task_ids`."""
        return list(self.request("GET", f"/dags/{dag_id}/tasks")["tasks"])

    def import_errors(self) -> list[Json]:
        """Return the files that Airflow could not import, each with its `stack_trace`."""
        return list(self.paged("/importErrors", key="import_errors"))

    def pause(self, dag_id: str) -> Json:
        """Pause a Dag."""
        return dict(self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": True}))

    def unpause(self, dag_id: str) -> Json:
        """Unpause a Dag."""
        return dict(self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": False}))

    # runs

    def trigger(
        self,
        dag_id: str,
        *,
        conf: Mapping[str, object] | None = None,
        run_id: str | None = None,
        note: str | None = None,
    ) -> Json:
        """Start a run and return it; its id is under `dag_run_id`."""
        body: Json = {"logical_date": None, "conf": dict(conf or {})}
        body |= {} if run_id is None else {"dag_run_id": run_id}
        body |= {} if note is None else {"note": note}
        return dict(self.request("POST", f"/dags/{dag_id}/dagRuns", json=body))

    def run(self, dag_id: str, run_id: str) -> Json:
        """Return one run; its state is under `state`."""
        return dict(self.request("GET", _run(dag_id, run_id)))

    def runs(self, dag_id: str = "~") -> list[Json]:
        """Return all runs of a Dag, or of all Dags."""
        return list(self.paged(f"/dags/{dag_id}/dagRuns", key="dag_runs"))

    def set_run_state(self, dag_id: str, run_id: str, *, state: str) -> Json:
        """Mark a run `success`, `failed` or `queued`, as a user does in the interface."""
        return dict(self.request("PATCH", _run(dag_id, run_id), json={"state": state}))

    # task instances

    def task_instances(self, dag_id: str, run_id: str, *, task_id: str | None = None) -> list[Json]:
        """Return all task instances of a run, or of one task, mapped ones one by one."""
        params = {} if task_id is None else {"task_id": task_id}
        path = f"{_run(dag_id, run_id)}/taskInstances"
        return list(self.paged(path, key="task_instances", params=params))

    def task_instance(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1) -> Json:
        """Return one task instance."""
        return dict(self.request("GET", _task(dag_id, run_id, task_id, map_index)))

    def set_task_state(
        self, dag_id: str, run_id: str, task_id: str, *, state: str, map_index: int | None = None
    ) -> Json:
        """Mark a task instance (all its map indexes when none is named) `success` or `failed`."""
        path = _task(dag_id, run_id, task_id, map_index)
        return dict(self.request("PATCH", path, json={"new_state": state}))

    def clear(
        self,
        dag_id: str,
        run_id: str,
        task_ids: Sequence[str | tuple[str, int]],
        *,
        downstream: bool = True,
        only_failed: bool = False,
        dry_run: bool = False,
    ) -> list[Json]:
        """Clear tasks (`(task_id, map_index)` for one map index); the default is the interface's.

        :return: the task instances that were cleared
        """
        body = {
            "dag_run_id": run_id,
            "task_ids": [task if isinstance(task, str) else list(task) for task in task_ids],
            "include_downstream": downstream,
            "only_failed": only_failed,
            "reset_dag_runs": True,
            "dry_run": dry_run,
        }
        answer = self.request("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
        return list(answer["task_instances"])

    def log(
        self, dag_id: str, run_id: str, task_id: str, *, attempt: int = 1, map_index: int = -1
    ) -> str:
        """Return the log of one attempt as text, an event per line."""
        entries = self._log(dag_id, run_id, task_id, attempt=attempt, map_index=map_index)
        return "\n".join(_log_line(entry) for entry in entries)

    def last_error(
        self, dag_id: str, run_id: str, task_id: str, *, attempt: int = 1, map_index: int = -1
    ) -> str:
        """Return the text of the last error in that log."""
        entries = self._log(dag_id, run_id, task_id, attempt=attempt, map_index=map_index)
        errors = [e for e in entries if isinstance(e, dict) and e.get("level") == "error"]
        return _error_text(errors[-1]) if errors else "its log tells no reason"

    def _log(
        self, dag_id: str, run_id: str, task_id: str, *, attempt: int, map_index: int
    ) -> list[Any]:
        path = f"{_task(dag_id, run_id, task_id, None)}/logs/{attempt}"
        params: dict[str, str | int | bool] = {"map_index": map_index, "full_content": True}
        return list(self.request("GET", path, params=params)["content"])

    def xcom(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        key: str = "return_value",
        map_index: int = -1,
    ) -> Any:
        """Return the value of one XCom."""
        path = f"{_task(dag_id, run_id, task_id, None)}/xcomEntries/{quote(key, safe='')}"
        params: dict[str, str | int | bool] = {"map_index": map_index, "deserialize": True}
        return self.request("GET", path, params=params)["value"]

    def connect(self, connection_id: str, *, host: str) -> Json:
        """Make a connection to an HTTP API."""
        body = {"connection_id": connection_id, "conn_type": "http", "host": host}
        return dict(self.request("POST", "/connections", json=body))

    # approvals

    def approvals(self, dag_id: str = "~", run_id: str = "~") -> list[Json]:
        """Return the questions that wait, or waited, for a person."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='~')}/hitlDetails"
        return list(self.paged(path, key="hitl_details"))

    def answer(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        options: Sequence[str] = ("Approve",),
        params: Mapping[str, object] | None = None,
        map_index: int = -1,
    ) -> Json:
        """Answer a question. Within about 2 s of being asked, Airflow fails the task instead."""
        path = f"{_task(dag_id, run_id, task_id, map_index)}/hitlDetails"
        if map_index == -1:
            path = f"{_task(dag_id, run_id, task_id, None)}/-1/hitlDetails"
        body = {"chosen_options": list(options), "params_input": dict(params or {})}
        return dict(self.request("PATCH", path, json=body))


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _task(dag_id: str, run_id: str, task_id: str, map_index: int | None) -> str:
    path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id, safe='')}"
    return path if map_index is None or map_index < 0 else f"{path}/{map_index}"


def _log_line(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    rest = {k: v for k, v in entry.items() if k not in {"timestamp", "event", "level"}}
    line = f"{entry.get('timestamp', '')} {entry.get('level', '')} {entry.get('event', '')}"
    return line.strip() + (f" {rest}" if rest else "")


def _error_text(entry: Mapping[str, Any]) -> str:
    details = entry.get("error_detail") or [{}]
    kind, value = details[0].get("exc_type"), details[0].get("exc_value")
    return f"{kind}: {value}" if kind else str(entry.get("event", ""))
