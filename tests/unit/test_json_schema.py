"""One schema: an editor refuses what the product refuses, as both come from the same models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from phased_rollout import config
from phased_rollout.config.json_schema import as_text, json_schema
from phased_rollout.errors import ConfigError
from tests.unit.test_config import GOOD

INCLUDE = Path(__file__).parents[2] / "include"
COMMAND = "python -m phased_rollout.config.json_schema > include/channels.schema.json"


def accepts(text: str) -> bool:
    found: Any = yaml.safe_load(text)
    return jsonschema.Draft202012Validator(json_schema()).is_valid(found)


def test_the_file_beside_channels_yaml_is_the_schema_of_the_code() -> None:
    assert (INCLUDE / "channels.schema.json").read_text() == as_text(), f"make it anew: {COMMAND}"


def test_channels_yaml_names_its_schema_for_editors() -> None:
    first = (INCLUDE / "channels.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=channels.schema.json"


def test_what_the_product_takes_the_schema_takes() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert accepts(GOOD)
    assert accepts((INCLUDE / "channels.yaml").read_text())


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("version: 1", "version: 2"),
        ("soak: 1h30m", "soka: 1h30m"),
        ("soak: 1h30m", "soak: 90 minutes"),
        ("soak: 1h30m", "soak: 90"),
        ("soak: 1h30m", "soak: null"),
        ("soak: 1h30m", 'soak: ""'),
        ("gate: [health, approval]", "gate: [health, aproval]"),
        ("gate: [health, approval]", "gate: []"),
        ("gate: [health, approval]", "max_failed: -1"),
        ("gate: [health, approval]", "waves: {concurrency: loose}"),
        ('account: "000000000001"', "account: 1"),
        ('account: "000000000001"', 'account: "0001"'),
        ("region: us-east-1}", "region: Ohio}"),
        ("name: playground-1, ", ""),
        ("name: playground-1,", "name: play/ground,"),
        ("stack: baseline", "stacks: baseline"),
        ("connection: aws\n", "connection: ''\n"),
        ("prefix: baseline-", "prefiks: baseline-"),
        ("schedule:", "change: null\n    schedule:"),
        ("  accounts:", "  'my accounts':"),
        ("- name: playground\n", "- name: play ground\n"),
    ],
)
def test_what_the_schema_refuses_the_product_refuses_too(
    tmp_path: Path, right: str, wrong: str
) -> None:
    assert right in GOOD
    text = GOOD.replace(right, wrong, 1)
    (tmp_path / "channels.yaml").write_text(text)
    with pytest.raises(ConfigError):
        config.load(tmp_path / "channels.yaml")
    assert not accepts(text)


def test_a_kind_of_another_package_is_left_to_that_package() -> None:
    other = GOOD.replace("kind: cloudwatch_alarms, prefix: baseline-", "kind: pager, team: blue")
    assert accepts(other)
