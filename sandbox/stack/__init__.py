"""The local stack: real Airflow processes and the sandbox AWS, for the demo and the tests.

    with Stack(tmp_path, config=path_to_channels_yaml, env={...}) as stack:
        operator = stack.client("operator")          # also: admin, approver, viewer
        run = operator.trigger("aws_accounts", conf={"change": "include/changes/good"})
        operator.task_instances("aws_accounts", run["dag_run_id"])
        stack.kill("scheduler", children=False)      # SIGKILL of the leader, workers stay
        stack.restart("scheduler")                   # returns when it is healthy

Everything that it writes is below its state folder: `logs/<component>.log`, `logs/tasks/`,
`logs/aws-calls.jsonl`, `records/`, `passwords.json` (0600), `stack.json` (what runs).
Everything that it starts ends with it: at the end of the block, upon an exception or Ctrl-C, and
when the process that holds it is killed.
"""

from sandbox.stack.api import ApiError, Client
from sandbox.stack.environment import DEFAULT_STATE, PROJECT, USERS
from sandbox.stack.launcher import COMPONENTS, StackError
from sandbox.stack.processes import ProcessesLeftError, wait_until
from sandbox.stack.registry import stop_recorded
from sandbox.stack.stack import Stack

__all__ = [
    "COMPONENTS",
    "DEFAULT_STATE",
    "PROJECT",
    "USERS",
    "ApiError",
    "Client",
    "ProcessesLeftError",
    "Stack",
    "StackError",
    "stop_recorded",
    "wait_until",
]
