"""A registry of targets in a file: what it says, and that a slip is never an empty list."""

from __future__ import annotations

from pathlib import Path

import pytest

from phased_rollout import inventory
from phased_rollout.errors import RefusedError
from phased_rollout.model.definition import AdapterSpec
from phased_rollout.model.found import Found

GOOD = """\
targets:
  - {name: eu-1, address: {context: eu-1}, labels: {tier: canary}}
  - {name: eu-2, address: {context: eu-2}, state: draining, ou: [europe]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "clusters.yaml"


def listed(file: Path, text: str) -> list[Found]:
    file.write_text(text)
    return list(inventory.build(AdapterSpec("file", {"path": str(file)})).list())


def test_targets_are_found_with_all_that_the_file_says(file: Path) -> None:
    assert listed(file, GOOD) == [
        Found("eu-1", {"context": "eu-1"}, labels={"tier": "canary"}),
        Found("eu-2", {"context": "eu-2"}, state="DRAINING", ou=("europe",)),
    ]


def test_json_is_read_too(tmp_path: Path) -> None:
    text = '{"targets": [{"name": "a", "address": {"context": "c"}, "state": "active"}]}'
    assert listed(tmp_path / "clusters.json", text) == [Found("a", {"context": "c"})]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tragets: [{name: a, address: {c: d}}]", "1: targets: missing: set it"),
        ("targets:", "1: targets: has no value: name at least one target"),
        ("targets: []", "1: targets: is empty: name at least one target"),
        ("targets: {}", "1: targets: is empty: name at least one target"),
        ("{}", "1: targets: missing: set it"),
        ("[]", "1: must be a mapping, not a list"),
        ("", "1: the file is empty: write its settings into it"),
        (GOOD.replace("tier: canary", "tier: yes"),
         '2: targets[0].labels.tier: yes is read by YAML as the boolean true: quote it: "yes"'),
        (GOOD.replace("labels", "lables"),
         "2: targets[0].lables: unknown key, did you mean 'labels'?"),
        (GOOD.replace("address: {context: eu-2}", "address: {}"),
         "3: targets[1].address: is empty: say where the target is"),
        (GOOD.replace("name: eu-2", "name: a/b"), "3: targets[1].name: a/b cannot name a target: "
         "use letters, digits, '_', '-' and '.', at most 100"),
    ],
)  # fmt: skip
def test_a_slip_is_told_with_its_line_and_is_never_an_empty_list(
    file: Path, text: str, problem: str
) -> None:
    with pytest.raises(RefusedError) as error:
        listed(file, text)
    assert f"{file}:{problem}" in str(error.value).splitlines()


def test_a_file_that_is_not_there_is_an_error(file: Path) -> None:
    with pytest.raises(RefusedError, match="no such file"):
        inventory.build(AdapterSpec("file", {"path": str(file)})).list()
