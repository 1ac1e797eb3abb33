"""The tests' own measure of what was done, against every fault."""

from __future__ import annotations

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.unit.substrates.conftest import TEMPLATE, World


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        ("error", 0),
        ("error_500", 0),
        ("error_503", 0),
        ("denied", 0),
        ("throttle", 0),
        ("timeout", 0),
        ("reset", 0),
        ("not_xml", 0),
        ("lost_reply", 1),
        ("lost_503", 1),
        ("reset_after", 1),
    ],
)
def test_only_what_had_an_effect_counts_as_done(world: World, fault: str, done: int) -> None:
    world.aws.fault(fault, account=world.account, operation="CreateStack", seconds=0.01)
    with pytest.raises((BotoCoreError, ClientError, ValueError)):
        world.client.create_stack(StackName="app", TemplateBody=TEMPLATE)
    assert world.done("CreateStack") == done
    assert len(world.started()) == done


def test_what_is_refused_while_the_reply_is_lost_was_not_done(world: World) -> None:
    world.aws.fault("lost_503", account=world.account, operation="UpdateStack")
    with pytest.raises(ClientError, match="does not exist"):
        world.client.update_stack(StackName="app", TemplateBody=TEMPLATE)
    assert world.done("UpdateStack") == 0
