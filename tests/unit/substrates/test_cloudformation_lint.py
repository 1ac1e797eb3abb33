"""What cfn-lint says of a change: what blocks, what is only doubted, and whom it obeys."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from phased_rollout import changes
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.substrates.cloudformation import CloudFormationSubstrate, lint
from phased_rollout.substrates.cloudformation.lint import check

SAMPLES = sorted((Path(__file__).parents[3] / "include/changes").iterdir())
MEND = ": correct it, or add the rule to substrate.lint.ignore"
TYPO = """\
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {BucketNme: logs}
"""
FOUND = (
    "logs/template.yaml:4: Resources.Bucket.Properties.BucketNme: E3002: Additional properties are "
    f"not allowed ('BucketNme' was unexpected. Did you mean 'BucketName'?){MEND}"
)


def a_change(text: str, name: str = "template.yaml") -> Change:
    return Change(name="logs", files={name: text})


def found_in(text: str, name: str = "template.yaml", ignore: list[str] | None = None) -> list[str]:
    return check(a_change(text, name), regions=["eu-central-1"], ignore=ignore or [])


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda f: f.name)
def test_the_sample_changes_pass_so_that_only_running_them_shows_their_harm(folder: Path) -> None:
    change = changes.load(folder.name, base=folder.parent, given={})
    assert check(change, regions=["eu-central-1"], ignore=[]) == []


def test_an_error_is_told_with_file_line_and_how_to_mend_it() -> None:
    assert found_in(TYPO) == [FOUND]


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("a.json", '{"Resources": {"A": {"Type": "AWS::S3::Bucekt"}}}', "E3006"),
        ("b.yml", "Resources: {A: {Type: AWS::SNS::Topic, DependsOn: Nobody}}", "E3005"),
        ("c.template", "Resources: {A: {Type: AWS::SNS::Topic}, A: {}}", "E0000"),
        ("d.yaml", "Resources:\n  A: {Type: AWS::SQS::Queue, Properties: {DelaySeconds: 901}}", ""),
    ],
)
def test_every_template_of_a_change_is_looked_over(name: str, text: str, rule: str) -> None:
    found = found_in(text, name)
    assert found
    assert all(problem.startswith(f"logs/{name}:") for problem in found)
    assert any(rule in problem for problem in found)


def test_files_that_are_no_templates_are_left_alone() -> None:
    assert found_in(TYPO, "notes.txt") == []


def test_an_ignored_rule_is_not_heeded_nor_are_those_whose_ids_begin_so() -> None:
    assert found_in(TYPO, ignore=["E3002"]) == []
    assert found_in(TYPO, ignore=["E30"]) == []
    assert found_in(TYPO, ignore=["E3003"]) == [FOUND]


def test_a_rule_that_does_not_exist_cannot_be_ignored() -> None:
    [problem] = found_in("Resources: {A: {Type: AWS::SNS::Topic}}", ignore=["E9876"])
    assert problem.startswith("substrate.lint.ignore: cfn-lint ")
    assert problem.endswith(" has no rule E9876: remove it")


def test_warnings_are_logged_and_block_nothing(caplog: pytest.LogCaptureFixture) -> None:
    unused = "Parameters: {Unused: {Type: String}}\nResources: {A: {Type: AWS::SNS::Topic}}\n"
    assert found_in(unused) == []
    assert "logs/template.yaml:1: Parameters.Unused: W2001: Parameter Unused not used" in (
        caplog.text
    )


DOUBTFUL = {
    "a macro rewrites all of it": "Transform: [Ours]\nMore: {}\n" + TYPO,
    "a macro rewrites a part of it": TYPO.replace(
        "{BucketNme: logs}", "{'Fn::Transform': {Name: AWS::Include}, TopicName: !Ref Included}"
    ),
    "a type of a private registry": "Resources: {A: {Type: Ours::Own::Thing}}",
    "a module": "Resources: {A: {Type: Ours::Own::Thing::MODULE}}",
    "a transform that fails": "Transform: AWS::LanguageExtensions\nResources:\n"
    "  Fn::ForEach::A: [B, !GetAtt C.D, {'A${B}': {Type: AWS::SNS::Topic}}]",
}


@pytest.mark.parametrize("text", DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_cfn_lint_cannot_know_blocks_nothing(text: str) -> None:
    assert found_in(text) == []


def test_what_a_macro_may_have_made_right_is_told_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found_in(DOUBTFUL["a macro rewrites all of it"])
    assert "rewritten by Ours, so what is found here need not be wrong" in caplog.text
    assert "E3002" in caplog.text


@pytest.mark.parametrize("transform", ["AWS::Serverless-2016-10-31", "AWS::LanguageExtensions"])
def test_what_cfn_lint_expands_itself_is_checked(transform: str) -> None:
    assert "E3002" in "".join(found_in(f"Transform: {transform}\n{TYPO}"))


@pytest.mark.parametrize("text", ["Resources: {A: text, B: [c], C: {Type: [d]}}", "a", "{", "[]"])
def test_whatever_is_no_template_is_a_problem(text: str) -> None:
    assert found_in(text)


def test_a_crash_of_cfn_lint_is_no_word_against_the_change(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*_: object) -> None:
        raise KeyError("Resources")

    monkeypatch.setattr("phased_rollout.substrates.cloudformation.lint.run_template_by_data", crash)
    assert found_in(TYPO) == []
    assert "not looked over: cfn-lint failed (KeyError)" in caplog.text


def test_no_file_of_a_folder_or_home_switches_checks_off_or_brings_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "Evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (tmp_path / ".cfnlintrc").write_text(f"ignore_checks: [E]\nappend_rules: ['{rules}']\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    lint._rules.cache_clear()
    assert found_in(TYPO) == [FOUND]
    assert not (tmp_path / "ran").exists()


def test_no_template_brings_rules_and_what_it_switches_off_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "Evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    settings = f"ignore_checks: [E3002], append_rules: ['{tmp_path}'], regions: [us-east-1]"
    assert found_in(f"{TYPO}Metadata: {{cfn-lint: {{config: {{{settings}}}}}}}\n") == []
    assert not (tmp_path / "ran").exists()
    assert "the template switches these checks off itself: E3002" in caplog.text


def test_a_region_that_cfn_lint_does_not_know_is_left_out() -> None:
    assert check(a_change(TYPO), regions=["xx-nowhere-1"], ignore=[]) == [FOUND]


def test_the_substrate_checks_for_the_regions_of_its_targets() -> None:
    options = {"connection": "aws", "stack": "s", "region": "us-east-1"}
    only_there = a_change("Resources: {A: {Type: AWS::CUR::ReportDefinition}}")
    here = Target("a", {"account": "000000000001"})
    there = Target("b", {"account": "000000000002", "region": "eu-central-1"})
    substrate = CloudFormationSubstrate({**options, "lint": {"ignore": ["E3003"]}})
    assert substrate.check(only_there, [here]) == []
    [problem] = substrate.check(only_there, [here, there])
    assert "'AWS::CUR::ReportDefinition' does not exist in 'eu-central-1'" in problem


@pytest.fixture(autouse=True)
def _heard(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
