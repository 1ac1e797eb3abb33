"""What the command line answers, to people and to programs, and with which exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from phased_rollout import changes
from phased_rollout.cli import main
from phased_rollout.debts import owe
from phased_rollout.model.bypass import Bypass, BypassTier
from tests.unit.conftest import begin

PLUGINS = Path(__file__).parents[2] / "plugins"

CHANNELS = """\
version: 1
defaults: {gate: timer, waves: {size: 2}}
rollouts:
  accounts:
    description: All accounts
    schedule: "0 2 * * *"
    change: changes/longer
    substrate: {kind: cloudformation, connection: aws, role: r, stack: s, region: us-east-1}
    channels:
      - name: playground
        soak: 1h30m
        targets: [{name: playground-1, account: "000000000001"}]
      - name: production
        soak: 2d
        targets:
          - {name: production-1, account: "000000000002"}
          - {name: production-2, account: "000000000003"}
          - {name: production-3, account: "000000000004"}
"""
SETTINGS = """\
description: Keep the logs longer
parameters: {Days: 30}
overrides: {channels: {production: {Days: 365}}, targets: {production-3: {Days: 7}}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "changes" / "longer"
    folder.mkdir(parents=True)
    (folder / "change.yaml").write_text(SETTINGS)
    (folder / "template.yaml").write_text("Parameters: {Days: {}}\nResources: {A: {Type: B}}\n")
    (tmp_path / "channels.yaml").write_text(CHANNELS)
    return tmp_path / "channels.yaml"


def test_a_good_file_validates(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(file)]) == 0
    assert capsys.readouterr() == (f"{file}: all is well: accounts (4 targets)\n", "")


