"""What channels.yaml means, and what is said when it means nothing."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from phased_rollout import adapters, config
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import (
    AdapterSpec,
    Approval,
    Channel,
    Concurrency,
    Config,
    Definition,
    GateKind,
    OnFailure,
    RollbackScope,
    Target,
    Waves,
)
from phased_rollout.model.selection import Hold

PLUGINS = Path(__file__).parents[2] / "plugins"

GOOD = """\
version: 1
defaults: {soak: 5s}
rollouts:
  accounts:
    schedule: "0 2 * * *"
    timezone: Europe/Berlin
    substrate:
      kind: cloudformation
      connection: aws
      role: phased-rollout
      stack: baseline
      region: eu-central-1
    signals: [{kind: cloudwatch_alarms, prefix: baseline-}]
    channels:
      - name: playground
        targets:
          - {name: playground-1, account: "000000000001"}
      - name: production
        soak: 1h30m
        gate: [health, approval]
        targets:
          - {name: production-1, account: "000000000002"}
          - {name: production-2, account: "000000000003", region: us-east-1}
"""
SUBSTRATE = AdapterSpec(
    "cloudformation",
    {
        "connection": "aws",
        "role": "phased-rollout",
        "stack": "baseline",
        "region": "eu-central-1",
    },
)
SIGNAL = AdapterSpec(
    "cloudwatch_alarms", {"connection": "aws", "role": "phased-rollout", "prefix": "baseline-"}
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "channels.yaml"


def problems_of(file: Path, text: str) -> list[str]:
    """Give the problems without the name of the file: ``LINE: path: what``."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert all(problem.startswith(f"{file}:") for problem in caught.value.problems)
    return [problem.removeprefix(f"{file}:") for problem in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def load(file: Path, text: str) -> Config:
    file.write_text(text, encoding="utf-8")
    return config.load(file)


def test_a_good_file_becomes_the_model_with_every_default_resolved(file: Path) -> None:
    assert load(file, GOOD) == Config(
        source=str(file),
        definitions={
            "accounts": Definition(
                name="accounts",
                schedule="0 2 * * *",
                timezone="Europe/Berlin",
                substrate=SUBSTRATE,
                channels=(
                    Channel(
                        name="playground",
                        soak=timedelta(seconds=5),
                        targets=(
                            Target(
                                "playground-1",
                                {"account": "000000000001", "region": "eu-central-1"},
                            ),
                        ),
                        signals=(SIGNAL,),
                    ),
                    Channel(
                        name="production",
                        soak=timedelta(hours=1, minutes=30),
                        gate=frozenset({GateKind.HEALTH, GateKind.APPROVAL}),
                        targets=(
                            Target(
                                "production-1",
                                {"account": "000000000002", "region": "eu-central-1"},
                            ),
                            Target(
                                "production-2", {"account": "000000000003", "region": "us-east-1"}
                            ),
                        ),
                        signals=(SIGNAL,),
                    ),
                ),
            )
        },
    )


def test_a_channel_inherits_from_its_rollout_and_that_from_the_file(file: Path) -> None:
    text = GOOD.replace(
        "defaults: {soak: 5s}",
        "defaults: {soak: 1d, waves: {size: 5, at_once: 6}, on_failure: hold, decide_within: 2h, "
        "authorize_within: 3h, four_eyes: false, "
        "rollback: {scope: failed_channel, waves: {size: 7}, pause_after: 2}, "
        "approval: {deadline: 4h}, timezone: UTC}",
    ).replace(
        "    signals:",
        "    rollback: {waves: {size: 8}}\n"
        "    defaults: {soak: 2d, waves: {size: 9, concurrency: soft}, "
        "approval: {approvers: [ann, bob]}}\n"
        "    signals:",
    )
    definition = load(file, text).definitions["accounts"]
    approval = Approval(approvers=("ann", "bob"), deadline=timedelta(hours=4))
    waves = Waves(size=9, at_once=6, concurrency=Concurrency.SOFT)
    assert [(c.soak, c.waves, c.approval) for c in definition.channels] == [
        (timedelta(days=2), waves, approval),
        (timedelta(hours=1, minutes=30), waves, approval),
    ]
    assert definition.on_failure is OnFailure.HOLD
    assert definition.decide_within == timedelta(hours=2)
    assert definition.authorize_within == timedelta(hours=3)
    assert not definition.four_eyes
    assert definition.rollback_scope is RollbackScope.FAILED_CHANNEL
    assert (definition.rollback_wave, definition.pause_after) == (8, 2)
    assert definition.timezone == "Europe/Berlin"


def test_a_signal_keeps_what_it_sets_itself_and_takes_the_rest_from_the_substrate(
    file: Path,
) -> None:
    text = changed("prefix: baseline-}", "tag: {watch: 'yes'}, role: reader}")
    text = text.replace("      role:", "      external_id: secret-free\n      role:")
    (playground, _) = load(file, text).definitions["accounts"].channels
    assert playground.signals == (
        AdapterSpec(
            "cloudwatch_alarms",
            {
                "connection": "aws",
                "role": "reader",
                "external_id": "secret-free",
                "tag": {"watch": "yes"},
            },
        ),
    )


def test_signals_of_a_channel_replace_those_of_the_rollout(file: Path) -> None:
    text = changed("gate: [health, approval]", "gate: timer\n        signals: []")
    playground, production = load(file, text).definitions["accounts"].channels
    assert (playground.signals, production.signals) == ((SIGNAL,), ())


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5s", timedelta(seconds=5)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("1h30m", timedelta(minutes=90)),
        ("1d", timedelta(days=1)),
        ("90d", timedelta(days=90)),
    ],
)
def test_durations_read_like_a_person_writes(file: Path, written: str, meant: timedelta) -> None:
    channels = load(file, changed("1h30m", written)).definitions["accounts"].channels
    assert channels[1].soak == meant


