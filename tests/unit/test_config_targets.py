"""Named, selected and retired targets in channels.yaml: never all of them, never by accident."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from phased_rollout import adapters, config
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import AdapterSpec, Definition, Inventory
from phased_rollout.model.selection import Hold, Select, Unlisted

ORGANIZATIONS = 'inventory: {kind: organizations, account: "999999999999"}'
GOOD = f"""\
version: 1
defaults: {{soak: 5s, gate: timer}}
rollouts:
  accounts:
    substrate: {{kind: cloudformation, connection: aws, role: r, stack: s, region: eu-central-1}}
    {ORGANIZATIONS}
    channels:
      - name: playground
        targets: [{{name: playground-1, account: "000000000001"}}]
      - name: production
        select: {{ou: [Workloads/Prod], at_least: 3}}
"""
NAMED, SELECTED = 'targets: [{name: playground-1, account: "000000000001"}]', "ou: [Workloads/Prod]"
PLAYGROUND, PRODUCTION = "rollouts.accounts.channels[0]", "rollouts.accounts.channels[1]"
INVENTORY = "6: rollouts.accounts.inventory"

Read = Callable[..., Definition]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read the file with one thing written otherwise."""

    def changed(old: str = "", new: str = "") -> Definition:
        assert old in GOOD
        file = tmp_path / "channels.yaml"
        file.write_text(GOOD.replace(old, new, 1))
        return config.load(file).definitions["accounts"]

    return changed


def problems(read: Read, old: str, new: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(old, new)
    return [problem.partition("channels.yaml:")[2] for problem in error.value.problems]


def test_a_selector_is_kept_for_the_plan(read: Read) -> None:
    (playground, production) = read().channels
    assert (playground.select, len(playground.targets)) == (None, 1)
    assert production.select == Select(ou=("Workloads/Prod",), at_least=3)
    assert production.targets == ()


def test_a_selected_target_can_be_on_hold_by_its_name(read: Read) -> None:
    hold = 'hold: {shop-000000000009: {reason: migration, until: "2027-01-31"}}'
    (_, production) = read("at_least: 3", hold).channels
    assert production.select == Select(
        ou=("Workloads/Prod",),
        hold={"shop-000000000009": Hold("migration", date(2027, 1, 31))},
    )


def test_an_inventory_takes_connection_and_region_from_the_substrate_but_not_its_role(
    read: Read,
) -> None:
    options = {"account": "999999999999", "connection": "aws", "region": "eu-central-1"}
    source = AdapterSpec("organizations", {**options, "tags": False})
    assert read().inventory == Inventory(source, address={"region": "eu-central-1"})


def test_tags_are_read_only_for_a_selector_that_asks_for_them(read: Read) -> None:
    inventory = read(SELECTED, "labels: {tier: prod}").inventory
    assert inventory is not None
    assert inventory.source.options["tags"] is True


def test_what_an_inventory_sets_itself_wins_over_the_substrate(read: Read) -> None:
    own = "connection: reader, role: look, unlisted: block, outside: [a], region: us-east-1}"
    inventory = read('"999999999999"}', f'"999999999999", {own}').inventory
    assert inventory is not None
    assert (inventory.unlisted, inventory.outside) == (Unlisted.BLOCK, ("a",))
    assert inventory.source.options == {
        "account": "999999999999",
        "connection": "reader",
        "role": "look",
        "region": "us-east-1",
        "tags": False,
    }


def test_a_registry_file_is_found_beside_the_configuration(read: Read, tmp_path: Path) -> None:
    inventory = read(ORGANIZATIONS, "inventory: {kind: file, path: fleet/../all.yaml}").inventory
    assert inventory is not None
    assert inventory.source == AdapterSpec("file", {"path": str(tmp_path / "all.yaml")})


NONE_NAMED = "missing: name targets, or select them"
FILL = "name at least one target"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('tragets: [{name: a, account: "000000000001"}]', [
            f"8: {PLAYGROUND}.targets: {NONE_NAMED}",
            f"9: {PLAYGROUND}.tragets: unknown key, did you mean 'targets'?",
        ]),
        ("soak: 5s", [f"8: {PLAYGROUND}.targets: {NONE_NAMED}"]),
        ("targets:", [f"9: {PLAYGROUND}.targets: has no value: {FILL}"]),
        ("targets: []", [f"9: {PLAYGROUND}.targets: is empty: {FILL}"]),
        ("targets: {}", [f"9: {PLAYGROUND}.targets: is empty: {FILL}"]),
    ],
    ids=["misspelt", "absent", "null", "empty list", "empty mapping"],
)  # fmt: skip
def test_targets_that_are_not_there_are_an_error(
    read: Read, written: str, problem: list[str]
) -> None:
    assert problems(read, NAMED, written) == problem


