"""Templates that are too long for a request, over HTTP against the embedded AWS."""

from __future__ import annotations

from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest

from phased_rollout.aws import Access
from phased_rollout.errors import ChangeError, RefusedError, UnreachableError
from phased_rollout.model.target_state import Outcome
from phased_rollout.substrates.cloudformation.bucket import keep
from tests.unit.substrates.conftest import TEMPLATE, World

LONG = TEMPLATE + "#" + "x" * 60_000 + "\n"
LONGER = LONG.replace("Type: String, Value", "Type: String, Description: more, Value")


def bucket_of(world: World) -> str:
    return f"templates-{world.account}-{world.region}"


@pytest.fixture
def world(world: World) -> World:
    world.options["bucket"] = "templates-{account}-{region}"
    create(world, bucket_of(world))
    return world


def create(world: World, name: str) -> None:
    where = {"LocationConstraint": world.region}
    world.client_of("s3").create_bucket(Bucket=name, CreateBucketConfiguration=where)


def objects(world: World) -> list[str]:
    found = world.client_of("s3").list_objects_v2(Bucket=bucket_of(world)).get("Contents", [])
    return [each["Key"] for each in found]


def key_of(template: str) -> str:
    return f"phased-rollout/{sha256(template.encode()).hexdigest()}"


def test_a_long_template_goes_through_the_bucket_and_reads_back(world: World) -> None:
    wanted = world.artifact(LONG)
    assert world.apply(wanted).outcome is Outcome.DONE
    assert world.substrate.verify(world.target, wanted).digest == wanted.digest
    assert objects(world) == [key_of(LONG)]
    assert world.value() == "info"


def test_a_short_template_needs_no_bucket(world: World) -> None:
    world.apply(world.artifact())
    assert objects(world) == []


def test_what_runs_already_is_not_uploaded(world: World) -> None:
    world.apply(world.artifact(LONG))
    world.aws.clear_calls()
    world.apply(world.artifact(LONG), token="bbbb-1")
    assert world.aws.calls(account=world.account, service="s3") == []


def test_an_earlier_long_template_is_uploaded_again_and_restored(world: World) -> None:
    world.apply(world.artifact(LONG), token="0000-1")
    before = world.read()
    world.client_of("s3").delete_object(Bucket=bucket_of(world), Key=key_of(LONG))
    changed = world.artifact(LONGER)
    world.apply(changed)
    assert world.restore(before, changed).outcome is Outcome.DONE
    assert world.read().running == before.running
    assert sorted(objects(world)) == sorted([key_of(LONG), key_of(LONGER)])


def test_a_preview_of_a_long_template_leaves_nothing_in_cloudformation(world: World) -> None:
    found = world.substrate.preview(world.target, world.artifact(LONG), token="aaaa-p")
    assert [d.resource for d in found.differences] == ["Setting"]
    assert world.status() is None


def test_a_bucket_of_somebody_else_is_never_written(aws: Any, world: World) -> None:
    stranger = World(aws)
    create(stranger, "a-common-name")
    world.options["bucket"] = "a-common-name"
    with pytest.raises(UnreachableError, match=r"AccessDenied.*'a-common-name': create it in this"):
        world.apply(world.artifact(LONG))
    found = stranger.client_of("s3").list_objects_v2(Bucket="a-common-name")
    assert found["KeyCount"] == 0


def test_the_owner_of_the_bucket_is_told_to_s3(world: World) -> None:
    sent: dict[str, Any] = {}
    access = Access("aws", world.account, world.region)
    hook: Any = SimpleNamespace(access=access, call=lambda _, **given: sent.update(given))
    keep(hook, "b-{account}", "text")
    assert (sent["Bucket"], sent["ExpectedBucketOwner"]) == (f"b-{world.account}", world.account)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "s3.eu-central-1.amazonaws.com"),
        ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "s3.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_url_is_one_of_the_regions_partition(region: str, host: str) -> None:
    access = Access("aws", "111122223333", region)
    hook: Any = SimpleNamespace(access=access, call=lambda *_, **__: {})
    assert keep(hook, "b-{region}", "text") == f"https://{host}/b-{region}/{key_of('text')}"


def test_a_bucket_that_is_not_there_is_named_with_what_to_do(world: World) -> None:
    world.options["bucket"] = "nowhere-{account}"
    with pytest.raises(
        UnreachableError, match=rf"does not exist.*nowhere-{world.account}.*PutObject"
    ):
        world.substrate.preview(world.target, world.artifact(LONG), token="aaaa-p")
    assert world.status() is None


def test_an_object_that_cloudformation_does_not_find_is_a_refusal_in_its_words(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"https://s3.{world.region}.amazonaws.com/{bucket_of(world)}/nothing"
    monkeypatch.setattr("phased_rollout.substrates.cloudformation.api.keep", lambda *_: url)
    with pytest.raises(RefusedError, match="S3 error: The specified key does not exist"):
        world.apply(world.artifact(LONG))
    assert world.status() is None


def test_an_upload_whose_reply_was_lost_is_made_again(world: World) -> None:
    operation = f"PUT /{bucket_of(world)}/{key_of(LONG)}"
    world.aws.fault("lost_reply", account=world.account, operation=operation)
    with pytest.raises(UnreachableError):
        world.apply(world.artifact(LONG))
    assert world.aws.faults() == []
    assert world.apply(world.artifact(LONG)).outcome is Outcome.DONE
    assert world.started() == ["CREATE"]


def test_the_guard_of_mutations_holds_uploads_too(world: World) -> None:
    def armed() -> Any:
        raise KeyError("armed")

    with pytest.raises(KeyError):
        world.substrate.apply(world.target, world.artifact(LONG), token="aaaa-1", mutation=armed)
    assert objects(world) == []


def test_more_than_a_million_bytes_go_nowhere(world: World) -> None:
    with pytest.raises(ChangeError, match=r"1,000,\d+ bytes; CloudFormation takes at most"):
        world.artifact(TEMPLATE + "#" + "x" * 1_000_000)


def test_what_ran_before_and_is_too_long_to_be_submitted_is_said(world: World) -> None:
    world.apply(world.artifact(LONG), token="0000-1")
    before = world.read()
    del world.options["bucket"]
    changed = world.artifact(given={"Level": "debug"})
    found = world.substrate.preview(world.target, changed, token="aaaa-p").irreversible
    size = f"{len(LONG):,} bytes; CloudFormation takes at most 51,200 without a bucket"
    assert found == (f"the earlier template cannot be restored: {size}",)
    world.apply(changed)
    with pytest.raises(RefusedError, match="cannot be restored: its earlier template has 60,"):
        world.restore(before, changed)


def test_two_regions_of_an_account_have_buckets_of_their_own(aws: Any, world: World) -> None:
    other = World(aws, account=world.account, region="eu-west-1")
    other.options["bucket"] = world.options["bucket"]
    create(other, bucket_of(other))
    for each in (world, other):
        assert each.apply(each.artifact(LONG)).outcome is Outcome.DONE
        assert objects(each) == [key_of(LONG)]
