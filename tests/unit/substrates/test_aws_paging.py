"""Whatever AWS answers in pages is read to its end: pages of one item change nothing."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout.errors import RefusedError
from phased_rollout.model.target_state import Outcome
from tests.unit.substrates.conftest import TEMPLATE, World

MORE = TEMPLATE.replace(
    "Outputs:",
    "".join(
        f"  More{n}:\n    Type: AWS::SSM::Parameter\n"
        f"    Properties: {{Name: /app/more-{n}, Type: String, Value: x}}\n"
        for n in range(4)
    )
    + "Outputs:",
)


def others(world: World) -> None:
    """Let somebody else have change sets of the stack."""
    for number in range(3):
        world.client.create_change_set(
            StackName="app", ChangeSetName=f"other-{number}", TemplateBody=MORE,
            Tags=[{"Key": "n", "Value": str(number)}],
        )  # fmt: skip


def walked(world: World) -> list[Any]:
    """Create, preview, fail to change, change, restore: what each step says of the stack."""
    first, second = world.artifact(), world.artifact(MORE)
    absent = world.read()
    seen: list[Any] = [absent, world.apply(first).outcome]
    earlier = world.read()
    others(world)
    seen.append(world.substrate.preview(world.target, second, token="aaaa-p"))
    refusal = world.aws.deny(
        account=world.account, resource_type="AWS::SSM::Parameter", logical_id="More3"
    )
    with pytest.raises(RefusedError, match=r"More3 .*explicit deny"):
        world.apply(second, token="aaaa-2")
    world.aws.clear_denials(refusal)
    seen.append(world.apply(second, token="aaaa-3").outcome)
    seen.append(world.read().digest == second.digest)
    others(world)
    seen.append(world.restore(earlier, second, token="aaaa-restore").outcome)
    seen.append(world.read().digest == first.digest)
    seen.append(world.restore(absent, first, token="aaaa-gone").outcome)
    return [*seen, world.read()]


def test_pages_of_one_item_change_nothing(world: World) -> None:
    whole = walked(world)
    assert [w for w in whole if isinstance(w, Outcome)] == [Outcome.DONE] * 4
    assert len(whole[2].differences) == 4
    other = World(world.aws)
    with world.aws.with_settings(page_size=1):
        assert walked(other) == whole
    for operation in ("DescribeChangeSet", "DescribeStackEvents", "ListChangeSets"):
        tokens = [c["params"].get("NextToken") for c in other.calls(operation)]
        assert any(tokens), f"{operation} was not read to its end"