@pytest.mark.parametrize("schedule", ['"@daily"', '"*/5 8-18 * * mon-fri"', '"0 0 29 2 *"'])
def test_cron_expressions_and_presets_are_schedules(file: Path, schedule: str) -> None:
    found = load(file, changed('"0 2 * * *"', schedule)).definitions["accounts"]
    assert found.schedule == schedule.strip('"')


def test_a_null_schedule_is_only_by_hand(file: Path) -> None:
    found = load(file, changed('"0 2 * * *"', "null")).definitions["accounts"]
    assert found.schedule is None


def test_merged_mappings_are_defaults_of_the_mapping(file: Path) -> None:
    text = GOOD.replace("name: playground\n", "name: playground\n        <<: &slow {soak: 7d}\n")
    text = text.replace("soak: 1h30m", "<<: [*slow]")
    channels = load(file, text).definitions["accounts"].channels
    assert [c.soak for c in channels] == [timedelta(days=7), timedelta(days=7)]


def test_what_a_mapping_says_itself_wins_over_what_is_merged_into_it(file: Path) -> None:
    text = GOOD.replace("defaults: {soak: 5s}", "defaults: &own {soak: 5s}")
    text = text.replace("soak: 1h30m", "soak: 1h30m\n        <<: *own")
    channels = load(file, text).definitions["accounts"].channels
    assert channels[1].soak == timedelta(hours=1, minutes=30)


SCHEDULE = "rollouts.accounts.schedule"
PLAYGROUND = "rollouts.accounts.channels[0]"
PRODUCTION = "rollouts.accounts.channels[1]"
NO_CRON = 'is no cron expression: write five fields such as "0 2 * * *", or null'
ACCOUNT = f"17: {PLAYGROUND}.targets[0].account"


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("soak: 1h", "soka: 1h", [f"19: {PRODUCTION}.soka: unknown key, did you mean 'soak'?"]),
        (
            "timezone: Europe/Berlin",
            "soak: 5s",
            [
                "6: rollouts.accounts.soak: unknown key: known here are access, "
                "authorize_within, authorized_for, change, channels, compare_traits, "
                "decide_within, defaults, description, emergency, four_eyes, inventory, "
                "max_destructive, notify, on_failure, pause_after_failures, policies_allowed, "
                "policy, retired, rollback, schedule, signals, stuck_after, substrate, tags, "
                "timezone, untested"
            ],
        ),
        ("version: 1\n", "", ["1: version: missing: set it"]),
        ("version: 1", "version: 2", ["1: version: must be 1, not 2"]),
        ("version: 1", "version: '1'", ["1: version: must be 1, not '1'"]),
        ("defaults: {soak: 5s}", "defaults:", [
            "2: defaults: must be a mapping, not an empty value",
            f"15: {PLAYGROUND}.soak: missing: set it here or in defaults",
        ]),
        ("kind: cloudformation", "knid: cloudformation", [
            "7: rollouts.accounts.substrate.kind: missing: set it",
        ]),
    ],
)  # fmt: skip
def test_unknown_misspelt_and_missing_keys(
    file: Path, old: str, new: str, problems: list[str]
) -> None:
    assert problems_of(file, changed(old, new)) == problems


ON_HOLD = '"000000000001", hold: {reason: "in migration", until: "2027-01-31"}'


def test_a_target_on_hold_is_kept_apart(file: Path) -> None:
    text = changed('"000000000003"', '"000000000003", hold: {reason: slow, until: "2027-01-31"}')
    (_, production) = load(file, text).definitions["accounts"].channels
    address = {"account": "000000000003", "region": "us-east-1"}
    hold = Hold("slow", date(2027, 1, 31))
    assert [t.name for t in production.targets] == ["production-1"]
    assert production.on_hold == (Target("production-2", address, hold),)


