import json
import stat
from pathlib import Path

import pytest

from sandbox.stack.environment import (
    USERS,
    Folders,
    Secrets,
    Settings,
    build_env,
    free_ports,
    load_secrets,
)

SECRETS = Secrets(fernet_key="f", jwt_secret="j", secret_key="s", passwords={"admin": "p"})


def make_settings(**given: object) -> Settings:
    fields = {
        "state": Path("/state"),
        "port": 4000,
        "log_ports": (4001, 4002),
        "database_url": "postgresql://x",
        "secrets": SECRETS,
        "folders": Folders(dags=Path("/d"), plugins=Path("/p"), config=Path("/c.yaml")),
        **given,
    }
    return Settings(**fields)  # type: ignore[arg-type]


def test_every_address_names_the_same_port() -> None:
    env = build_env(make_settings(), inherited={})

    assert env["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:4000"
    assert env["AIRFLOW__API__PORT"] == "4000"
    assert env["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:4000/execution/"


def test_the_stack_runs_the_given_folders_and_keeps_its_records_in_its_state() -> None:
    env = build_env(make_settings(), inherited={})

    assert env["AIRFLOW__CORE__DAGS_FOLDER"] == "/d"
    assert env["AIRFLOW__CORE__PLUGINS_FOLDER"] == "/p"
    assert env["PHASED_ROLLOUT_CONFIG"] == "/c.yaml"
    assert env["PHASED_ROLLOUT_RECORDS"] == "file:///state/records"
    assert env["AIRFLOW_HOME"] == "/state/airflow"


@pytest.mark.parametrize(
    "name",
    [
        "AIRFLOW__CORE__EXECUTOR_OF_SOMEBODY",
        "AIRFLOW_CONN_PRODUCTION",
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "PHASED_ROLLOUT_OTHER",
        "PYTHONDONTWRITEBYTECODE",
    ],
)
def test_another_airflow_and_real_credentials_do_not_get_in(name: str) -> None:
    env = build_env(make_settings(), inherited={name: "x", "HOME": "/home/me"})

    assert name not in env
    assert env["HOME"] == "/home/me"


def test_no_real_aws_configuration_is_found() -> None:
    env = build_env(make_settings(), inherited={})

    assert env["AWS_CONFIG_FILE"] == env["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"
    assert env["AWS_EC2_METADATA_DISABLED"] == "true"


def test_the_connection_sends_every_call_to_the_sandbox() -> None:
    env = build_env(make_settings(aws_endpoint="http://127.0.0.1:5000"), inherited={})

    connection = json.loads(env["AIRFLOW_CONN_AWS_ROLLOUT"])

    assert connection["conn_type"] == "aws"
    assert connection["extra"]["endpoint_url"] == "http://127.0.0.1:5000"
    assert connection["extra"]["service_config"]["sts"]["endpoint_url"] == "http://127.0.0.1:5000"


def test_without_a_sandbox_there_is_no_connection() -> None:
    assert "AIRFLOW_CONN_AWS_ROLLOUT" not in build_env(make_settings(), inherited={})


def test_additional_environment_has_the_last_word() -> None:
    settings = make_settings(extra_env={"AIRFLOW__CORE__PARALLELISM": "2", "MINE": "1"})

    env = build_env(settings, inherited={"MINE": "0"})

    assert (env["AIRFLOW__CORE__PARALLELISM"], env["MINE"]) == ("2", "1")


def test_who_triggers_and_who_approves_are_different_people_and_nobody_is_admin_by_default() -> (
    None
):
    env = build_env(make_settings(), inherited={})

    assert env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "False"
    users = env["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
    assert users == "admin:ADMIN,operator:OP,approver:OP,viewer:VIEWER"


def test_secrets_are_made_once_and_only_their_owner_may_read_them(tmp_path: Path) -> None:
    made = load_secrets(tmp_path)

    assert load_secrets(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600
    assert set(made.passwords) == set(USERS)
    assert len(set(made.passwords.values())) == len(USERS)


def test_secrets_are_not_shown() -> None:
    assert repr(SECRETS) == "Secrets(passwords of admin)"


def test_free_ports_differ() -> None:
    assert len(set(free_ports(5))) == 5
