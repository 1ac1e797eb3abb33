"""Intrinsic functions, conditions and parameters, without a server."""

from __future__ import annotations

import pytest

from sandbox.aws.cloudformation.intrinsics import Scope, normal, symbol
from sandbox.aws.cloudformation.model import Parameter
from sandbox.aws.cloudformation.parameters import resolve_parameters
from sandbox.aws.cloudformation.templates import parse_template
from sandbox.aws.errors import AwsError

PARAMETERS = {
    "Days": Parameter("Days", "7", 7),
    "Zones": Parameter("Zones", "a,b", ["a", "b"]),
    "Stage": Parameter("Stage", "prod", "prod"),
}
TEMPLATE = {
    "Mappings": {"Sizes": {"prod": {"disk": "100"}, "test": {"disk": "10"}}},
    "Conditions": {
        "IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
        "IsTest": {"Fn::Not": [{"Condition": "IsProd"}]},
        "Both": {"Fn::And": [{"Condition": "IsProd"}, {"Fn::Equals": [{"Ref": "Days"}, "7"]}]},
        "Any": {"Fn::Or": [{"Condition": "IsTest"}, {"Condition": "IsTest"}]},
    },
}


def scope():
    return Scope(
        template=TEMPLATE,
        parameters=PARAMETERS,
        pseudo={"AWS::Region": "eu-central-1"},
        exports={"vpc": "vpc-1"},
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ({"Ref": "Days"}, 7),
        ({"Ref": "AWS::Region"}, "eu-central-1"),
        ({"Fn::Sub": "${Stage}-${AWS::Region}-${!Literal}"}, "prod-eu-central-1-${Literal}"),
        ({"Fn::Sub": ["${A}/${Days}", {"A": {"Ref": "Stage"}}]}, "prod/7"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Days"}]]}, "a-7"),
        ({"Fn::Select": ["1", {"Ref": "Zones"}]}, "b"),
        ({"Fn::Split": [",", "x,y"]}, ["x", "y"]),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "disk"]}, "100"),
        ({"Fn::If": ["IsProd", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsTest", "yes", "no"]}, "no"),
        ({"Fn::Base64": "x"}, "eA=="),
        ({"Fn::ImportValue": "vpc"}, "vpc-1"),
        ({"A": {"Ref": "AWS::NoValue"}, "B": [1, {"Ref": "AWS::NoValue"}]}, {"B": [1]}),
        ({"Fn::GetAtt": "Log.Arn"}, {"Fn::GetAtt": ["Log", "Arn"]}),
        (
            {"Fn::Sub": "${Stage}/${Log}"},
            {"Fn::Join": ["", ["", "prod", "/", {"Ref": "Log"}, ""]]},
        ),
        ({"Fn::Select": [0, [{"Ref": "Log"}]]}, {"Fn::Select": [0, [{"Ref": "Log"}]]}),
    ],
)
def test_functions_are_evaluated_and_resources_stay_symbols(expression, value):
    assert scope().resolve(expression, symbol) == value


def test_conditions_build_on_each_other():
    names = ("IsProd", "IsTest", "Both", "Any")
    assert {name: scope().holds(name) for name in names} == {
        "IsProd": True, "IsTest": False, "Both": True, "Any": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "expression",
    [{"Fn::FindInMap": ["Sizes", "gone", "disk"]}, {"Fn::Nope": 1}, {"Fn::ImportValue": "gone"},
     {"Fn::If": ["Gone", 1, 2]}, {"Fn::Select": [5, ["a"]]}],
)  # fmt: skip
def test_what_cannot_be_evaluated_is_a_validation_error(expression):
    with pytest.raises(AwsError) as caught:
        scope().resolve(expression, symbol)
    assert caught.value.code == "ValidationError"


def test_scalars_compare_as_text():
    assert normal({"a": [30, True, "x"]}) == normal({"a": ["30", "true", "x"]})


def test_yaml_is_read_as_cloudformation_reads_it():
    text = """
AWSTemplateFormatVersion: 2010-09-09
Resources:
  T:
    Type: AWS::SNS::Topic
    Properties: {TopicName: !If [C, !Sub "${AWS::Region}-x", !GetAtt T.TopicName]}
"""
    template = parse_template(text)
    assert (template["AWSTemplateFormatVersion"], template["Resources"]["T"]["Properties"]) == (
        "2010-09-09",
        {
            "TopicName": {
                "Fn::If": [
                    "C",
                    {"Fn::Sub": "${AWS::Region}-x"},
                    {"Fn::GetAtt": ["T", "TopicName"]},
                ]
            }
        },
    )


@pytest.mark.parametrize(
    ("spec", "value", "problem"),
    [
        ({"AllowedPattern": "[a-z]+"}, "A", "Parameter 'P' must match pattern [a-z]+"),
        ({"AllowedPattern": "[a-z]+", "ConstraintDescription": "lower case"}, "A",
         "Parameter 'P' failed to satisfy constraint: lower case"),
        ({"MinLength": 2}, "a", "Parameter 'P' must contain at least 2 characters"),
        ({"MaxLength": 2}, "abc", "Parameter 'P' must contain at most 2 characters"),
        ({"Type": "Number", "MinValue": 2}, "1", "Parameter 'P' must be a number not less than 2"),
        ({"Type": "Number", "MaxValue": 2}, "3",
         "Parameter 'P' must be a number not greater than 2"),
        ({"Type": "List<Number>"}, "1,x", "Parameter 'P' must be a number"),
    ],
)  # fmt: skip
def test_parameters_obey_their_constraints(spec, value, problem):
    with pytest.raises(AwsError) as caught:
        resolve_parameters(
            declared={"P": spec},
            submitted=[{"ParameterKey": "P", "ParameterValue": value}],
            previous={},
            read_ssm=lambda _: None,
        )
    assert caught.value.message == problem


@pytest.mark.parametrize(
    ("submitted", "problem"),
    [
        ([], "Parameters: [P] must have values"),
        ([{"ParameterKey": "P", "UsePreviousValue": "true"}],
         "Invalid input for parameter key P. Cannot specify usePreviousValue as true for a "
         "parameter key not in the previous template"),
        ([{"ParameterKey": "P", "UsePreviousValue": "true", "ParameterValue": "x"}],
         "Invalid input for parameter key P. Need to specify either usePreviousValue as true or a "
         "value for the parameter"),
    ],
)  # fmt: skip
def test_every_parameter_needs_one_source_of_its_value(submitted, problem):
    with pytest.raises(AwsError) as caught:
        resolve_parameters(
            declared={"P": {}}, submitted=submitted, previous={}, read_ssm=lambda _: None
        )
    assert caught.value.message == problem