@pytest.mark.parametrize(
    ("hold", "problem"),
    [
        ("{reason: slow}", "hold.until: missing: set it"),
        ('{until: "2027-01-31"}', "hold.reason: missing: set it"),
        (
            '{reason: slow, until: "2027-02-30"}',
            'hold.until: 2027-02-30 is no day: write one such as "2027-01-31"',
        ),
        (
            "{reason: slow, until: 2027-01-31}",
            "hold.until: YAML may read 2027-01-31 as a date: quote it if it is text",
        ),
    ],
)
def test_a_hold_needs_a_reason_and_a_day(file: Path, hold: str, problem: str) -> None:
    text = changed('"000000000003"', f'"000000000003", hold: {hold}')
    assert [p.partition(".targets[1].")[2] for p in problems_of(file, text)] == [problem]


def test_a_channel_that_is_on_hold_as_a_whole_is_refused(file: Path) -> None:
    problems = problems_of(file, changed('account: "000000000001"', f"account: {ON_HOLD}"))
    assert problems == [
        f"16: {PLAYGROUND}.targets: every target is on hold, which is a channel of nothing: "
        "end a hold"
    ]


def test_a_key_written_twice_names_both_lines(file: Path) -> None:
    assert problems_of(file, changed("soak: 1h30m", "soak: 1h\n        soak: 2h")) == [
        f"20: {PRODUCTION}.soak: set already in line 19: remove one of the two"
    ]


@pytest.mark.parametrize(
    ("account", "problem"),
    [
        ("000000000001", "YAML may read 000000000001 as an octal number: quote it if it is text"),
        ("012345678901", "YAML may read 012345678901 as an octal number: quote it if it is text"),
        (
            "123456789012",
            '123456789012 is read by YAML as a number: quote it: "123456789012"',
        ),
        ("1_2", '1_2 is read by YAML as the number 12: quote it: "1_2"'),
        ("1:30", '1:30 is read by YAML as the number 90: quote it: "1:30"'),
        ("1.5e+3", '1.5e+3 is read by YAML as the number 1500.0: quote it: "1.5e+3"'),
        ("1e11", "1e11 is no account id: write its 12 digits in quotes"),
        ('"12"', "12 is no account id: write its 12 digits in quotes"),
        ('"१२३४५६७८९०१२"', "१२३४५६७८९०१२ is no account id: write its 12 digits in quotes"),
        ("", "must be text, not an empty value"),
        ("[a]", "must be text, not a list"),
    ],
)
def test_an_account_id_that_is_none_or_that_yaml_reads_as_a_number(
    file: Path, account: str, problem: str
) -> None:
    text = changed('account: "000000000001"', f"account: {account}")
    assert problems_of(file, text) == [f"{ACCOUNT}: {problem}"]


