"""The command line about targets that are in several regions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from phased_rollout.cli import main

EXAMPLE = Path(__file__).parents[2] / "include/examples/regions/channels.yaml"


def shown(asked: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["show", asked, "--config", str(EXAMPLE), "--json"]) == 0
    held = json.loads(capsys.readouterr().out)["held"]
    return [f"{one['channel']}: {one['target']} {one['address']['region']}" for one in held]


def test_a_target_is_shown_in_its_region_by_any_of_its_names(
    capsys: pytest.CaptureFixture[str],
) -> None:
    small = "small-production: shop-eu-central-1 eu-central-1"
    production = "production: shop-us-east-1 us-east-1"
    assert shown("shop-us-east-1", capsys) == [production]
    assert shown("shop", capsys) == [small, production]
    assert shown("222222222301", capsys) == [small, production]
    assert shown("us-east-1", capsys) == [
        "dev: dev-us-east-1 us-east-1",
        "staging: staging-us-east-1 us-east-1",
        production,
        "production: billing-us-east-1 us-east-1",
    ]


def test_validate_says_in_how_many_regions_the_targets_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["validate", str(EXAMPLE)]) == 0
    assert "account_regions (8 targets in 2 regions)" in capsys.readouterr().out


def test_a_plan_names_the_region_of_each_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "account_regions", "--config", str(EXAMPLE), "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [[target["name"] for target in c["targets"]] for c in plan["channels"]] == [
        ["dev-eu-central-1", "dev-us-east-1"],
        ["staging-eu-central-1", "staging-us-east-1"],
        ["shop-eu-central-1"],
        ["shop-us-east-1", "billing-eu-central-1", "billing-us-east-1"],
    ]
