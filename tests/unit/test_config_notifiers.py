"""``notify``: whom a rollout tells, as channels.yaml gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phased_rollout import config
from phased_rollout.cli import main
from phased_rollout.errors import ConfigError
from phased_rollout.model.notifier import Event, Notifier
from tests.unit.test_config import GOOD

ROOT = Path(__file__).parents[2]


def with_notify(tmp_path: Path, notify: str, *, defaults: str = "") -> Path:
    text = GOOD.replace("  accounts:\n", f"  accounts:\n    notify: {notify}\n", 1)
    if defaults:
        text = text.replace("{soak: 5s}", f"{{soak: 5s, notify: {defaults}}}", 1)
    path = tmp_path / "channels.yaml"
    path.write_text(text)
    return path


def notifiers(path: Path) -> tuple[Notifier, ...]:
    return config.load(path).definitions["accounts"].notify


def test_a_notifier_has_events_and_keyword_arguments(tmp_path: Path) -> None:
    given = '[{notifier: pkg.X, events: [failed, failed, debt], with: {conn_id: c, text: "{{x}}"}}]'
    assert notifiers(with_notify(tmp_path, given)) == (
        Notifier("pkg.X", (Event.FAILED, Event.DEBT), {"conn_id": "c", "text": "{{x}}"}),
    )


def test_unless_said_otherwise_it_is_told_of_everything(tmp_path: Path) -> None:
    assert notifiers(with_notify(tmp_path, "[{notifier: email}]")) == (
        Notifier("email", tuple(Event), {}),
    )


@pytest.mark.parametrize(
    ("own", "paths"), [("[]", []), ("[{notifier: a.B}]", ["a.B"]), (None, ["d.D"])]
)
def test_a_rollout_inherits_or_replaces_the_notifiers_of_the_file(
    tmp_path: Path, own: str | None, paths: list[str]
) -> None:
    path = with_notify(tmp_path, own or "[]", defaults="[{notifier: d.D}]")
    if own is None:
        path.write_text(path.read_text().replace("    notify: []\n", ""))
    assert [notifier.path for notifier in notifiers(path)] == paths


@pytest.mark.parametrize(
    ("notify", "problem"),
    [
        ("[{}]", "[0].notifier: missing: set it"),
        ("[{notifier: a-b.C}]", "[0].notifier: a-b.C is no import path: write one such as "
         "package.module.SomeNotifier"),
        ("[{notifier: slak}]", "[0].notifier: 'slak' is neither an import path nor a short name, "
         "did you mean 'slack'?"),
        ("[{notifier: a.B, events: [fail]}]", "[0].events[0]: fail is not one of started, waiting, "
         "graduated, failed, rolled_back, bypassed, debt, finished, did you mean 'failed'?"),
        ("[{notifier: a.B, events: []}]", "[0].events: is empty: name at least one event"),
        ("[{notifier: a.B, wiht: {}}]", "[0].wiht: unknown key, did you mean 'with'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, notify: str, problem: str) -> None:
    path = with_notify(tmp_path, notify)
    line = path.read_text().splitlines().index(f"    notify: {notify}") + 1
    with pytest.raises(ConfigError) as error:
        config.load(path)
    assert error.value.problems == [f"{path}:{line}: rollouts.accounts.notify{problem}"]


@pytest.mark.parametrize(
    "options",
    [
        "token: hunter2",
        "slack_webhook_token: hunter2",
        "webhook_url: hunter2",
        "smtp_password: hunter2",
        "clientSecret: hunter2",
        "integration_key: hunter2",
        "API_KEY: hunter2",
        "headers: {Authorization: hunter2}",
        "blocks: [{a: {credentials: hunter2}}]",
        'text: "https://hooks.slack.com/services/hunter2"',
        'url: "https://ann:hunter2@example.com/"',
        'to: ["https://example.com/webhook/hunter2"]',
    ],
)
def test_a_secret_is_refused_and_not_repeated(tmp_path: Path, options: str) -> None:
    path = with_notify(tmp_path, f"[{{notifier: a.B, with: {{{options}}}}}]")
    with pytest.raises(ConfigError) as error:
        config.load(path)
    (problem,) = error.value.problems
    assert "put it into an Airflow connection, and name that here" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "options",
    [
        "slack_webhook_conn_id: hook",
        "slack_conn_id: slack",
        'text: "{{ message }} {{ link }}"',
        'text: "see https://airflow.example/dags"',
        "keys: 1",
        "auth_type: basic",
    ],
)
def test_what_is_no_secret_is_let_pass(tmp_path: Path, options: str) -> None:
    assert len(notifiers(with_notify(tmp_path, f"[{{notifier: a.B, with: {{{options}}}}}]"))) == 1


def test_validate_names_a_notifier_that_cannot_be_used_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = "[{notifier: tests.notifiers.Keeps}, {notifier: tests.notifiers.Missing}]"
    path = with_notify(tmp_path, own)
    assert main(["validate", str(path)]) == 1
    line = path.read_text().splitlines().index(f"    notify: {own}") + 1
    assert capsys.readouterr().err == (
        f"{path}:{line}: rollouts.accounts.notify[1].notifier: tests.notifiers.Missing cannot be "
        "imported: module 'tests.notifiers' has no attribute 'Missing': correct the path, or "
        "install the package that has it\n"
    )


def test_validate_finds_the_line_of_an_inherited_notifier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = with_notify(tmp_path, "[]", defaults="[{notifier: pathlib.Path}]")
    path.write_text(path.read_text().replace("    notify: []\n", ""))
    assert main(["validate", str(path)]) == 1
    assert f"{path}:2: defaults.notify[0].notifier: pathlib.Path is no" in (capsys.readouterr().err)


def test_no_notifier_is_imported_while_a_dag_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "loud_notifier.py").write_text("raise SystemExit('imported')\n")
    path = with_notify(tmp_path, "[{notifier: loud_notifier.Loud}]")
    code = (
        "import sys; from phased_rollout.dag_factory import build_dags; build_dags(); "
        "print('loud_notifier' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={
            "AIRFLOW_HOME": str(tmp_path),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "plugins"), str(tmp_path)]),
            "PHASED_ROLLOUT_CONFIG": str(path),
        },
    )
    assert done.stdout.splitlines()[-1] == "False"