@pytest.mark.parametrize(
    ("account", "why"),
    [
        ("2024-01-01", "a date"),
        (".inf", "infinity or no number"),
        (".nan", "infinity or no number"),
        ("0b_", "a number that it cannot hold"),
    ],
)
def test_what_yaml_may_read_as_something_else_is_to_be_quoted(
    file: Path, account: str, why: str
) -> None:
    text = changed('account: "000000000001"', f"account: {account}")
    assert problems_of(file, text) == [
        f"{ACCOUNT}: YAML may read {account} as {why}: quote it if it is text"
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "region: eu-central-1",
            "region: NO",
            '12: rollouts.accounts.substrate.region: NO is read by YAML as the boolean false: '
            'quote it: "NO"',
        ),
        (
            "name: playground\n",
            "name: on\n",
            f'15: {PLAYGROUND}.name: on is read by YAML as the boolean true: quote it: "on"',
        ),
        (
            "stack: baseline",
            "stack: yes",
            "11: rollouts.accounts.substrate.stack: yes is read by YAML as the boolean true: "
            'quote it: "yes"',
        ),
        (
            "  accounts:",
            "  NO:",
            '4: rollouts: the key NO is read by YAML as the boolean false: quote it: "NO"',
        ),
        (
            "  accounts:",
            "  1:",
            '4: rollouts: the key 1 is read by YAML as a number: quote it: "1"',
        ),
    ],
)  # fmt: skip
def test_words_that_yaml_reads_as_booleans_or_numbers(
    file: Path, old: str, new: str, problem: str
) -> None:
    assert problems_of(file, changed(old, new)) == [problem]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("version: 1\n", ["1: rollouts: missing: set it"]),
        ("version: 1\nrollouts:\n", ["2: rollouts: has no value: name at least one rollout"]),
        ("version: 1\nrollouts: {}\n", ["2: rollouts: is empty: name at least one rollout"]),
        (
            "version: 1\nrollouts:\n  a:\n",
            ["3: rollouts.a: must be a mapping, not an empty value"],
        ),
        (
            "version: 1\nrollouts:\n  a: {channels: []}\n",
            [
                "3: rollouts.a.channels: is empty: name at least one channel",
                "3: rollouts.a.substrate: missing: set it",
            ],
        ),
        (
            "version: 1\nrollouts:\n  a: {channels: , substrate: {kind: cloudformation}}\n",
            [
                "3: rollouts.a.channels: has no value: name at least one channel",
                "3: rollouts.a.substrate.connection: missing: set it",
                "3: rollouts.a.substrate.role: missing: set it",
                "3: rollouts.a.substrate.stack: missing: set it, or stacks",
            ],
        ),
    ],
)
def test_empty_rollouts_and_channels(file: Path, text: str, problems: list[str]) -> None:
    assert problems_of(file, text) == problems


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        ("", "has no value: name at least one target"),
        (" []", "is empty: name at least one target"),
        (" {}", "is empty: name at least one target"),
        (" all", "must be a list, not all"),
    ],
)
def test_no_targets_never_mean_something(file: Path, targets: str, problem: str) -> None:
    old = 'targets:\n          - {name: playground-1, account: "000000000001"}\n'
    text = changed(old, f"targets:{targets}\n")
    assert problems_of(file, text) == [f"16: {PLAYGROUND}.targets: {problem}"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "name: production-2",
            "name: playground-1",
            f"23: {PRODUCTION}.targets[1].name: the target 'playground-1' is there already "
            "(channels[0].targets[0], line 17): remove one of the two",
        ),
        (
            'account: "000000000002"',
            'account: "000000000001"',
            f"22: {PRODUCTION}.targets[0]: account 000000000001 in eu-central-1 is there already "
            "(channels[0].targets[0], line 17): remove one of the two",
        ),
        (
            '"000000000003", region: us-east-1',
            '"000000000002", region: eu-central-1',
            f"23: {PRODUCTION}.targets[1]: account 000000000002 in eu-central-1 is there already "
            "(channels[1].targets[0], line 22): remove one of the two",
        ),
        (
            "name: production\n",
            "name: playground\n",
            f"18: {PRODUCTION}.name: the channel 'playground' is there already "
            "(channels[0], line 15): remove one of the two",
        ),
    ],
)
def test_a_target_is_in_exactly_one_channel(file: Path, old: str, new: str, problem: str) -> None:
    assert problems_of(file, changed(old, new)) == [problem]


def test_an_account_may_be_there_again_in_another_region(file: Path) -> None:
    text = changed('"000000000003", region: us-east-1', '"000000000001", region: us-east-1')
    assert len(load(file, text).definitions["accounts"].channels) == 2


SECOND = """\
  network:
    substrate: {kind: cloudformation, connection: aws, role: r, stack: STACK, region: us-east-1}
    channels:
      - name: playground
        gate: timer
        targets: [{name: production-2, account: "000000000003"}]
"""


def test_one_stack_is_in_one_definition(file: Path) -> None:
    assert problems_of(file, GOOD + SECOND.replace("STACK", "baseline")) == [
        "29: rollouts.network.channels[0].targets[0]: stack baseline of account 000000000003 in "
        f"us-east-1 is there already ({PRODUCTION}.targets[1], line 23): remove one of the two"
    ]


def test_another_stack_of_the_same_account_may_be_in_another_definition(file: Path) -> None:
    found = load(file, GOOD + SECOND.replace("STACK", "network"))
    assert list(found.definitions) == ["accounts", "network"]


SEVERAL = """\
      stacks:
        - {name: network, template: network.yaml}
        - name: service
          template: service.json
          capabilities: [CAPABILITY_IAM]
          service_role: cloudformation
      bucket: "templates-{account}-{region}"
"""


def test_several_stacks_stand_in_their_order_in_the_options(file: Path) -> None:
    text = changed("      stack: baseline\n", SEVERAL)
    assert load(file, text).definitions["accounts"].substrate.options == {
        "connection": "aws",
        "role": "phased-rollout",
        "region": "eu-central-1",
        "bucket": "templates-{account}-{region}",
        "stacks": [
            {"name": "network", "template": "network.yaml"},
            {
                "name": "service",
                "template": "service.json",
                "capabilities": ["CAPABILITY_IAM"],
                "service_role": "cloudformation",
            },
        ],
    }


STACKS = "rollouts.accounts.substrate.stacks"
BUCKET = "rollouts.accounts.substrate.bucket"


