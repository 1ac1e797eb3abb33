"""The sample changes, rolled over a seeded account as the product would."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.aws.seed import ALARM, CHANGES, seed

ALL = sorted(folder.name for folder in CHANGES.iterdir())


def load(name: str, *, channel: str = "playground") -> dict[str, Any]:
    """A sample as arguments for a change set in one channel."""
    settings = yaml.safe_load((CHANGES / name / "change.yaml").read_text())
    overrides = settings.get("overrides", {}).get("channels", {}).get(channel, {})
    parameters = settings.get("parameters", {}) | overrides
    return {
        "template": (CHANGES / name / "template.yaml").read_text(),
        "parameters": {key: str(value) for key, value in parameters.items()},
        "tags": settings.get("tags", {}),
    }


def change_of(account, name, **kwargs):
    sample = load(name, **kwargs)
    return account.change_set(sample.pop("template"), **sample)


def changes(description):
    return [
        (c["ResourceChange"]["Action"], c["ResourceChange"]["LogicalResourceId"],
         c["ResourceChange"].get("Replacement"))
        for c in description["Changes"]
    ]  # fmt: skip


def alarm(account):
    found = account.client("cloudwatch").describe_alarms(AlarmNames=[ALARM])["MetricAlarms"][0]
    return found["StateValue"], found.get("StateReason")


@pytest.fixture
def seeded(account, until):
    seed(account.aws, [account.id], "eu-central-1", denied_account=account.id)
    until(lambda: alarm(account)[0] == "OK")
    return account


def test_the_samples_are_those_of_the_documentation():
    assert ALL == ["audit-queue", "initial", "longer-retention", "metadpata", "wrong-pointer"]


def test_cfn_lint_passes_for_every_sample():
    lint = shutil.which("cfn-lint", path=str(Path(sys.executable).parent)) or "cfn-lint"
    templates = [str(CHANGES / name / "template.yaml") for name in ALL]
    done = subprocess.run(
        [lint, "-r", "eu-central-1", "-t", *templates], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0)


def test_seeding_again_changes_nothing(seeded):
    before = seeded.stack()
    seed(seeded.aws, [seeded.id], "eu-central-1", denied_account=seeded.id)
    assert seeded.stack() == before
    unchanged = change_of(seeded, "initial")
    assert unchanged["Status"] == "FAILED"


@pytest.mark.parametrize(("channel", "days"), [("playground", 30), ("production", 365)])
def test_longer_retention_is_a_change_in_place(seeded, channel, days):
    change = change_of(seeded, "longer-retention", channel=channel)
    assert changes(change) == [("Modify", "AuditLog", "False")]
    assert seeded.execute(change) == "UPDATE_COMPLETE"
    (group,) = seeded.client("logs").describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == days


def test_metadpata_applies_and_sets_off_the_alarm_until_it_is_rolled_back(seeded, until):
    change = change_of(seeded, "metadpata")
    assert changes(change) == [("Modify", "Metadata", "True")]
    assert seeded.execute(change) == "UPDATE_COMPLETE"
    until(lambda: alarm(seeded)[0] == "ALARM")
    assert alarm(seeded)[1] == "the application cannot read its configuration /baseline/metadata"
    seeded.execute(change_of(seeded, "initial"))
    until(lambda: alarm(seeded)[0] == "OK")


def test_wrong_pointer_looks_harmless_and_sets_off_the_alarm(seeded, until):
    change = change_of(seeded, "wrong-pointer")
    assert changes(change) == [("Modify", "Pointer", "False")]
    assert seeded.execute(change) == "UPDATE_COMPLETE"
    until(lambda: alarm(seeded)[0] == "ALARM")
    assert alarm(seeded)[1] == "the application cannot read its configuration /baseline/metadpata"


def test_audit_queue_is_refused_where_a_policy_forbids_queues(seeded, until):
    change = change_of(seeded, "audit-queue")
    assert changes(change) == [("Add", "AuditQueue", None)]
    assert seeded.execute(change) == "UPDATE_ROLLBACK_COMPLETE"
    assert seeded.stack()["Parameters"][0]["ParameterValue"] == "14"
    seeded.aws.clear_denials()
    assert seeded.execute(change_of(seeded, "audit-queue")) == "UPDATE_COMPLETE"
    assert len(seeded.client("sqs").list_queues()["QueueUrls"]) == 1


def test_twelve_accounts_are_seeded_side_by_side(aws):
    accounts = [f"3000000000{number:02}" for number in range(12)]
    seed(aws, accounts, "eu-central-1")
    found = {
        account: aws.client("cloudformation", account).describe_stacks()["Stacks"][0]["StackStatus"]
        for account in accounts
    }
    assert found == dict.fromkeys(accounts, "CREATE_COMPLETE")
