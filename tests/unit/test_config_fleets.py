"""Fleets in channels.yaml."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from phased_rollout.config import load
from phased_rollout.config.addresses import problem_of
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import AdapterSpec

FILE = """\
version: 1
defaults: {soak: 5s}
rollouts:
  fleets:
    substrate:
      kind: ssm
      connection: aws
      role: rollout
      region: eu-central-1
      record: web
      reports: {document: AWS-RunShellScript, version: "1", parameters: {commands: cat /version}}
      max_failed_hosts: 5%
    signals: [{kind: cloudwatch_alarms, prefix: web}]
    channels:
      - name: canary
        targets:
          - {name: canary, account: "111111111111", tags: {fleet: web, slice: canary}}
      - name: main
        targets:
          - {name: main, account: "111111111111", region: eu-west-1, tags: {fleet: web}}
"""


def loaded(tmp_path: Path, text: str = FILE):  # a Config
    (tmp_path / "channels.yaml").write_text(text)
    return load(tmp_path / "channels.yaml")


def problems(tmp_path: Path, old: str, new: str) -> str:
    assert old in FILE
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, FILE.replace(old, new))
    return str(raised.value)


def test_a_slice_is_an_account_a_region_and_tags(tmp_path: Path) -> None:
    found = loaded(tmp_path).definitions["fleets"]
    assert found.substrate == AdapterSpec(
        "ssm",
        {
            "connection": "aws",
            "role": "rollout",
            "region": "eu-central-1",
            "record": "web",
            "reports": {
                "document": "AWS-RunShellScript",
                "version": "1",
                "parameters": {"commands": ["cat /version"]},
            },
            "max_failed_hosts": "5%",
        },
    )
    where = {"account": "111111111111", "tag:fleet": "web"}
    assert [dict(t.address) for c in found.channels for t in c.targets] == [
        {**where, "region": "eu-central-1", "tag:slice": "canary"},
        {**where, "region": "eu-west-1"},
    ]
    assert found.channels[0].signals[0].options["role"] == "rollout"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('version: "1", p', 'version: $LATEST, p', "channels.yaml:11: .*LATEST is no version that"),
        ('version: "1", p', "version: 1, p", "channels.yaml:11: .*quote it"),
        ("max_failed_hosts: 5%", "max_failed_hosts: 50%", "channels.yaml:12: .*half of the hosts"),
        ("max_failed_hosts: 5%", "max_failed_hosts: few", "channels.yaml:12: .*is no number"),
        ("      region: eu-central-1\n", "", r"channels.yaml:16: .*region: missing"),
        ("tags: {fleet: web, slice: canary}", "tags: {}", "channels.yaml:17: .*at least one tag"),
        ("tags: {fleet: web, slice: canary}", "tag: web", "yaml:17: .*did you mean 'tags'"),
        ("region: eu-west-1, tags: {fleet: web}", "tags: {slice: canary, fleet: web}",
         "channels.yaml:20: .*this slice is there already"),
        ("parameters: {commands: cat", "parameters: {com-mands: cat", "cannot name a parameter"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert re.search(said, problems(tmp_path, old, new)), problems(tmp_path, old, new)


def test_a_record_is_of_one_definition(tmp_path: Path) -> None:
    second = (
        FILE[FILE.index("  fleets:") :].replace("fleets:", "more:").replace("fleet: w", "fleet: x")
    )
    with pytest.raises(ConfigError, match="the record web is there already"):
        loaded(tmp_path, FILE + second)


def test_slices_that_an_inventory_knows_are_judged_alike() -> None:
    address = {"account": "111111111111", "region": "eu-west-1", "tag:fleet": "web"}
    assert problem_of("a", address, substrate="ssm") == ""
    assert "region" in problem_of(
        "a", {k: v for k, v in address.items() if k != "region"}, substrate="ssm"
    )
    assert "tag" in problem_of(
        "a", {k: v for k, v in address.items() if k != "tag:fleet"}, substrate="ssm"
    )
