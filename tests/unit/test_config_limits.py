"""What channels.yaml says about which changes may be rolled out at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from phased_rollout.errors import ConfigError
from tests.unit.test_config import changed, load

ROLE = "      role: phased-rollout\n"


def problem_of(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "channels.yaml", text)
    [problem] = caught.value.problems
    return problem.removeprefix(f"{tmp_path}/channels.yaml:")


def test_rules_of_cfn_lint_may_be_ignored(tmp_path: Path) -> None:
    text = changed(ROLE, f"{ROLE}      lint: {{ignore: [E3002, W2]}}\n")
    definition = load(tmp_path / "channels.yaml", text).definitions["accounts"]
    assert definition.substrate.options["lint"] == {"ignore": ["E3002", "W2"]}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            "{ignore: [3002]}",
            '.ignore[0]: 3002 is read by YAML as a number: quote it: "3002"',
        ),
        (
            "{ignore: [E3002x]}",
            ".ignore[0]: E3002x is no rule of cfn-lint: write one such as E3002, or E30 for all "
            "that begin so",
        ),
        ("{ignore: []}", ".ignore: is empty: name the rules, or remove the key"),
        ("{}", ".ignore: missing: set it"),
        ("{ignroe: [E3002], ignore: [E1]}", ".ignroe: unknown key, did you mean 'ignore'?"),
        ("", ": has no value: give it one, or remove the key"),
    ],
)
def test_what_is_no_rule_of_cfn_lint_is_refused(tmp_path: Path, written: str, problem: str) -> None:
    text = changed(ROLE, f"{ROLE}      lint: {written}\n")
    assert problem_of(tmp_path, text) == f"11: rollouts.accounts.substrate.lint{problem}"


@pytest.mark.parametrize(
    ("defaults", "rollout", "meant"),
    [("", "", None), ("max_destructive: 4, ", "", 4), ("max_destructive: 4, ", "0", 0)],
)
def test_a_rollout_caps_what_may_be_destroyed_or_takes_over_the_cap_of_the_file(
    tmp_path: Path, defaults: str, rollout: str, meant: int | None
) -> None:
    own = f"    max_destructive: {rollout}\n    signals:" if rollout else "    signals:"
    text = changed("    signals:", own).replace("{soak: 5s}", f"{{{defaults}soak: 5s}}")
    definition = load(tmp_path / "channels.yaml", text).definitions["accounts"]
    assert definition.max_destructive == meant


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("-1", "must be at least 0, not -1"),
        ("none", "must be a whole number, not none"),
        ("", "has no value: give it one, or remove the key"),
    ],
)
def test_what_is_no_cap_is_refused(tmp_path: Path, written: str, problem: str) -> None:
    text = changed("    signals:", f"    max_destructive: {written}\n    signals:")
    assert problem_of(tmp_path, text) == f"13: rollouts.accounts.max_destructive: {problem}"


@pytest.mark.parametrize(
    "written", ["changes/new", "/srv/new", "file:///srv/new", "s3://store@bucket/new"]
)
def test_a_change_may_lie_in_a_folder_or_in_object_storage(tmp_path: Path, written: str) -> None:
    text = changed("    signals:", f"    change: {written}\n    signals:")
    definition = load(tmp_path / "channels.yaml", text).definitions["accounts"]
    assert definition.change == written


def test_a_change_without_a_connection_is_refused_and_what_may_be_secret_is_not_repeated(
    tmp_path: Path,
) -> None:
    text = changed("    signals:", "    change: s3://key:secret@bucket/new\n    signals:")
    assert problem_of(tmp_path, text) == (
        "13: rollouts.accounts.change: is no place of a change: write a folder, or a URL with the "
        "id of the Airflow connection that may read it and nothing secret, such as "
        "s3://connection@bucket/prefix"
    )