WHICH = "say which targets: by ou or labels"
SELECT = f"11: {PRODUCTION}.select"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("selct: {ou: [A]}", [
            f"10: {PRODUCTION}.targets: {NONE_NAMED}",
            f"11: {PRODUCTION}.selct: unknown key, did you mean 'select'?",
        ]),
        ("select:", [f"{SELECT}: has no value: {WHICH}"]),
        ("select: []", [f"{SELECT}: is empty: {WHICH}"]),
        ("select: {}", [f"{SELECT}: is empty: {WHICH}"]),
        ("select: all", [f"{SELECT}: must be a mapping, not all"]),
        ("select: {at_least: 3}", [
            f"{SELECT}: selects nothing: say which targets by ou, by labels, or by both",
        ]),
        ("select: {lables: {a: b}}", [
            f"{SELECT}.lables: unknown key, did you mean 'labels'?",
        ]),
        ("select: {ou: }", [f"{SELECT}.ou: has no value: give it one, or remove the key"]),
        ("select: {ou: []}", [f"{SELECT}.ou: is empty: name at least one organizational unit"]),
        ("select: {ou: A}", [f"{SELECT}.ou: must be a list, not A"]),
        ("select: {ou: ['']}", [f"{SELECT}.ou[0]: is blank: write something, or remove it"]),
        ("select: {labels: }", [f"{SELECT}.labels: has no value: give it one, or remove the key"]),
        ("select: {labels: {}}", [f"{SELECT}.labels: is empty: name at least one label"]),
        ("select: {labels: {a: }}", [f"{SELECT}.labels.a: must be text, not an empty value"]),
        ("select: {ou: [A], at_least: 0}", [f"{SELECT}.at_least: must be at least 1, not 0"]),
    ],
)  # fmt: skip
def test_a_selector_that_says_nothing_is_an_error_and_never_means_all(
    read: Read, written: str, problem: list[str]
) -> None:
    found = problems(read, "select: {ou: [Workloads/Prod], at_least: 3}", written)
    assert found == problem


def test_a_selector_needs_an_inventory_and_the_region_of_what_it_finds(read: Read) -> None:
    assert problems(read, f"    {ORGANIZATIONS}\n", "") == [
        f"10: {PRODUCTION}.select: there is no inventory to select from: add one to the rollout"
    ]
    assert problems(read, ", region: eu-central-1}", "}") == [
        "5: rollouts.accounts.substrate.region: missing: set the region of the accounts that are "
        "selected",
        f"9: {PLAYGROUND}.targets[0].region: missing: set it here or in the substrate",
    ]