@pytest.mark.parametrize(
    ("old", "new", "problems"),
    [
        ("stacks:\n", "stack: x\n      stacks:\n", [f"12: {STACKS}: stack is set as well: remove "
         "one of the two"]),
        ("name: network,", "name: service,", [f"13: {STACKS}[1].name: the stack 'service' is there "
         "already (substrate.stacks[0], line 12): remove one of the two"]),
        ("network.yaml", "../x.yaml", [f"12: {STACKS}[0].template: ../x.yaml is no template's file "
         "name: write one such as network.yaml, of a file in the change's folder"]),
        ("network.yaml", "change.yaml", [f"12: {STACKS}[0].template: change.yaml is no template's "
         "file name: write one such as network.yaml, of a file in the change's folder"]),
        (", template: network.yaml", "", [f"12: {STACKS}[0].template: missing: set it"]),
        ("template: network", "tempalte: network", [
            f"12: {STACKS}[0].tempalte: unknown key, did you mean 'template'?",
            f"12: {STACKS}[0].template: missing: set it",
        ]),
        ("-{account}-{region}", "", [
            f"17: {BUCKET}: each of the 2 regions needs one of its own: write {{region}} in its "
            "name",
            f"17: {BUCKET}: each of the 3 accounts needs one of its own: write {{account}} in its "
            "name",
        ]),
        ("templates-", "Templates-", [f"17: {BUCKET}: Templates-{{account}}-{{region}} is no "
         "bucket name: write small letters, digits, '.' and '-', {account} and {region}"]),
        ("templates-", "x" * 45, [f"17: {BUCKET}: is longer than 63 with the account and region "
         "in it: shorten it"]),
        ("service_role: cl", "service_role: arn:aws:iam::000000000001:role/cl", [
            f"{line}: {place}.account: the substrate's role is one of account 000000000001: write "
            "its name only"
            for line, place in (
                (28, "rollouts.accounts.channels[1].targets[0]"),
                (29, "rollouts.accounts.channels[1].targets[1]"),
            )
        ]),
    ],
)  # fmt: skip
def test_several_stacks_that_make_no_sense(
    file: Path, old: str, new: str, problems: list[str]
) -> None:
    text = changed("      stack: baseline\n", SEVERAL)
    assert old in text
    assert problems_of(file, text.replace(old, new, 1)) == problems


def test_one_of_several_stacks_is_in_one_definition_too(file: Path) -> None:
    text = changed("      stack: baseline\n", SEVERAL) + SECOND.replace("STACK", "service")
    (problem,) = problems_of(file, text)
    assert "stack service of account 000000000003 in us-east-1 is there already" in problem


@pytest.mark.parametrize(
    ("soak", "problem"),
    [
        ("30", "30 has no unit: write a duration such as 30s, 15m, 2h or 1d"),
        ("1:30", "1:30 has no unit: write a duration such as 30s, 15m, 2h or 1d"),
        ("0s", "0s is no time at all: make it longer than zero"),
        ("-5m", "-5m is no duration: write one such as 30s, 15m, 1h30m or 2d"),
        ("5 m", "5 m is no duration: write one such as 30s, 15m, 1h30m or 2d"),
        ("5m3h", "5m3h is no duration: write one such as 30s, 15m, 1h30m or 2d"),
        ("1.5", "1.5 is no duration: write one such as 30s, 15m, 1h30m or 2d"),
        ("yes", "yes is no duration: write one such as 30s, 15m, 1h30m or 2d"),
        ("''", "an empty text is no duration: write one such as 30s, 15m, 1h30m or 2d"),
        ("91d", "91d is longer than 90d: shorten it"),
        ("2160h1s", "2160h1s is longer than 90d: shorten it"),
        ("999999999d", "999999999d is longer than 90d: shorten it"),
        ("", "has no value: give it one, or remove the key"),
    ],
)
def test_a_soak_that_is_no_sensible_time(file: Path, soak: str, problem: str) -> None:
    text = changed("soak: 1h30m", f"soak: {soak}")
    assert problems_of(file, text) == [f"19: {PRODUCTION}.soak: {problem}"]


