"""docker-compose.yaml: of the compose specification, and safe to start with."""

from __future__ import annotations

import re
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from phased_rollout.config import load

PROJECT = Path(__file__).parents[2]
FILE = PROJECT / "docker-compose.yaml"
REFERENCE = re.compile(r"(?<!\$)\$\{(\w+)(?::(\?|-)([^}]*))?\}")
SECRETS = {
    "ADMIN_PASSWORD",
    "API_SECRET_KEY",
    "FERNET_KEY",
    "JWT_SECRET",
    "POSTGRES_PASSWORD",
    "REDIS_PASSWORD",
}


def interpolated(text: str, given: Mapping[str, str]) -> str:
    """Put variables in, as compose does; raises KeyError for one that has to be given."""

    def value(found: re.Match[str]) -> str:
        name, how, default = found.groups()
        return given.get(name) or (default if how == "-" else given[name])

    return REFERENCE.sub(value, text)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run `make secrets` in an empty folder."""
    folder = tmp_path_factory.mktemp("secrets")
    command = ["make", "-s", "-f", str(PROJECT / "Makefile"), "secrets"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / ".env"


@pytest.fixture(scope="module")
def secrets(made: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in made.read_text().splitlines())


@pytest.fixture(scope="module")
def services(secrets: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(interpolated(FILE.read_text(), secrets))["services"]
    return found


def test_the_file_is_of_the_compose_specification(secrets: dict[str, str]) -> None:
    spec = pytest.importorskip("compose_spec", reason="compose-spec has no wheel here")
    whole = yaml.safe_dump(yaml.safe_load(interpolated(FILE.read_text(), secrets)))
    assert "api-server" in spec.PyCompose.from_yaml(whole).service_names()
    with pytest.raises(ValueError, match="imagee"):
        spec.PyCompose.from_yaml(whole.replace("image: redis", "imagee: redis"))


def test_nothing_starts_before_every_secret_was_made(secrets: dict[str, str]) -> None:
    assert set(secrets) == SECRETS
    for name in SECRETS:
        with pytest.raises(KeyError, match=name):
            interpolated(FILE.read_text(), {k: v for k, v in secrets.items() if k != name})
        assert re.search(rf"\$\{{{name}:-", FILE.read_text()) is None, f"{name} has a default"


def test_secrets_are_random_private_and_never_written_over(
    made: Path, secrets: dict[str, str]
) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    assert len(set(secrets.values())) == len(SECRETS)
    assert min(map(len, secrets.values())) >= 44
    before = made.read_bytes()
    command = ["make", "-s", "-f", str(PROJECT / "Makefile"), "secrets"]
    again = subprocess.run(command, cwd=made.parent, capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert "nothing was written" in again.stderr
    assert made.read_bytes() == before


def test_every_service_that_lasts_is_looked_after(services: dict[str, Any]) -> None:
    once = {"init", "seed"}
    for name, service in services.items():
        assert ("healthcheck" in service) == (name not in once), name
    parts = {"api-server", "scheduler", "dag-processor", "triggerer", "worker"}
    for name in parts:
        assert services[name]["depends_on"] == {
            "init": {"condition": "service_completed_successfully"}
        }


def test_only_the_user_interface_can_be_reached_from_outside(services: dict[str, Any]) -> None:
    assert {n: s["ports"] for n, s in services.items() if "ports" in s} == {
        "api-server": ["127.0.0.1:8080:8080"]
    }


def test_the_sandbox_starts_only_when_it_is_asked_for(services: dict[str, Any]) -> None:
    assert {n for n, s in services.items() if s.get("profiles") == ["sandbox"]} == {
        "sandbox",
        "seed",
    }


def test_what_the_file_mounts_and_the_image_copies_is_there(services: dict[str, Any]) -> None:
    mounted = {
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    }
    copied = re.findall(r"^COPY (.+) \S+$", (PROJECT / "Dockerfile").read_text(), re.MULTILINE)
    for path in [*mounted, *" ".join(copied).split()]:
        assert (PROJECT / path).exists(), path
    allowed = re.findall(r"^!(.+)$", (PROJECT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(" ".join(copied).split()) == set(allowed)
    assert load(PROJECT / "include" / "channels.yaml").definitions


def test_env_is_never_committed() -> None:
    assert ".env" in (PROJECT / ".gitignore").read_text().splitlines()
