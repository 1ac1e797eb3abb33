"""The role templates allow what the code asks for, and no more."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cfnlint.api import lint_all

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "docs" / "roles"
CODE = ROOT / "plugins" / "phased_rollout"
PREFIX = {"resourcegroupstaggingapi": "tag"}


class _Loader(yaml.SafeLoader):
    """YAML with the short intrinsics, as their bare values."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, node: node.value)


def statements(name: str) -> list[dict[str, Any]]:
    document = yaml.load((ROLES / name).read_text(), Loader=_Loader)  # noqa: S506  # a SafeLoader
    (role,) = document["Resources"].values()
    return [s for p in role["Properties"]["Policies"] for s in p["PolicyDocument"]["Statement"]]


def allowed(name: str) -> set[str]:
    found = [s["Action"] for s in statements(name)]
    return {each for action in found for each in ([action] if isinstance(action, str) else action)}


def asked(*files: Path) -> Iterator[str]:
    """Give the action of every call by an account's hook in these files."""
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("call", "pages")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            given = {
                k.arg: k.value.value for k in node.keywords if isinstance(k.value, ast.Constant)
            }
            service = given.get("service", "cloudformation")
            operation = "".join(word.title() for word in str(node.args[0].value).split("_"))
            yield f"{PREFIX.get(str(service), service)}:{operation}"


@pytest.mark.parametrize("name", ["aws-deploy.yaml", "aws-read.yaml"])
def test_a_role_is_a_template_that_cloudformation_takes(name: str) -> None:
    found = lint_all((ROLES / name).read_text())
    assert [str(match) for match in found if not match.rule.id.startswith("I")] == []


def test_the_deploy_role_allows_the_calls_of_the_code_and_passing_one_role() -> None:
    calls = set(asked(*(CODE / "substrates" / "cloudformation").glob("*.py")))
    of_stacks = {call for call in calls if call.startswith("cloudformation:")}
    assert allowed("aws-deploy.yaml") == of_stacks | {"iam:PassRole"}
    assert "*" not in [s["Resource"] for s in statements("aws-deploy.yaml")]


def test_the_reading_role_allows_the_calls_of_the_signals() -> None:
    calls = set(asked(CODE / "health" / "cloudwatch_alarms.py"))
    assert calls == {"cloudwatch:DescribeAlarms", "tag:GetResources"}
    assert allowed("aws-read.yaml") == calls | {"cloudwatch:GetMetricData"}


@pytest.mark.parametrize("name", ["aws-deploy.yaml", "aws-read.yaml"])
def test_a_role_is_assumed_by_one_role_with_its_external_id(name: str) -> None:
    document = yaml.load((ROLES / name).read_text(), Loader=_Loader)  # noqa: S506  # a SafeLoader
    (role,) = document["Resources"].values()
    (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": "ExternalId"}}
    assert trust["Principal"]["AWS"] in ("Deployer", "Judge")
