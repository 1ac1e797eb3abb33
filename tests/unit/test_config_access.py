"""``via``: the roles on the way to the targets' own, as channels.yaml gives them."""

from __future__ import annotations

from pathlib import Path

import pytest

from phased_rollout import config
from phased_rollout.aws import Access, Hop
from phased_rollout.errors import ConfigError
from tests.unit.test_config import GOOD

HUB, INNER = "arn:aws:iam::888888888888:role/hub", "arn:aws:iam::777777777777:role/a/inner"


def with_via(tmp_path: Path, via: str) -> Path:
    path = tmp_path / "channels.yaml"
    path.write_text(GOOD.replace("      role:", f"      via: {via}\n      role:"))
    return path


def test_roles_on_the_way_reach_the_substrate_and_its_signals(tmp_path: Path) -> None:
    path = with_via(tmp_path, f"[{{role: {HUB}, external_id: x-1}}, {{role: {INNER}}}]")
    definition = config.load(path).definitions["accounts"]
    target = {"account": "111122223333", "region": "eu-central-1"}
    signal = definition.channels[0].signals[0]
    for options in (definition.substrate.options, signal.options):
        assert Access.of(options, target).via == (Hop(HUB, "x-1"), Hop(INNER))


@pytest.mark.parametrize(
    ("via", "problem"),
    [
        (HUB, f"via: must be a list, not {HUB}"),
        ("[{}]", "via[0].role: missing: set it"),
        (f"[{{rol: {HUB}, role: {HUB}}}]", "via[0].rol: unknown key, did you mean 'role'?"),
        (
            f"[{{role: {HUB}}}, {{role: inner}}]",
            "via[1].role: inner is no role's ARN: write one such as "
            "arn:aws:iam::111122223333:role/hub",
        ),
        (
            f"[{{role: {HUB}, external_id: x}}]",
            "via[0].external_id: x is no external id: 2 to 1224 letters, digits and +=,.@:/-_",
        ),
    ],
)
def test_what_is_wrong_with_via_is_said_with_its_line(
    tmp_path: Path, via: str, problem: str
) -> None:
    path = with_via(tmp_path, via)
    with pytest.raises(ConfigError) as error:
        config.load(path)
    assert error.value.problems == [f"{path}:10: rollouts.accounts.substrate.{problem}"]
