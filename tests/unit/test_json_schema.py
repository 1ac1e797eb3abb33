"""One schema: an editor refuses what the product refuses, as both come from the same models."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from phased_rollout import config
from phased_rollout.adapters import BUILT_IN
from phased_rollout.config.json_schema import KINDS, as_text, json_schema
from phased_rollout.config.schema import File
from phased_rollout.errors import ConfigError
from tests.unit.test_config import GOOD

INCLUDE = Path(__file__).parents[2] / "include"
PAGES = [INCLUDE.parent / "README.md", *sorted((INCLUDE.parent / "docs").glob("*.md"))]
EVERYTHING = """\
version: 1
defaults:
  soak: 5s
  max_destructive: 3
  untested: ask
  compare_traits: [region, size]
  authorized_for: 7d
  rollback: {scope: all_channels, waves: {size: 5}, pause_after: 2}
  emergency: {soak: 1m, owed_within: 2d, access: {Chiefs: operate}}
  approval: {approvers: [ann], deadline: 1d, valid_for: 2d}
  freeze:
    - {name: weekend, reason: rest, rrule: "FREQ=WEEKLY;BYDAY=FR", start: "16:00", duration: 62h}
policies:
  standard: {soak: 1d, channels: {production: {soak: 7d}}}
rollouts:
  accounts:
    policy: standard
    policies_allowed: [standard]
    pause_after_failures: 3
    stuck_after: 30d
    four_eyes: false
    access: {Ops: operate, Audit: see}
    tags: [core]
    retired: [old-1]
    inventory:
      kind: organizations
      account: "000000000009"
      unlisted: block
      outside: [sandbox]
    substrate:
      kind: cloudformation
      connection: aws
      role: phased-rollout
      region: eu-central-1
      bucket: "templates-{account}-{region}"
      service_role: deployer
      capabilities: [CAPABILITY_IAM]
      lint: {ignore: [W3005]}
      via: [{role: "arn:aws:iam::111122223333:role/hub", external_id: hub-7}]
      stacks:
        - {name: network, template: network.yaml}
        - {name: app, template: app.yaml}
    signals: [{kind: cloudwatch_alarms, tag: {rollout: watch}}]
    channels:
      - name: playground
        targets:
          - name: playground-1
            account: "000000000001"
            hold: {reason: broken, until: "2099-01-31"}
            traits: {size: large}
          - {name: playground-2, account: "000000000002"}
          - {name: playground-3, account: "000000000003", regions: [eu-west-1, us-east-1]}
      - name: production
        regions: [eu-west-1, us-east-1]
        select: {ou: [/production], labels: {tier: gold}, at_least: 2}
        freeze: []
"""
"""Every part of the file at least once."""
COMMAND = "python -m phased_rollout.config.json_schema > include/channels.schema.json"


def accepts(text: str) -> bool:
    found: Any = yaml.safe_load(text)
    return jsonschema.Draft202012Validator(json_schema()).is_valid(found)


def takes(folder: Path, text: str) -> bool:
    (folder / "channels.yaml").write_text(text)
    config.load(folder / "channels.yaml")
    return True


def test_the_file_beside_channels_yaml_is_the_schema_of_the_code() -> None:
    assert (INCLUDE / "channels.schema.json").read_text() == as_text(), f"make it anew: {COMMAND}"


def test_channels_yaml_names_its_schema_for_editors() -> None:
    first = (INCLUDE / "channels.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=channels.schema.json"


def test_what_the_product_takes_the_schema_takes() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert accepts(GOOD)
    assert accepts((INCLUDE / "channels.yaml").read_text())


def test_every_kind_that_is_built_in_has_its_shape_in_the_schema() -> None:
    assert {kind for kinds in BUILT_IN.values() for kind in kinds} == set(KINDS.values())


def test_every_part_of_the_file_is_known_to_both(tmp_path: Path) -> None:
    assert accepts(EVERYTHING)
    assert takes(tmp_path, EVERYTHING)


def blocks_of_the_pages() -> Iterator[dict[str, Any]]:
    """Give the YAML of README and docs: indented blocks that begin with a key."""
    text = "\n".join(page.read_text() for page in PAGES)
    for block in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE):
        if re.match(r"    [a-z_]+:(\n| [\[{])", block):
            yield yaml.safe_load(textwrap.dedent(block))


@pytest.mark.parametrize("block", list(blocks_of_the_pages()), ids="-".join)
def test_what_the_pages_show_is_taken_by_both(tmp_path: Path, block: dict[str, Any]) -> None:
    whole: dict[str, Any] = yaml.safe_load(GOOD)
    for key, value in block.items():
        if key == "rollouts":
            whole["rollouts"]["accounts"] |= next(iter(value.values()))
        elif key == "substrate":
            whole["rollouts"]["accounts"][key] |= value
        else:
            (whole if key in File.model_fields else whole["defaults"])[key] = value
    assert accepts(yaml.safe_dump(whole))
    assert takes(tmp_path, yaml.safe_dump(whole))


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
        ('targets:\n          - {name: playground-1, account: "000000000001"}', "targets: []"),
        ('targets:\n          - {name: playground-1, account: "000000000001"}', "targets:"),
        ('        targets:\n          - {name: playground-1, account: "000000000001"}\n', ""),
        ("rollouts:", "policies: {light: {soak: 1d, gates: health}}\nrollouts:"),
        ("timezone: Europe/Berlin", "freeze: []"),
        ("timezone: Europe/Berlin", "policies_allowed: []"),
        ("timezone: Europe/Berlin", "access: {Ops: opperate}"),
        ("timezone: Europe/Berlin", "inventory: {kind: file, pth: accounts.yaml}"),
        ("timezone: Europe/Berlin", 'inventory: {kind: organizations, account: "1"}'),
        ("timezone: Europe/Berlin", "retired: one"),
        ("timezone: Europe/Berlin", 'four_eyes: "no"'),
        ("timezone: Europe/Berlin", "emergency: {soaks: 1m}"),
        ("timezone: Europe/Berlin", "rollback: {pause_after: 0}"),
        ("stack: baseline", "stacks: []"),
        ("stack: baseline", "stack: baseline\n      via: [{role: hub}]"),
        ("stack: baseline", "stack: baseline\n      bucket: My_Bucket"),
        ("gate: [health, approval]", "freeze: [{name: weekend}]"),
        ("gate: [health, approval]", "select: {ous: [/production]}"),
    ],
)
def test_what_the_schema_refuses_the_product_refuses_too(
    tmp_path: Path, right: str, wrong: str
) -> None:
    assert right in GOOD
    text = GOOD.replace(right, wrong, 1)
    with pytest.raises(ConfigError):
        takes(tmp_path, text)
    assert not accepts(text)


def test_a_kind_of_another_package_is_left_to_that_package() -> None:
    other = GOOD.replace("kind: cloudwatch_alarms, prefix: baseline-", "kind: pager, team: blue")
    assert accepts(other)
