"""What channels.yaml says of likeness: traits of targets, those that count, and what follows."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from phased_rollout import adapters, config
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import Definition
from phased_rollout.model.untested import Untested

ACCOUNTS = """\
version: 1
defaults: {soak: 5s, gate: timer}
rollouts:
  accounts:
    substrate: {kind: cloudformation, connection: aws, role: r, stack: s, region: eu-central-1}
    channels:
      - name: playground
        targets: [{name: one, account: "000000000001"}]
      - name: production
        targets: [{name: two, account: "000000000002"}]
"""
CLUSTERS = """\
version: 1
defaults: {soak: 5s, gate: timer}
rollouts:
  clusters:
    substrate: {kind: kubernetes, kubeconfig: /etc/kube, record: app}
    channels:
      - {name: playground, targets: [{name: one, context: one, traits: {version: "1.33"}}]}
      - {name: production, targets: [{name: two, context: two, traits: {version: "1.32"}}]}
"""
OTHERS = """\
version: 1
defaults: {soak: 5s, gate: timer}
rollouts:
  folders:
    substrate: {kind: folders}
    channels:
      - {name: playground, targets: [{name: one, path: /one, traits: {size: small}}]}
      - {name: production, targets: [{name: two, path: /two, traits: {size: large}}]}
"""
SUBSTRATE = "    substrate: {kind: cloudformation"

Read = Callable[..., Definition]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a file with one thing written otherwise."""

    def changed(text: str, old: str = "", new: str = "") -> Definition:
        assert old in text
        file = tmp_path / "channels.yaml"
        file.write_text(text.replace(old, new, 1))
        return next(iter(config.load(file).definitions.values()))

    return changed


def problems(read: Read, *given: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(*given)
    return [problem.partition("channels.yaml:")[2] for problem in error.value.problems]


@pytest.fixture
def folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another package have registered a substrate."""
    entry = EntryPoint("folders", "acme:Folders", adapters.SUBSTRATES)
    monkeypatch.setattr(adapters, "entry_points", lambda **_: [entry])
    adapters.installed.cache_clear()


def told(definition: Definition) -> list[Any]:
    return [(t.address, t.traits) for c in definition.channels for t in c.targets]


def test_what_is_untested_only_warns_unless_the_file_says_more(read: Read) -> None:
    definition = read(ACCOUNTS)
    assert (definition.untested, definition.compare_traits) == (Untested.WARN, None)


def test_a_rollout_says_so_itself_or_inherits_it(read: Read) -> None:
    inherited = read(ACCOUNTS, "soak: 5s", "soak: 5s, untested: block, compare_traits: [size]")
    assert (inherited.untested, inherited.compare_traits) == (Untested.BLOCK, ("size",))
    own = ACCOUNTS.replace("soak: 5s", "soak: 5s, untested: block, compare_traits: [size]")
    definition = read(own, SUBSTRATE, f"    untested: ask\n    compare_traits: []\n{SUBSTRATE}")
    assert (definition.untested, definition.compare_traits) == (Untested.ASK, ())


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        ("untested: refuse", "refuse is not one of warn, ask, block"),
        ("untested: blok", "blok is not one of warn, ask, block, did you mean 'block'?"),
        ("untested:", "has no value: give it one, or remove the key"),
        ("compare_traits:", "has no value: give it one, or remove the key"),
    ],
)
def test_a_policy_that_is_none_is_refused(read: Read, new: str, problem: str) -> None:
    [found] = problems(read, ACCOUNTS, SUBSTRATE, f"    {new}\n{SUBSTRATE}")
    assert found == f"5: rollouts.accounts.{new.partition(':')[0]}: {problem}"


def test_a_target_of_each_kind_may_have_traits_and_they_are_no_part_of_its_address(
    read: Read, folders: None
) -> None:
    account = 'account: "000000000002"'
    assert told(read(ACCOUNTS, account, f"{account}, traits: {{engine: aurora}}"))[1] == (
        {"account": "000000000002", "region": "eu-central-1"},
        {"engine": "aurora"},
    )
    assert told(read(CLUSTERS))[1] == ({"context": "two"}, {"version": "1.32"})
    assert told(read(OTHERS))[1] == ({"path": "/two"}, {"size": "large"})


def test_two_targets_of_another_kind_at_one_address_are_refused_whatever_their_traits(
    read: Read, folders: None
) -> None:
    [found] = problems(read, OTHERS, "path: /two", "path: /one")
    assert "this target is there already" in found


@pytest.mark.parametrize(
    ("traits", "problem"),
    [
        ("{}", "is empty: name at least one trait"),
        ("", "has no value: give it one, or remove the key"),
        ("{version: 1.33}", '1.33 is read by YAML as a number: quote it: "1.33"'),
    ],
)
def test_traits_are_names_with_texts(read: Read, traits: str, problem: str) -> None:
    found = problems(read, CLUSTERS, 'traits: {version: "1.33"}', f"traits: {traits}")
    assert any(problem in each for each in found), found


ORGANIZATION = f'    inventory: {{kind: organizations, account: "999999999999"}}\n{SUBSTRATE}'


@pytest.mark.parametrize(
    ("names", "read_tags"), [("region, partition, ou", False), ("region, size", True)]
)
def test_the_tags_of_accounts_are_read_when_one_is_compared(
    read: Read, names: str, *, read_tags: bool
) -> None:
    text = ACCOUNTS.replace("soak: 5s", f"soak: 5s, compare_traits: [{names}]")
    inventory = read(text, SUBSTRATE, ORGANIZATION).inventory
    assert inventory is not None
    assert inventory.source.options["tags"] is read_tags
