"""What is submitted: templates from a bucket, capabilities, service roles."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.conftest import REGION

TOPIC = "Resources: {Topic: {Type: AWS::SNS::Topic}}\n"
MACRO = "Transform: AWS::LanguageExtensions\n"
ROLE = """\
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {AssumeRolePolicyDocument: {Version: '2012-10-17', Statement: []}}
"""
NEW = {"StackName": "baseline", "ChangeSetName": "a", "ChangeSetType": "CREATE"}
S3_ERRORS = "http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"


def bucket(account):
    s3, name = account.client("s3"), f"bucket-{account.id}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=name, Key="folder/a b", Body=TOPIC.encode())
    return name


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.eu-central-1.amazonaws.com/{}/folder/a%20b",
        "https://{}.s3.eu-central-1.amazonaws.com/folder/a%20b",
        "https://s3.amazonaws.com/{}/folder/a%20b",
    ],
)
def test_a_template_may_lie_in_a_bucket_of_the_account(account, url):
    account.cfn.create_stack(StackName="baseline", TemplateURL=url.format(bucket(account)))
    assert account.settled() == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "https://s3.eu-central-1.amazonaws.com/{}/none",
            f"S3 error: The specified key does not exist.\nFor more information check {S3_ERRORS}",
        ),
        (
            "https://s3.eu-central-1.amazonaws.com/of-nobody/none",
            "S3 error: The specified bucket does not exist\n"
            f"For more information check {S3_ERRORS}",
        ),
        ("https://example.com/{}/folder/a%20b", "TemplateURL must be a supported URL."),
    ],
)
def test_a_template_that_is_not_there_is_refused_as_aws_does(account, refused, url, said):
    where = url.format(bucket(account))
    answer = refused(account.cfn.create_stack, StackName="baseline", TemplateURL=where)
    assert answer == ("ValidationError", said)


def test_a_bucket_is_its_owners_alone(aws, account, refused):
    name, other = bucket(account), "999000000001"
    url = f"https://s3.{REGION}.amazonaws.com/{name}/folder/a%20b"
    stranger = aws.client("cloudformation", other)
    code, said = refused(stranger.create_stack, StackName="baseline", TemplateURL=url)
    assert (code, said.splitlines()[0]) == ("ValidationError", "S3 error: Access Denied")
    for who, owner in ((other, account.id), (other, other), (account.id, other)):
        put = aws.client("s3", who).put_object
        sent = {"Bucket": name, "Key": "x", "Body": b"", "ExpectedBucketOwner": owner}
        assert refused(put, **sent) == ("AccessDenied", "Access Denied")


def test_a_stack_needs_leave_to_expand_macros_and_a_change_set_does_not(account, refused):
    template = MACRO + TOPIC
    assert refused(account.cfn.create_stack, StackName="baseline", TemplateBody=template) == (
        "InsufficientCapabilitiesException",
        "Requires capabilities : [CAPABILITY_AUTO_EXPAND]",
    )
    made = account.cfn.create_change_set(**NEW, TemplateBody=template)
    assert account.evaluated(made["Id"])["Status"] == "CREATE_COMPLETE"


def test_what_a_macro_made_needs_capabilities_only_once_it_is_expanded(account, refused):
    said = "Requires capabilities : [CAPABILITY_IAM]"
    assert refused(account.cfn.create_change_set, **NEW, TemplateBody=ROLE) == (
        "InsufficientCapabilitiesException",
        said,
    )
    made = account.cfn.create_change_set(**NEW, TemplateBody=MACRO + ROLE)
    found = account.evaluated(made["Id"])
    assert (found["Status"], found["StatusReason"]) == ("FAILED", said)


def test_characters_beyond_ascii_come_back_as_question_marks(account):
    account.create(TOPIC + "# Gerät\n")
    assert account.cfn.get_template(StackName="baseline")["TemplateBody"] == TOPIC + "# Ger?t\n"


def test_what_a_failed_rollback_could_not_delete_goes_with_the_stack(aws, account, until):
    template = TOPIC.replace("}}", "}, P: {Type: AWS::SSM::Parameter, DependsOn: Topic}}")
    aws.deny(account=account.id, resource_type="AWS::SSM::Parameter", reason="no")
    stuck = aws.deny(account=account.id, resource_type="AWS::SNS::Topic", actions=("delete",))
    assert account.create(template) == "ROLLBACK_FAILED"
    aws.clear_denials(stuck)
    account.cfn.delete_stack(StackName="baseline")
    until(lambda: account.client("sns").list_topics()["Topics"] == [])


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_a_template_comes_from_a_bucket_of_the_regions_own_partition(aws, account, region):
    s3 = aws.client("s3", account.id, region=region)
    where = {"LocationConstraint": region}
    s3.create_bucket(Bucket=f"abroad-{account.id}", CreateBucketConfiguration=where)
    s3.put_object(Bucket=f"abroad-{account.id}", Key="t", Body=TOPIC.encode())
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    cfn = aws.client("cloudformation", account.id, region=region)
    url = f"https://s3.{region}.{suffix}/abroad-{account.id}/t"
    assert cfn.validate_template(TemplateURL=url)["Parameters"] == []
