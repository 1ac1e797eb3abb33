"""What every process of the local stack is told: its environment, its ports and its secrets."""

import base64
import json
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.tenants.access import connection_to

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_STATE = PROJECT / ".state"

USERS: Mapping[str, str] = {
    "admin": "ADMIN",
    "operator": "OP",
    "approver": "OP",
    "viewer": "VIEWER",
}
"""The users and their roles: the one who triggers is not the one who approves."""

# Settings of whoever starts the stack that must not reach it: another Airflow, a real AWS account.
# Without bytecode each component, and each task, would compile all it imports again.
_NOT_INHERITED = (
    "AIRFLOW",
    "AWS_",
    "PHASED_ROLLOUT_",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHOME",
    "PYTHONPATH",
)


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys and passwords of one stack; kept in its state folder, readable by its owner only."""

    fernet_key: str
    jwt_secret: str
    secret_key: str
    passwords: Mapping[str, str]

    def __repr__(self) -> str:
        """Show no value."""
        return f"Secrets(passwords of {', '.join(self.passwords)})"


@dataclass(frozen=True, slots=True)
class Folders:
    """What the stack runs: where its Dags, plugins and configuration are."""

    dags: Path = PROJECT / "dags"
    plugins: Path = PROJECT / "plugins"
    config: Path = PROJECT / "include" / "channels.yaml"


@dataclass(frozen=True, slots=True)
class Settings:
    """What distinguishes one stack from another."""

    state: Path
    port: int
    log_ports: tuple[int, int]
    database_url: str
    secrets: Secrets
    aws_endpoint: str | None = None
    kubernetes: bool = False
    tenants_endpoint: str | None = None
    folders: Folders = field(default_factory=Folders)
    extra_env: Mapping[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The address of the API server and the user interface."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def passwords_file(self) -> Path:
        """Where Airflow reads the users' passwords."""
        return self.state / "passwords.json"

    @property
    def aws_log(self) -> Path:
        """The sandbox's log of every call."""
        return self.state / "logs" / "aws-calls.jsonl"

    @property
    def records(self) -> Path:
        """The folder of the record store."""
        return self.state / "records"

    @property
    def kubeconfig(self) -> Path:
        """The contexts of the sandbox clusters."""
        return self.state / "kubeconfig"


def load_secrets(state: Path) -> Secrets:
    """Read the secrets of a state folder; make them up when it has none yet."""
    path = state / "secrets.json"
    if path.exists():
        return Secrets(**json.loads(path.read_text(encoding="utf-8")))
    made = Secrets(
        fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        jwt_secret=secrets.token_urlsafe(48),
        secret_key=secrets.token_urlsafe(48),
        passwords={user: secrets.token_urlsafe(12) for user in USERS},
    )
    write_private(path, json.dumps({name: getattr(made, name) for name in made.__slots__}))
    return made


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first byte on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def free_ports(count: int) -> list[int]:
    """Return different loopback ports that nobody listens on at this moment."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def build_env(settings: Settings, *, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of the stack's processes.

    `inherited` (usually `os.environ`) is passed on but for what would lead the stack to another
    Airflow or to a real AWS account; `settings.extra_env` has the last word.
    """
    kept = {k: v for k, v in inherited.items() if not k.startswith(_NOT_INHERITED)}
    path = [str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]
    return {
        **kept,
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": str(PROJECT),
        "NO_PROXY": "*",
        "no_proxy": "*",
        **_airflow_env(settings),
        **_rollout_env(settings),
        **settings.extra_env,
    }


def _airflow_env(settings: Settings) -> dict[str, str]:
    options: dict[str, str | int | float] = {
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 8,
        "CORE__DAGS_FOLDER": str(settings.folders.dags),
        "CORE__PLUGINS_FOLDER": str(settings.folders.plugins),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__FERNET_KEY": settings.secrets.fernet_key,
        "CORE__EXECUTION_API_SERVER_URL": f"{settings.url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{u}:{r}" for u, r in USERS.items()),
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(settings.passwords_file),
        "DATABASE__SQL_ALCHEMY_CONN": settings.database_url,
        # The API server answers 40 requests at once; with fewer connections some fail after 30 s.
        "DATABASE__SQL_ALCHEMY_POOL_SIZE": 40,
        "API__BASE_URL": settings.url,
        "API__HOST": "127.0.0.1",
        "API__PORT": settings.port,
        "API__WORKERS": 1,
        "API__SECRET_KEY": settings.secrets.secret_key,
        "API_AUTH__JWT_SECRET": settings.secrets.jwt_secret,
        "LOGGING__BASE_LOG_FOLDER": str(settings.state / "logs" / "tasks"),
        "LOGGING__WORKER_LOG_SERVER_PORT": settings.log_ports[0],
        "LOGGING__TRIGGER_LOG_SERVER_PORT": settings.log_ports[1],
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.1,
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": 30,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 5,
        "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": 1,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 10,
        "DAG_PROCESSOR__PRINT_STATS_INTERVAL": 0,
        "DAG_PROCESSOR__CHILD_PROCESS_LOG_DIRECTORY": str(settings.state / "logs" / "dags"),
        "LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(settings.state / "logs" / "dags"),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    env = {f"AIRFLOW__{name}": str(value) for name, value in options.items()}
    return {"AIRFLOW_HOME": str(settings.state / "airflow"), **env}


def _rollout_env(settings: Settings) -> dict[str, str]:
    env = {
        "PHASED_ROLLOUT_CONFIG": str(settings.folders.config),
        "PHASED_ROLLOUT_RECORDS": f"file://{settings.records}",
        # Nothing here may ever find the credentials of a real account.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    if settings.aws_endpoint is not None:
        env["AIRFLOW_CONN_AWS_ROLLOUT"] = aws_connection(
            settings.aws_endpoint, password=settings.secrets.secret_key
        )
    if settings.kubernetes:
        extra = {"kube_config_path": str(settings.kubeconfig)}
        connection = {"conn_type": "kubernetes", "extra": extra}
        env["AIRFLOW_CONN_KUBERNETES_ROLLOUT"] = json.dumps(connection)
    if settings.tenants_endpoint is not None:
        env["AIRFLOW_CONN_TENANTS_ROLLOUT"] = connection_to(settings.tenants_endpoint)
    return env


def aws_connection(endpoint: str, *, password: str) -> str:
    """Return the connection to the sandbox AWS as the JSON that Airflow reads.

    The sandbox takes any password; a secret one shows whether it turns up anywhere.
    """
    return json.dumps(
        {
            "conn_type": "aws",
            "login": "sandbox",
            "password": password,
            "extra": {
                "region_name": "eu-central-1",
                "endpoint_url": endpoint,
                "service_config": {"sts": {"endpoint_url": endpoint}},
            },
        }
    )