@pytest.mark.parametrize("name", sorted(["after_all", *config.fields.RESERVED_CHANNELS]))
def test_a_channel_is_not_named_like_a_task_of_the_dag(file: Path, name: str) -> None:
    assert problems_of(file, changed("name: playground\n", f"name: {name}\n")) == [
        f"15: {PLAYGROUND}.name: {name} is reserved for a task of the Dag: choose another name"
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "name: playground\n",
            "name: play ground\n",
            f"15: {PLAYGROUND}.name: play ground cannot name a channel: use letters, digits, '_' "
            "and '-', at most 100",
        ),
        (
            "name: playground-1",
            "name: ../1",
            f"17: {PLAYGROUND}.targets[0].name: ../1 cannot name a target: use letters, digits, "
            "'_', '-' and '.', at most 100",
        ),
        (
            "  accounts:",
            "  all accounts:",
            "4: rollouts['all accounts']: all accounts cannot name a Dag: use letters, digits, "
            "'_', '-' and '.', at most 200",
        ),
        (
            "  accounts:",
            '  "":',
            "4: rollouts['']: an empty text cannot name a Dag: use letters, digits, '_', '-' and "
            "'.', at most 200",
        ),
        (
            "  accounts:",
            "  accounts_emergency:",
            "4: rollouts.accounts_emergency: accounts_emergency ends in _emergency, which is "
            "reserved: choose another name",
        ),
    ],
)
def test_names_that_are_no_airflow_ids(file: Path, old: str, new: str, problem: str) -> None:
    assert problems_of(file, changed(old, new)) == [problem]


@pytest.mark.parametrize(
    ("schedule", "problem"),
    [
        ("0 2 * *", NO_CRON),
        ("0 2 * * * *", NO_CRON),
        ("0 25 * * *", NO_CRON),
        ("@dayly", NO_CRON),
        ("R 2 * * *", NO_CRON),
        ("0 0 31 2 *", "never comes: choose days that exist"),
    ],
)
def test_a_schedule_that_is_no_cron_expression(file: Path, schedule: str, problem: str) -> None:
    assert problems_of(file, changed("0 2 * * *", schedule)) == [
        f"5: {SCHEDULE}: {schedule} {problem}"
    ]


@pytest.mark.parametrize(
    ("zone", "mend"),
    [
        ("Europe/Berln", ", did you mean 'Europe/Berlin'?"),
        ("Mars", ": write one such as Europe/Berlin"),
        ("/etc/passwd", ": write one such as Europe/Berlin"),
        ("localtime", ": write one such as Europe/Berlin"),
    ],
)
def test_a_time_zone_that_nobody_knows(file: Path, zone: str, mend: str) -> None:
    assert problems_of(file, changed("Europe/Berlin", zone)) == [
        f"6: rollouts.accounts.timezone: {zone} is no known time zone{mend}"
    ]


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        (
            "gate: [helth]",
            "gate: helth is not one of timer, health, approval, did you mean 'health'?",
        ),
        ("gate: []", "gate: is empty: choose from timer, health and approval"),
        ("gate: [health, health]", "gate: names a criterion twice: remove one of the two"),
        ("gate: on", "gate: on is not one of timer, health, approval"),
        ("gate: {a: b}", "gate: a mapping is not one of timer, health, approval"),
        (
            "on_inconclusive: {then: fail}\n        approval: {deadline: 1d}",
            "approval: nobody is ever asked: add approval to gate, or remove this",
        ),
        (
            "on_inconclusive: {then: aks}",
            "on_inconclusive.then: aks is not one of ask, fail, hold, did you mean 'ask'?",
        ),
        (
            "on_inconclusive: {then: hold, hold_for: 2h}",
            "on_inconclusive: hold_for ends a hold, and `then: hold` never does: remove one",
        ),
        (
            "gate: [timer, approval]\n        approval: {deadline: 0m}",
            "approval.deadline: 0m is no time at all: make it longer than zero",
        ),
        (
            "gate: [timer, approval]\n        approval: {approvers: ['']}",
            "approval.approvers[0]: is blank: write something, or remove it",
        ),
    ],
)
def test_gates_that_cannot_open(file: Path, new: str, problem: str) -> None:
    line = 21 if "\n" in new else 20
    text = changed("gate: [health, approval]", new)
    assert problems_of(file, text) == [f"{line}: {PRODUCTION}.{problem}"]


def test_a_gate_that_judges_health_needs_a_signal(file: Path) -> None:
    what = "judges health, but no signals are set here or in the rollout: add one"
    old = "    signals: [{kind: cloudwatch_alarms, prefix: baseline-}]\n"
    assert problems_of(file, changed(old, "")) == [
        f"14: {PLAYGROUND}.gate: {what}",
        f"19: {PRODUCTION}.gate: {what}",
    ]


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        ("waves: {size: 0}", "waves.size: must be at least 1, not 0"),
        ("waves: {at_once: -1}", "waves.at_once: must be at least 1, not -1"),
        ("waves: {size: 2.5}", "waves.size: must be a whole number, not 2.5"),
        ("waves: {size: true}", "waves.size: must be a whole number, not true"),
        ("waves: 3", "waves: must be a mapping, not 3"),
        ("max_failed: -1", "max_failed: must be at least 0, not -1"),
        (
            "max_failed: 2",
            "max_failed: 2 of 2 targets may fail, so no failure would ever count: tolerate fewer",
        ),
    ],
)
def test_waves_and_tolerance_that_make_no_sense(file: Path, new: str, problem: str) -> None:
    text = changed("soak: 1h30m", new)
    assert problems_of(file, text) == [f"19: {PRODUCTION}.{problem}"]


