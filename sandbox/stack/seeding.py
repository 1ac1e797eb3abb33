"""Gives the sandbox AWS the accounts and hosts of the configuration, and what runs there.

``python -m sandbox.stack.seeding CHANNELS_YAML ENDPOINT`` does so for one that runs already.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phased_rollout.config import load
from phased_rollout.config.fleets import TAG
from phased_rollout.model.definition import Config
from sandbox.aws.client import SandboxAws
from sandbox.aws.seed import seed

_KIND = "cloudformation"
_SCENE_OF_DENIAL = "test"
_SIZES = [2, 6, 60]
_FILES = {"/opt/web/releases/1.5.0/manifest": "web 1.5.0\n"}


@dataclass(frozen=True, slots=True)
class Seeding:
    """Accounts that begin with the same stack in a region; `denied` may not have queues."""

    stack: str
    region: str
    accounts: tuple[str, ...]
    denied: str | None = None


def seed_from(config: Path, *, endpoint: str) -> None:
    """Give every account of a channels.yaml its initial stack, and every slice its hosts.

    :raises ConfigError: when the file cannot be used
    :raises SandboxError: when a stack does not get there
    """
    aws = SandboxAws(endpoint)
    for one in plan_seeding(load(config)):
        seed(aws, one.accounts, one.region, stack=one.stack, denied_account=one.denied)
    if hosts := hosts_of(load(config)):
        aws.hosts(*hosts)
    aws.clear_calls()


def plan_seeding(config: Config) -> Sequence[Seeding]:
    """Say what to seed for all definitions of a configuration.

    The last account of a channel `test` may not have queues: that is where the sample change
    audit-queue fails.
    """
    accounts: dict[tuple[str, str], list[str]] = {}
    denied: dict[tuple[str, str], str] = {}
    for definition in config.definitions.values():
        if definition.substrate.kind != _KIND:
            continue
        for channel in definition.channels:
            for target in channel.targets:
                place = (definition.substrate.options["stack"], target.address["region"])
                accounts.setdefault(place, []).append(target.address["account"])
                if channel.name == _SCENE_OF_DENIAL:
                    denied[place] = target.address["account"]
    return [
        Seeding(stack, region, tuple(dict.fromkeys(found)), denied.get((stack, region)))
        for (stack, region), found in accounts.items()
    ]


def hosts_of(config: Config) -> list[dict[str, Any]]:
    """Make up the hosts of slices: two of the first channel, and ever more of later ones.

    They have what the sample change of the example needs, and nothing of the other one.
    """
    hosts = []
    for definition in config.definitions.values():
        slices = definition.channels if definition.substrate.kind == "ssm" else ()
        for channel, count in zip(slices, _SIZES + [_SIZES[-1]] * len(slices), strict=False):
            for target in channel.targets:
                where = {k: v for k, v in target.address.items() if not k.startswith(TAG)}
                tags = {
                    k.removeprefix(TAG): v for k, v in target.address.items() if k.startswith(TAG)
                }
                hosts += [
                    {**where, "id": f"i-{target.name}-{n}", "tags": tags, "files": _FILES}
                    for n in range(1, count + 1)
                ]
    return hosts


if __name__ == "__main__":
    seed_from(Path(sys.argv[1]), endpoint=sys.argv[2])
