"""What a change becomes for one target."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.target_state import Artifact
from phased_rollout.substrates.cloudformation.spec import StackSpec
from phased_rollout.substrates.cloudformation.template import (
    artifact,
    canonical,
    parsed,
    render,
)

YAML = """\
Parameters:
  Account: {Type: String, Default: 0123}
  Ratio: {Type: Number, Default: 0.10}
  On: {Type: String, Default: yes}
  Needed: {Type: String}
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Condition: !Equals [!Ref On, yes]
    Properties:
      BucketName: !Sub '${Account}-x'
      Tags: !If [x, !Ref 'AWS::NoValue', {Fn::GetAtt: [a, b]}]
"""


def rendered(template: str, name: str = "template.yaml", **change: Any) -> Artifact:
    return render(
        Change(name="c", files={name: template}, **change),
        [StackSpec("app")],
        channel="test",
        target="t1",
        has_bucket=False,
    )["app"]


def test_scalars_of_yaml_stay_the_text_that_was_written() -> None:
    found = rendered(YAML, given={"Needed": "1"})
    assert found.body["parameters"] == {
        "Account": "0123",
        "Ratio": "0.10",
        "On": "yes",
        "Needed": "1",
    }


def test_defaults_in_json_become_text() -> None:
    text = (
        '{"Parameters": {"A": {"Type": "Number", "Default": 0.10}, "B": {"Type": "String",'
        ' "Default": true}}, "Resources": {"X": {"Type": "AWS::SNS::Topic"}}}'
    )
    assert rendered(text, "template.json").body["parameters"] == {"A": "0.10", "B": "true"}


def test_parameters_come_from_the_change_its_channel_its_target_and_the_operator() -> None:
    def needed(**change: Any) -> str:
        value = rendered(YAML, **change).body["parameters"]["Needed"]
        return str(value)

    layers: dict[str, Any] = {"parameters": {"Needed": "change"}}
    assert needed(**layers) == "change"
    layers["channels"] = {"test": {"Needed": "channel"}, "other": {"Needed": "no"}}
    assert needed(**layers) == "channel"
    layers["targets"] = {"t1": {"Needed": "target"}}
    assert needed(**layers) == "target"
    assert needed(**layers, given={"Needed": "operator"}) == "operator"


def test_every_undeclared_and_every_missing_parameter_is_named_at_once() -> None:
    with pytest.raises(ChangeError) as error:
        rendered(YAML, given={"Wrong": "1", "Alien": "2"})
    assert "'Wrong' is given but no template declares it" in str(error.value)
    assert "'Alien' is given" in str(error.value)
    assert "'Needed' has no default" in str(error.value)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", "no `Resources`"),
        ("Resources: {}", "empty"),
        ("Resources: [", "neither JSON nor YAML"),
        ("- a\n- b", "no `Resources`"),
        ("Resources: {A: {}}\nParameters: [x]", "no mapping"),
    ],
)
def test_a_template_that_is_none_is_refused_in_words(template: str, text: str) -> None:
    with pytest.raises(ChangeError, match=text):
        rendered(template)


def test_a_change_has_exactly_one_template() -> None:
    with pytest.raises(ChangeError, match="give exactly one of"):
        rendered(YAML, "other.yaml")


def test_a_template_too_long_for_a_request_is_refused_in_words() -> None:
    long = YAML + "# " + "x" * 51_200
    with pytest.raises(ChangeError, match="at most 51,200 without a bucket"):
        rendered(long, given={"Needed": "1"})


def test_a_literal_value_for_a_noecho_parameter_is_refused_without_repeating_it() -> None:
    template = "Parameters: {P: {Type: String, NoEcho: true}}\nResources: {A: {Type: X}}"
    with pytest.raises(ChangeError, match="dynamic reference") as error:
        rendered(template, given={"P": "hunter2"})
    assert "hunter2" not in str(error.value)


def test_a_noecho_reference_is_kept_for_the_apply_but_is_no_part_of_the_digest() -> None:
    template = "Parameters: {P: {Type: String, NoEcho: true}}\nResources: {A: {Type: X}}"
    reference = "{{resolve:secretsmanager:db:SecretString:password}}"
    found = rendered(template, given={"P": reference})
    assert found.body["parameters"] == {"P": reference}
    assert found.body["hidden"] == ["P"]
    assert found.digest == rendered(template).digest


def test_the_digest_ignores_what_does_not_read_back() -> None:
    given = {"Needed": "1"}
    plain = rendered(YAML, given=given)
    assert rendered(YAML.replace("\n", "\r\n") + "\n\n", given=given).digest == plain.digest
    assert rendered(YAML, given=given, capabilities=("CAPABILITY_IAM",)).digest == plain.digest
    # CloudFormation reads back a question mark for whatever is not ASCII.
    assert rendered(YAML + "# é", given=given).digest == rendered(YAML + "# ?", given=given).digest


def test_the_digest_names_template_parameters_and_tags() -> None:
    digests = {
        rendered(YAML, given={"Needed": "1"}).digest,
        rendered(YAML, given={"Needed": "2"}).digest,
        rendered(YAML + "# x", given={"Needed": "1"}).digest,
        rendered(YAML, given={"Needed": "1"}, tags={"a": "b"}).digest,
    }
    assert len(digests) == 4


def test_the_formatting_of_json_is_no_part_of_the_digest() -> None:
    one = '{"Resources": {"X": {"Type": "A", "Properties": {"N": 1.5}}}}'
    two = '{\n "Resources":{"X":{"Properties":{"N":1.5},"Type":"A"}}}'
    assert rendered(one, "template.json").digest == rendered(two, "template.json").digest


def test_aliases_that_would_expand_to_too_much_are_refused() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{n}: &{n} [*{p}, *{p}, *{p}, *{p}]\n"
        for p, n in zip("abcdefghij", "bcdefghijk", strict=True)
    )
    with pytest.raises(ChangeError, match="more than 500,000 values with all aliases expanded"):
        parsed(bomb + "Resources: {A: {Type: X}}")


def test_a_template_that_nests_too_deep_is_refused_before_it_ends_the_process() -> None:
    with pytest.raises(ChangeError, match="nested more than 100 levels"):
        parsed("Resources: " + "[" * 200_000)


TAGS = """\
Parameters: {A: {Type: String, Default: 1}}
Resources:
  X:
    Type: T
    Condition: C
    Properties:
      All:
        - !Ref A
        - !GetAtt X.Y.Z
        - !GetAtt [X, Y]
        - !Sub "${A} ${!B}"
        - !Sub ["${B}", {B: !ImportValue {"Fn::Sub": "${A}-x"}}]
        - !If [C, !FindInMap [M, !Ref A, k], !Ref "AWS::NoValue"]
        - !Join [",", !Split [";", !Select [0, !GetAZs ""]]]
        - !Base64 {"Fn::Join": ["", []]}
        - !Cidr [!GetAtt V.CidrBlock, 6, 8]
        - !Transform {Name: AWS::Include, Parameters: {Location: s3://b/k}}
        - !And [!Condition C, !Or [!Not [!Equals [a, b]], !Condition D]]
        - !Length [1]
        - !ToJsonString {a: b}
"""


def test_a_template_with_every_short_form_has_the_digest_of_what_reads_back() -> None:
    wanted = rendered(TAGS)
    read_back = artifact(
        TAGS.rstrip(), parameters={"A": "1"}, hidden=frozenset(), tags={}, capabilities=()
    )
    assert wanted.body["parameters"] == {"A": "1"}
    assert wanted.digest == read_back.digest


def test_what_somebody_nested_too_deep_is_compared_as_it_stands() -> None:
    text = "[" * 200_000
    assert canonical(f"{text}\r\n") == f"{text}\n"