def test_more_waves_than_airflow_maps_are_refused(file: Path) -> None:
    targets = "".join(
        f'          - {{name: x-{n}, account: "{n:012d}"}}\n' for n in range(10, 1035)
    )
    assert problems_of(file, GOOD + targets) == [
        f"18: {PRODUCTION}.waves.size: 1027 waves, but Airflow maps at most 1024: "
        "raise size to 2 or more"
    ]
    text = GOOD.replace("soak: 1h30m", "soak: 1h30m\n        waves: {size: 2}") + targets
    assert len(load(file, text).definitions["accounts"].channels[1].targets) == 1027


@pytest.mark.parametrize(
    ("new", "problem"),
    [
        (
            "on_failure: hald",
            "on_failure: hald is not one of rollback, hold, did you mean 'hold'?",
        ),
        (
            "rollback: {scope: all}",
            "rollback.scope: all is not one of all_channels, failed_channel",
        ),
        ("rollback: failed_channel", "rollback: must be a mapping, not failed_channel"),
        ("rollback: {waves: {size: 0}}", "rollback.waves.size: must be at least 1, not 0"),
        ("decide_within: 0h", "decide_within: 0h is no time at all: make it longer than zero"),
        ("tags: [' ']", "tags[0]: is blank: write something, or remove it"),
    ],
)
def test_what_happens_on_failure_is_one_of_a_few_words(file: Path, new: str, problem: str) -> None:
    text = changed("timezone: Europe/Berlin", new)
    assert problems_of(file, text) == [f"6: rollouts.accounts.{problem}"]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "role: phased-rollout",
            "role: 'a b'",
            "10: rollouts.accounts.substrate.role: a b is no IAM role: write its name, such as "
            "phased-rollout, or its ARN",
        ),
        (
            "stack: baseline",
            "stack: 1baseline",
            "11: rollouts.accounts.substrate.stack: 1baseline is no stack name: begin with a "
            "letter; letters, digits and '-', at most 128",
        ),
        (
            "region: eu-central-1",
            "region: eu_central_1",
            "12: rollouts.accounts.substrate.region: eu_central_1 is no region: write one such as "
            "eu-central-1",
        ),
        (
            "connection: aws",
            "connection: 'a b'",
            "9: rollouts.accounts.substrate.connection: a b is no connection id of Airflow: "
            "correct it",
        ),
        (
            "kind: cloudformation",
            "kind: cloudfromation",
            "8: rollouts.accounts.substrate.kind: cloudfromation is no kind that is installed, "
            "did you mean 'cloudformation'?",
        ),
        (
            "kind: cloudwatch_alarms",
            "kind: datadog",
            "13: rollouts.accounts.signals[0].kind: datadog is no kind that is installed: known "
            "are cloudwatch_alarms, cloudwatch_metrics, http_probe, kubernetes_workloads, "
            "prometheus",
        ),
        (
            "prefix: baseline-",
            "prefix: a, tag: {b: c}",
            "13: rollouts.accounts.signals[0]: say which alarms: set either prefix, or tag with "
            "one key",
        ),
        (
            "prefix: baseline-",
            "tag: {a: b, c: d}",
            "13: rollouts.accounts.signals[0]: say which alarms: set either prefix, or tag with "
            "one key",
        ),
        (
            "region: us-east-1",
            "region: ~",
            f"23: {PRODUCTION}.targets[1].region: has no value: give it one, or remove the key",
        ),
        (
            "{name: playground-1",
            "{nane: playground-1",
            f"17: {PLAYGROUND}.targets[0].nane: unknown key, did you mean 'name'?",
        ),
    ],
)
def test_adapters_and_addresses_that_cannot_be(
    file: Path, old: str, new: str, problem: str
) -> None:
    assert problem in problems_of(file, changed(old, new))


def test_a_target_has_a_region_of_its_own_or_that_of_the_substrate(file: Path) -> None:
    what = "region: missing: set it here or in the substrate"
    assert problems_of(file, changed("      region: eu-central-1\n", "")) == [
        f"16: {PLAYGROUND}.targets[0].{what}",
        f"21: {PRODUCTION}.targets[0].{what}",
    ]


def test_the_role_of_one_account_cannot_be_assumed_in_another(file: Path) -> None:
    text = changed("role: phased-rollout", "role: arn:aws:iam::000000000001:role/x")
    what = "the substrate's role is one of account 000000000001: write its name only"
    assert problems_of(file, text) == [
        f"22: {PRODUCTION}.targets[0].account: {what}",
        f"23: {PRODUCTION}.targets[1].account: {what}",
    ]