def test_a_bad_file_exits_1_with_its_problems(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(CHANNELS.replace("soak: 2d", "soka: 2d"))
    problems = [
        f"{file}:13: rollouts.accounts.channels[1].soak: missing: set it here or in defaults",
        f"{file}:14: rollouts.accounts.channels[1].soka: unknown key, did you mean 'soak'?",
    ]
    assert main(["validate", str(file)]) == 1
    assert capsys.readouterr() == ("", "".join(f"{problem}\n" for problem in problems))
    assert main(["validate", str(file), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"problems": problems}


def test_the_changes_that_the_file_names_are_validated_too(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = file.parent / "changes" / "longer"
    (folder / "change.yaml").write_text("overrides: {channels: {prodution: {}}}")
    assert main(["validate", str(file)]) == 1
    assert capsys.readouterr().err == (
        "accounts: change 'longer': overrides.channels.prodution: accounts has no such channel, "
        "did you mean 'production'?\n"
    )


LINT = "accounts: longer/template.yaml:2: Resources.A.Type: E3006: "


def test_the_templates_are_looked_over_when_asked(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    template = file.parent / "changes/longer/template.yaml"
    template.write_text(
        "Parameters: {Days: {Type: Number}}\nResources: {A: {Type: AWS::S3::Bucekt}}\n"
    )
    assert main(["validate", str(file)]) == 0
    assert main(["validate", str(file), "--lint"]) == 1
    assert LINT in capsys.readouterr().err
    template.write_text("Resources: {A: {Type: AWS::SNS::Topic}}\n")
    (template.parent / "change.yaml").unlink()
    assert main(["validate", str(file), "--lint"]) == 0


def test_a_parameter_without_a_value_is_found_with_lint(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file.parent / "changes/longer/change.yaml").write_text(
        "overrides: {channels: {production: {Days: 365}}}"
    )
    assert main(["validate", str(file), "--lint"]) == 1
    assert "parameter 'Days' has no default: give it a value" in capsys.readouterr().err


def test_validate_tells_programs_what_it_read(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", "--json", str(file)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "problems": [],
        "file": str(file),
        "targets": {"accounts": 4},
        "judged": {},
    }


def test_a_plan_shows_channels_in_order_with_what_each_gets(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["plan", "accounts", "--config", str(file)]) == 0
    digest = changes.load("changes/longer", base=file.parent, given={}).digest[:12]
    lines = [line.strip(" ─") for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line] == [
        "accounts: All accounts",
        f"change longer ({digest}): Keep the logs longer",
        "runs 0 2 * * * (UTC), takes at least 2d1h30m (the sum of the soaks)",
        "on failure: rollback, all_channels",
        "channel         targets        waves          soak    gate    parameters",
        "1. playground   playground-1   1, 1 at once   1h30m   timer   Days=30",
        "2. production   production-1   2, 1 at once   2d      timer   Days=365",
        "production-2                                  production-3: Days=7",
        "production-3",
    ]


def test_a_rollout_of_several_stacks_is_validated_and_planned_with_all_its_templates(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stacks = "stacks: [{name: s, template: base.yaml}, {name: t, template: app.yaml}]"
    file.write_text(CHANNELS.replace("stack: s", stacks))
    folder = file.parent / "changes" / "longer"
    (folder / "template.yaml").rename(folder / "base.yaml")
    assert main(["validate", str(file)]) == 1
    problem = "found no app.yaml, which the rollout's `stacks` ask for: add it"
    assert capsys.readouterr().err == f"accounts: {folder}: {problem}\n"
    (folder / "app.yaml").write_text("Resources: {A: {Type: B}}\n")
    assert main(["validate", str(file)]) == 0
    assert main(["plan", "accounts", "--config", str(file)]) == 0


def test_a_plan_tells_programs_everything(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "accounts", "--config", str(file), "--json"]) == 0
    change = changes.load("changes/longer", base=file.parent, given={})
    plan = json.loads(capsys.readouterr().out)
    playground, production = plan.pop("channels")
    assert plan == {
        "rollout": "accounts",
        "description": "All accounts",
        "schedule": "0 2 * * *",
        "timezone": "UTC",
        "policy": "",
        "on_failure": "rollback",
        "rollback": "all_channels",
        "change": {
            "name": "longer",
            "digest": change.digest,
            "about": "Keep the logs longer",
            "provides": {},
            "requires": {},
        },
        "shortest_seconds": 5400 + 2 * 86400,
        "untested": "warn",
        "unlike": [],
    }
    assert playground == {
        "name": "playground",
        "soak_seconds": 5400,
        "gate": ["timer"],
        "max_failed": 0,
        "waves": [["playground-1"]],
        "at_once": 1,
        "freeze": [],
        "on_hold": [],
        "judged": [],
        "parameters": {"Days": "30"},
        "targets": [
            {
                "name": "playground-1",
                "address": {"account": "000000000001", "region": "us-east-1"},
                "parameters": {},
            }
        ],
    }
    assert production["waves"] == [["production-1", "production-2"], ["production-3"]]
    assert production["parameters"] == {"Days": "365"}
    assert production["targets"][2]["parameters"] == {"Days": "7"}


def test_a_plan_names_the_traits_that_only_later_channels_have(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account = 'account: "000000000002"'
    file.write_text(CHANNELS.replace(account, f"{account}, traits: {{engine: aurora}}", 1))
    assert main(["plan", "accounts", "--config", str(file)]) == 0
    assert (
        "production: no channel before it changes a target with engine=aurora (1 target)\n"
        in capsys.readouterr().out
    )


SELECTS = CHANNELS.replace(
    'targets: [{name: playground-1, account: "000000000001"}]',
    "select: {ou: [Sandbox], at_least: 2}",
).replace(
    "    change:", '    inventory: {kind: organizations, account: "999999999999"}\n    change:'
)


def test_targets_that_a_plan_will_find_are_not_asked_for_and_that_is_said(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    file.write_text(SELECTS)
    assert main(["plan", "accounts", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    assert "selected: ou Sandbox, at least 2 " in out
    assert out.endswith(
        "Selected targets are found when a run makes its plan: nothing was asked for this.\n"
    )
    assert main(["plan", "accounts", "--config", str(file), "--json"]) == 0
    playground = json.loads(capsys.readouterr().out)["channels"][0]
    assert (playground["select"], playground["targets"]) == ("ou Sandbox, at least 2", [])
    assert main(["validate", str(file)]) == 0
    assert capsys.readouterr().out == (
        f"{file}: all is well: accounts (3 targets, and those found for playground when a plan is "
        "made)\n"
    )
    assert main(["show", "sandbox-000000000009", "--config", str(file)]) == 1
    assert capsys.readouterr().err.splitlines()[1:] == [
        "accounts: not looked at: those found for playground when a plan is made: the log of its "
        "task plan names them"
    ]


def test_overrides_for_targets_that_are_not_known_yet_are_judged_by_the_plan(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = file.parent / "changes" / "longer" / "change.yaml"
    settings.write_text("overrides: {targets: {sandbox-000000000009: {Days: 7}}}")
    assert main(["validate", str(file)]) == 1
    file.write_text(SELECTS)
    assert main(["validate", str(file)]) == 0


def test_a_plan_shows_what_the_change_declares(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = file.parent / "changes" / "longer" / "change.yaml"
    settings.write_text('provides: {api: [1, 2]}\nrequires: {db: ">=3"}\n')
    assert main(["plan", "accounts", "--config", str(file)]) == 0
    assert capsys.readouterr().out.splitlines()[2:4] == ["provides api 1, 2", "requires db >=3"]
    assert main(["plan", "accounts", "--config", str(file), "--json"]) == 0
    change = json.loads(capsys.readouterr().out)["change"]
    assert (change["provides"], change["requires"]) == ({"api": ["1", "2"]}, {"db": ">=3"})


def test_a_plan_of_another_change_is_found_from_where_one_stands(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (file.parent / "changes" / "longer").rename(file.parent / "other")
    monkeypatch.chdir(file.parent)
    command = ["plan", "accounts", "--config", str(file), "--change", "other", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["change"]["name"] == "other"


def test_a_change_is_named_by_its_url_as_well(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"file://{file.parent}/changes/longer"
    assert main(["plan", "accounts", "--config", str(file), "--change", url]) == 0
    assert "change longer (" in capsys.readouterr().out
    nobody = "s3://nobody@bucket/longer"
    assert main(["plan", "accounts", "--config", str(file), "--change", nobody]) == 1
    assert f"{nobody}: the connection nobody does not exist" in capsys.readouterr().err


def test_a_plan_of_a_bad_change_exits_1(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "accounts", "--config", str(file), "--change", "/nowhere"]) == 1
    assert capsys.readouterr().err == (
        "/nowhere: no such folder: create it, or correct the name of the change\n"
    )


def test_a_plan_says_its_policy_and_when_its_channels_are_frozen(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = '{name: books, reason: closed, from: "2026-12-20", until: "2027-01-06"}'
    policies = "policies: {slow: {soak: 9d}, fast: {soak: 1m}}\n"
    allowed = f"{{freeze: [{window}], policy: slow, policies_allowed: [slow, fast], "
    file.write_text(CHANNELS.replace("defaults: {", policies + "defaults: " + allowed))
    assert main(["plan", "accounts", "--config", str(file), "--policy", "fast"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "policy fast" in lines
    frozen = "is frozen in books (closed): 2026-12-20 00:00 to 2027-01-07 00:00, UTC"
    assert f"playground {frozen}" in lines
    with pytest.raises(SystemExit) as wrong:
        main(["plan", "accounts", "--config", str(file), "--policy", "none"])
    assert wrong.value.code == 3


@pytest.mark.parametrize("asked", ["production-2", "000000000003"])
def test_show_says_which_channel_holds_a_target(
    file: Path, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    assert main(["show", asked, "--config", str(file)]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()[3:4]] == [
        ["accounts", "production", "(2", "of", "2)", "production-2", "000000000003", "us-east-1"]
    ]
    assert main(["show", asked, "--config", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "target": asked,
        "held": [
            {
                "rollout": "accounts",
                "channel": "production",
                "channels": ["playground", "production"],
                "target": "production-2",
                "address": {"account": "000000000003", "region": "us-east-1"},
                "hold": "",
            }
        ],
    }


HELD = '"000000000003", hold: {reason: migration, until: "2999-12-31"}}'


def test_a_target_on_hold_is_named_everywhere(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(CHANNELS.replace('"000000000003"}', HELD))
    assert main(["plan", "accounts", "--config", str(file)]) == 0
    held = "production-2 until 2999-12-31: migration"
    assert f"on hold in production: {held}\n" in capsys.readouterr().out
    assert main(["show", "production-2", "--config", str(file)]) == 0
    assert f"on hold in accounts: {held}\n" in capsys.readouterr().out
    assert main(["plan", "accounts", "--config", str(file), "--json"]) == 0
    production = json.loads(capsys.readouterr().out)["channels"][1]
    assert production["on_hold"] == [held]
    assert production["waves"] == [["production-1", "production-3"]]


def test_a_plan_with_an_expired_hold_exits_1(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(CHANNELS.replace('"000000000003"}', HELD.replace("2999", "2020")))
    assert main(["plan", "accounts", "--config", str(file)]) == 1
    assert capsys.readouterr().err == (
        "production-2 until 2020-12-31: migration: the hold has expired: remove it, or set a "
        "later day\n"
    )


@pytest.fixture
def owing(file: Path, store: Path) -> Path:
    records = begin(bypass=Bypass(BypassTier.FLEET_WIDE, (), "CVE-2026-1", "alice"))
    owe(records, records.plan(), at=datetime(2026, 1, 5, 12, tzinfo=UTC))
    return file


def test_a_bypass_that_is_owed_is_listed_and_exits_1(
    owing: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["debt", "--config", str(owing)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    words = [line.split() for line in lines[4:7]]
    assert [each[0] for each in words] == ["accounts", "change", "c" * 12]
    told = {word for each in words for word in each}
    assert {"CVE-2026-1", "alice,", "nobody", "2026-01-12", "12:00", "OVERDUE"} <= told
    assert main(["debt", "accounts", "--config", str(owing), "--json"]) == 1
    [debt] = json.loads(capsys.readouterr().out)["debts"]
    assert (debt["run"], debt["tier"], debt["overdue"]) == ("manual__1", "fleet_wide", True)


def test_nothing_owed_exits_0(file: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["debt", "--config", str(file)]) == 0
    assert capsys.readouterr().out == "nothing is owed\n"


def test_the_debt_of_a_rollout_that_is_not_there_is_a_wrong_usage(file: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["debt", "acounts", "--config", str(file)])
    assert ended.value.code == 3


def test_show_of_a_target_that_nobody_holds_exits_1(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "production-9", "--config", str(file)]) == 1
    assert capsys.readouterr().err == (
        f"no target 'production-9' in {file}, did you mean 'production-3'?\n"
    )


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ([], "phased-rollout: error: the following arguments are required: COMMAND"),
        (["validate", "a", "b"], "phased-rollout: error: unrecognized arguments: b"),
        (["plan"], "phased-rollout plan: error: the following arguments are required: ROLLOUT"),
        (
            ["plan", "acounts"],
            "phased-rollout plan: error: no rollout 'acounts', did you mean 'accounts'?",
        ),
    ],
)
def test_a_wrong_command_line_exits_3(
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    error: str,
) -> None:
    monkeypatch.setenv("PHASED_ROLLOUT_CONFIG", str(file))
    with pytest.raises(SystemExit) as exited:
        main(command)
    assert exited.value.code == 3
    assert capsys.readouterr().err.splitlines()[-1] == error


def test_a_plan_without_any_change_is_a_wrong_command_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(CHANNELS.replace("    change: changes/longer\n", ""))
    with pytest.raises(SystemExit) as exited:
        main(["plan", "accounts", "--config", str(file)])
    assert exited.value.code == 3
    assert capsys.readouterr().err.splitlines()[-1] == (
        "phased-rollout plan: error: accounts has no change of its own: name one with --change"
    )


def test_it_starts_quickly(file: Path) -> None:
    code = "import sys; from phased_rollout.cli import main; sys.exit(main())"
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code, "validate", str(file)],
        env={"PYTHONPATH": str(PLUGINS)},
        check=True,
        capture_output=True,
    )
    after = getrusage(RUSAGE_CHILDREN)
    # 0.3 s of CPU; Airflow alone would take 2. Not wall time, which other processes stretch.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
