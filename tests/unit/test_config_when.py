"""When and how fast things may be rolled out: freeze windows and policies in channels.yaml."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from phased_rollout import config
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import (
    Access,
    Channel,
    Concurrency,
    Definition,
    GateKind,
    Waves,
)
from phased_rollout.model.windows import FreezeWindow

FILE = """\
version: 1
defaults: {soak: 1d, gate: timer, timezone: Europe/Berlin}
policies:
  standard: {soak: 2d, channels: {production: {soak: 7d, gate: [timer, approval]}}}
  light:
    soak: 10m
    waves: {size: 5, concurrency: soft}
    channels: {production: {gate: [approval]}}
rollouts:
  accounts:
    substrate: {kind: cloudformation, connection: aws, role: r, stack: s, region: eu-central-1}
    channels:
      - name: playground
        targets: [{name: playground-1, account: "000000000001"}]
      - name: production
        targets: [{name: production-1, account: "000000000002"}]
"""
WEEKEND = (
    '{name: weekend, reason: rest, rrule: "FREQ=WEEKLY;BYDAY=FR", start: "16:00", duration: 62h}'
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "channels.yaml"


def changed(old: str, new: str) -> str:
    assert old in FILE
    return FILE.replace(old, new, 1)


def load(file: Path, text: str) -> Definition:
    file.write_text(text)
    return config.load(file).definitions["accounts"]


def problems_of(file: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(file, text)
    return [problem.removeprefix(f"{file}:") for problem in caught.value.problems]


def frozen(*windows: str) -> str:
    return changed("defaults: {", f"defaults: {{freeze: [{', '.join(windows)}], ")


def with_policies(text: str) -> str:
    return changed("  accounts:\n", f"  accounts:\n    {text}\n")


def test_a_recurring_window_holds_on_the_clock_of_the_rollout(file: Path) -> None:
    [window] = load(file, frozen(WEEKEND)).channels[0].freeze
    assert window == FreezeWindow(
        name="weekend",
        reason="rest",
        timezone="Europe/Berlin",
        start=datetime(1, 1, 1, 16),  # noqa: DTZ001 - wall clock
        duration=timedelta(hours=62),
        rrule="FREQ=WEEKLY;BYDAY=FR",
    )


@pytest.mark.parametrize(
    ("written", "start", "duration"),
    [
        ('from: "2026-12-20", until: "2026-12-20"', "2026-12-20", timedelta(days=1)),
        ('from: "2026-12-20", until: "2027-01-06"', "2026-12-20", timedelta(days=18)),
        ('from: "2026-12-20T16:00", until: "2026-12-21"', "2026-12-20T16:00", timedelta(hours=32)),
        ('from: "2026-12-20", until: "2026-12-20T06:00"', "2026-12-20", timedelta(hours=6)),
    ],
)
def test_dates_are_whole_days_and_the_last_one_is_frozen_too(
    file: Path, written: str, start: str, duration: timedelta
) -> None:
    text = frozen(f"{{name: books, reason: closed, timezone: Asia/Tokyo, {written}}}")
    [window] = load(file, text).channels[0].freeze
    begins = datetime.fromisoformat(start)
    assert window == FreezeWindow("books", "closed", "Asia/Tokyo", begins, duration)


def test_a_recurrence_may_have_a_first_and_a_last_day(file: Path) -> None:
    bounded = WEEKEND.replace("62h", '62h, from: "2026-01-02", until: "2026-02-27"')
    [window] = load(file, frozen(bounded)).channels[0].freeze
    assert window.start == datetime(2026, 1, 2, 16)  # noqa: DTZ001 - wall clock
    assert window.last_day == date(2026, 2, 27)


def test_windows_of_a_channel_replace_those_of_the_file(file: Path) -> None:
    text = frozen(WEEKEND).replace(
        "- name: playground\n", "- name: playground\n        freeze: []\n"
    )
    assert [len(c.freeze) for c in load(file, text).channels] == [0, 1]


@pytest.mark.parametrize(
    ("window", "problem"),
    [
        ('rrule: "FREQ=DAILY", duration: 1h', ": recurs: set start (a time of day) and duration"),
        ('rrule: "FREQ=DAILY", start: 16:00, duration: 1h', ".start: 16:00 is no time of day: wri"),
        ('rrule: "FREQ=DAILY", start: "16:00+01:00", duration: 1h', ".start: 16:00+01:00 is no ti"),
        ('rrule: "FREQ=HOURLY", start: "16:00", duration: 1h', ": rrule FREQ=HOURLY: begin with"),
        (
            'rrule: "FREQ=DAILY", start: "16:00", duration: 1h, from: "2026-01-01T10:00"',
            ": recurs: write from and until as days",
        ),
        ('from: "2026-01-01"', ": say when: set either from and until, or rrule, start and dura"),
        ('from: "2026-01-01", until: "2026-01-05", duration: 1h', ": say when: set either from a"),
        ('from: "2026-01-02", until: "2026-01-01"', ": ends before it begins: set until to a lat"),
        ('from: "2026-02-30", until: "2026-03-01"', ".from: 2026-02-30 is no day: write one such"),
        ('from: "2026-02-01T10:00Z", until: "2026-03-01"', ".from: 2026-02-01T10:00Z is no day:"),
        ('form: "2026-01-01", until: "2026-01-02"', ".form: unknown key, did you mean 'from'?"),
    ],
)
def test_a_window_that_says_no_time_is_refused(file: Path, window: str, problem: str) -> None:
    found = problems_of(file, frozen(f"{{name: w, reason: r, {window}}}"))
    assert f"2: defaults.freeze[0]{problem}" in "\n".join(found)


@pytest.mark.parametrize(
    "windows",
    [
        [WEEKEND.replace("62h", "7d")],
        [
            WEEKEND.replace("62h", "80h"),
            WEEKEND.replace("=FR", "=MO,TU,WE,TH").replace("62h", "1d"),
        ],
    ],
)
def test_windows_that_never_open_are_refused(file: Path, windows: list[str]) -> None:
    names = ", ".join(["weekend"] * len(windows))
    what = f"never opens again: {names}: leave a gap between the windows"
    assert problems_of(file, frozen(*windows)) == [
        f"13: rollouts.accounts.channels[0].freeze: {what}",
        f"15: rollouts.accounts.channels[1].freeze: {what}",
    ]


def soaks(channels: tuple[Channel, ...]) -> list[timedelta]:
    return [c.soak for c in channels]


def test_without_a_policy_the_defaults_hold(file: Path) -> None:
    found = load(file, FILE)
    assert (found.policy, found.policies, soaks(found.channels)) == (
        "",
        {},
        [timedelta(days=1)] * 2,
    )


def test_a_policy_replaces_defaults(file: Path) -> None:
    found = load(file, with_policies("policy: standard"))
    assert soaks(found.channels) == [timedelta(days=2), timedelta(days=7)]
    assert found.channels[1].gate == {GateKind.TIMER, GateKind.APPROVAL}
    assert found.under("standard").channels == found.channels


def test_a_run_may_choose_among_those_that_are_allowed(file: Path) -> None:
    found = load(file, with_policies("policy: standard\n    policies_allowed: [standard, light]"))
    assert list(found.policies) == ["standard", "light"]
    light = found.under("light")
    assert (light.policy, light.policies) == ("light", {})
    assert soaks(light.channels) == [timedelta(minutes=10)] * 2
    assert light.channels[0].waves == Waves(size=5, concurrency=Concurrency.SOFT)
    assert [c.targets for c in light.channels] == [c.targets for c in found.channels]


def test_what_a_channel_sets_itself_holds_under_every_policy(file: Path) -> None:
    text = with_policies("policy: standard\n    policies_allowed: [standard, light]")
    text = text.replace("- name: playground\n", "- name: playground\n        soak: 3h\n")
    found = load(file, text)
    for channels in (found.channels, found.under("light").channels):
        assert channels[0].soak == timedelta(hours=3)


def test_no_more_waves_run_at_once_than_any_allowed_policy_lets(file: Path) -> None:
    found = load(file, with_policies("policy: light\n    policies_allowed: [standard, light]"))
    assert found.channel("playground").waves_at_once == 4
    assert found.waves_at_once("playground") == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "policy: lihgt",
            "11: rollouts.accounts.policy: there is no policy lihgt, did you mean 'l",
        ),
        ("policies_allowed: [light]", "policies_allowed: needs policy beside it: the one that"),
        (
            "policy: standard\n    policies_allowed: [light]",
            "11: rollouts.accounts.policy: must be one of policies_allowed, not standard",
        ),
        (
            "policy: light\n    policies_allowed: [light, fast]",
            "policies_allowed: there is no policy fast: add it under policies",
        ),
        ("policy: light\n    policies_allowed: []", "policies_allowed: is empty: name at least"),
    ],
)
def test_a_policy_that_is_not_there_is_refused(file: Path, text: str, problem: str) -> None:
    assert problem in "\n".join(problems_of(file, with_policies(text)))


@pytest.mark.parametrize("default", ["standard", "light"])
def test_a_choice_of_policy_can_neither_take_nor_bring_an_approval(
    file: Path, default: str
) -> None:
    text = with_policies(f"policy: {default}\n    policies_allowed: [standard, light]")
    assert problems_of(file, text.replace("gate: [approval]", "gate: timer")) == [
        "17: rollouts.accounts.channels[1].gate: asks for an approval under policy standard and "
        "for none under light, but a run's choice changes no approval: set gate here, or alike "
        "in both"
    ]


def test_each_allowed_policy_is_checked_as_a_whole(file: Path) -> None:
    text = with_policies("policy: standard\n    policies_allowed: [standard, light]")
    text = text.replace("soak: 10m", "gate: health").replace("soak: 1d, ", "")
    assert [p.partition("accounts.")[2] for p in problems_of(file, text)] == [
        "channels[0].gate: judges health, but no signals are set here or in the rollout: add one",
        "channels[0].soak: missing: set it here or in defaults",
        "channels[1].soak: missing: set it here or in defaults",
    ]


def test_a_policy_for_a_channel_of_no_rollout_is_refused(file: Path) -> None:
    assert problems_of(file, FILE.replace("{production: {gate", "{prodution: {gate")) == [
        "8: policies.light.channels.prodution: no rollout has such a channel, did you mean "
        "'production'?"
    ]


def test_what_airflow_is_told_of_runs_and_roles(file: Path) -> None:
    found = load(
        file,
        with_policies(
            "pause_after_failures: 3\n    stuck_after: 3d\n    access: {Ops: operate}"
            "\n    emergency: {access: {Chiefs: delete}}"
        ),
    )
    assert (found.pause_after_failures, found.stuck_after) == (3, timedelta(days=3))
    assert found.access == {"Ops": Access.OPERATE}
    assert found.emergency.access == {"Chiefs": Access.DELETE}
    unset = load(file, FILE)
    assert (unset.pause_after_failures, unset.stuck_after, unset.access) == (None, None, {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("pause_after_failures: 0", "pause_after_failures: must be at least 1, not 0"),
        ("stuck_after: 2d", "stuck_after: the soaks alone take 2 days, 0:00:00: make it longer"),
        (
            "stuck_after: 8d\n    policy: light\n    policies_allowed: [light, standard]",
            "stuck_after: the soaks alone take 9 days, 0:00:00: make it longer than that",
        ),
        ("access: {Ops: opperate}", "access.Ops: opperate is not one of see, operate, delete, did"),
        ("access: {Ops: [see]}", "access.Ops: a list is not one of see, operate, delete"),
    ],
)
def test_what_airflow_cannot_be_told_is_refused(file: Path, text: str, problem: str) -> None:
    assert problem in "\n".join(problems_of(file, with_policies(text)))