@pytest.mark.parametrize(
    "role", ["path/to/role", "arn:aws-cn:iam::{account}:role/x", "{region}-rollout"]
)
def test_a_role_is_a_name_or_an_arn_for_every_account(file: Path, role: str) -> None:
    found = load(file, changed("role: phased-rollout", f"role: '{role}'")).definitions["accounts"]
    assert found.substrate.options["role"] == role


def test_all_problems_are_told_at_once_in_the_order_of_the_file(file: Path) -> None:
    text = (
        GOOD.replace("Europe/Berlin", "Mars")
        .replace("soak: 1h30m", "soka: 1h30m")
        .replace("name: production-2", "name: playground-1")
        .replace('"000000000001"', "111111111111")
    )
    assert problems_of(file, text) == [
        "6: rollouts.accounts.timezone: Mars is no known time zone: write one such as "
        "Europe/Berlin",
        f'{ACCOUNT}: 111111111111 is read by YAML as a number: quote it: "111111111111"',
        f"19: {PRODUCTION}.soka: unknown key, did you mean 'soak'?",
        f"23: {PRODUCTION}.targets[1].name: the target 'playground-1' is there already "
        "(channels[0].targets[0], line 17): remove one of the two",
    ]


def test_a_flood_of_problems_is_cut_and_counted(file: Path) -> None:
    text = GOOD + "          - {}\n" * 99
    problems = problems_of(file, text)
    assert len(problems) == 101
    assert problems[0] == f"24: {PRODUCTION}.targets[2].account: missing: set it"
    assert problems[-1].endswith(" more problems: mend these first")


def test_adapters_of_other_packages_judge_their_options_themselves(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = {
        adapters.SUBSTRATES: ["fleet"],
        adapters.SIGNALS: ["pager"],
    }
    monkeypatch.setattr(
        adapters,
        "entry_points",
        lambda *, group: [EntryPoint(name, "m:a", group) for name in registered[group]],
    )
    adapters.installed.cache_clear()
    try:
        found = load(
            file,
            "version: 1\nrollouts:\n  hosts:\n"
            "    substrate: {kind: fleet, sites: [1, 2.5, true, null, {a: b}]}\n"
            "    signals: [{kind: pager, url: here}]\n"
            "    channels:\n"
            "      - {name: canary, soak: 1h, targets: [{name: a, slice: '1'}]}\n",
        ).definitions["hosts"]
        problems = problems_of(
            file,
            "version: 1\nrollouts:\n  hosts:\n"
            "    substrate: {kind: fleat}\n"
            "    channels:\n"
            "      - {name: canary, soak: 1h, gate: timer, targets: [\n"
            "          {name: a, slice: 1}, {name: b, slice: x}, {name: c, slice: x}]}\n",
        )
    finally:
        adapters.installed.cache_clear()
    assert found.substrate == AdapterSpec("fleet", {"sites": [1, 2.5, True, None, {"a": "b"}]})
    assert found.channels[0].signals == (AdapterSpec("pager", {"url": "here"}),)
    assert found.channels[0].targets == (Target("a", {"slice": "1"}),)
    assert problems == [
        "4: rollouts.hosts.substrate.kind: fleat is no kind that is installed, did you mean "
        "'fleet'?",
        "7: rollouts.hosts.channels[0].targets[0].slice: 1 is read by YAML as a number: quote it: "
        '"1"',
        "7: rollouts.hosts.channels[0].targets[2]: this target is there already "
        "(channels[0].targets[1], line 7): remove one of the two",
    ]


def test_the_projects_own_file_is_good_and_is_the_one_read_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(config.VARIABLE, raising=False)
    channels = config.load().definitions["aws_accounts"].channels
    assert [(c.name, len(c.targets)) for c in channels] == [
        ("playground", 3),
        ("test", 3),
        ("infra", 3),
        ("production", 3),
    ]


def test_the_environment_names_another_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(GOOD)
    monkeypatch.setenv(config.VARIABLE, str(file))
    assert config.load().source == str(file)


def test_the_source_is_absolute_so_that_changes_are_found_from_anywhere(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(GOOD)
    monkeypatch.chdir(file.parent)
    assert config.load(Path("channels.yaml")).source == str(file)


def test_the_configuration_is_read_without_airflow() -> None:
    code = (
        "import sys, phased_rollout.config, phased_rollout.changes, phased_rollout.cli;"
        "sys.exit(any(m.partition('.')[0] in {'airflow', 'boto3'} for m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PLUGINS)}, check=False
    )
    assert done.returncode == 0