def test_accounts_that_are_selected_have_no_bucket_in_common(read: Read) -> None:
    assert problems(read, "stack: s,", "stack: s, bucket: templates,") == [
        "5: rollouts.accounts.substrate.bucket: each of the accounts needs one of its own: write "
        "{account} in its name"
    ]
    read("stack: s,", "stack: s, bucket: 'templates-{account}',")


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("inventory:", "has no value: give it one, or remove the key"),
        ("inventory: {kind: organisations}", ".kind: organisations is no kind that is installed, "
         "did you mean 'organizations'?"),
        ("inventory: {kind: organizations}", ".account: missing: set it"),
        ('inventory: {kind: file, path: a, unlisted: fail}',
         ".unlisted: fail is not one of warn, block"),
        ("inventory: {kind: file, pth: a}", ".pth: unknown key, did you mean 'path'?"),
        ("inventory: {kind: file, path: }", ".path: must be text, not an empty value"),
        ("inventory: {kind: http, connection: c, path: 'https://a/b', name: n, address: {a: b}}",
         ".path: https://a/b names a host: write the path only, the connection has the host"),
        ("inventory: {kind: http, connection: c, path: b, name: n, address: {}}",
         ".address: is empty: say where the parts of an address are"),
        ("inventory: {kind: http, connection: c, path: b, name: n.., address: {a: b}}",
         ".name: n.. is no path into an answer: write keys with dots between them, such as "
         "metadata.name"),
        ("inventory: {kind: http, connection: c, path: b, name: n, address: {a: b}, state: s}",
         ": set state and active together: where it is, and what means active"),
    ],
)  # fmt: skip
def test_an_inventory_that_cannot_be_asked_is_an_error(
    read: Read, written: str, problem: str
) -> None:
    found = problems(read, ORGANIZATIONS, written)
    joined = problem if problem.startswith((".", ":")) else f": {problem}"
    assert f"{INVENTORY}{joined}" in found


def test_a_service_without_organizational_units_cannot_be_asked_for_them(read: Read) -> None:
    http = "inventory: {kind: http, connection: c, path: b, name: n, address: {account: b}}"
    assert problems(read, ORGANIZATIONS, http) == [
        f"{SELECT}.ou: an http inventory knows no organizational units: select by labels"
    ]


def test_a_retired_target_that_is_still_named_is_an_error(read: Read) -> None:
    written = f"retired: [gone, playground-1]\n    {ORGANIZATIONS}"
    assert read(ORGANIZATIONS, f"retired: [gone]\n    {ORGANIZATIONS}").retired == ("gone",)
    assert problems(read, ORGANIZATIONS, written) == [
        "6: rollouts.accounts.retired[1]: 'playground-1' is still there "
        "(channels[0].targets[0], line 10): remove one of the two"
    ]


def test_a_tolerance_is_judged_when_all_targets_are_known(read: Read) -> None:
    both = f"max_failed: 1\n        select: {{{SELECTED}}}\n        {NAMED}"
    assert read(NAMED, both).channels[0].max_failed == 1


def test_an_inventory_of_another_package_judges_its_options_itself(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [EntryPoint("cmdb", "builtins:dict", adapters.INVENTORIES)]
    monkeypatch.setattr(adapters, "entry_points", lambda **_: entries)
    adapters.installed.cache_clear()
    try:
        inventory = read(
            ORGANIZATIONS, "inventory: {kind: cmdb, unlisted: block, sites: [1]}"
        ).inventory
    finally:
        adapters.installed.cache_clear()
    spec, region = AdapterSpec("cmdb", {"sites": [1]}), {"region": "eu-central-1"}
    assert inventory == Inventory(spec, unlisted=Unlisted.BLOCK, address=region)
    assert adapters.load(spec, group=adapters.INVENTORIES) == {"sites": [1]}


def test_a_channel_says_which_channels_it_talks_to_or_leaves_it_to_their_order(read: Read) -> None:
    assert [c.talks_to for c in read().channels] == [None, None]
    talks = read("name: production", "name: production\n        talks_to: [playground, production]")
    assert [c.talks_to for c in talks.channels] == [None, ("playground", "production")]
    nobody = read("name: production", "name: production\n        talks_to: []")
    assert nobody.channels[1].talks_to == ()


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ("[playgroud]", "there is no channel 'playgroud' in this rollout, did you mean "),
        ("[infra]", "there is no channel 'infra' in this rollout: the channels are playground, "),
        ("[playground, playground]", "names 'playground' twice: remove one of the two"),
        ("", "has no value: give it one, or remove the key"),
    ],
)
def test_a_channel_talks_to_channels_that_exist_each_once(
    read: Read, names: str, problem: str
) -> None:
    [found] = problems(read, "name: production", f"name: production\n        talks_to: {names}")
    assert found.startswith(f"11: {PRODUCTION}.talks_to")
    assert problem in found
