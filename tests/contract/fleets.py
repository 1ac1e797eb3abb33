"""Fleets before the suite: two hosts in an account of the embedded AWS for each target.

What a host shows are its files; whoever changes it by hand changes what it reports as well.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from phased_rollout import aws as sessions
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.substrates.ssm import FleetSubstrate
from sandbox.aws.client import SandboxAws
from tests.contract.harness import await_so

REGION = "eu-central-1"
CONNECTION = "contract_fleets"
DOCUMENT = "Contract-Deploy"
_CONTENT = {
    "schemaVersion": "2.2",
    "parameters": {
        "Shown": {"type": "String"},
        "Extra": {"type": "String", "default": ""},
        "Mark": {"type": "String"},
    },
    "mainSteps": [
        {
            "action": "aws:runShellScript",
            "name": "deploy",
            "inputs": {
                "runCommand": [
                    "set -e",
                    "echo '{{ Shown }}' > /shown",
                    "test '{{ Extra }}' != 'forbidden' || cat /not-today",
                    "test -n '{{ Extra }}' && echo '{{ Extra }}' > /extra || rm -f /extra",
                    "echo '{{ Mark }}' > /mark",
                ]
            },
        }
    ],
}
_REMOVE = """\
remove:
  document: AWS-RunShellScript
  version: "1"
  parameters: {commands: "rm -f /shown /extra /mark"}
"""
_LOST = (("PutParameter", 0), ("PutParameter", 1), ("PutParameter", 2), ("SendCommand", 1))


class FleetsHarness:
    """Files ``/shown`` and ``/extra`` on the two hosts of a slice, who report ``/mark``."""

    many = 60

    def __init__(self) -> None:
        self.aws = SandboxAws.start()
        self.aws.settings(phase=0.01)
        self._accounts = itertools.count(300000000001)
        endpoint = self.aws.endpoint
        os.environ[f"AIRFLOW_CONN_{CONNECTION.upper()}"] = json.dumps(
            {
                "conn_type": "aws",
                "login": "sandbox",
                "password": "sandbox",
                "extra": {
                    "endpoint_url": endpoint,
                    "service_config": {"sts": {"endpoint_url": endpoint}},
                    "config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 1}},
                },
            }
        )
        sessions.forget()

    def close(self) -> None:
        self.aws.stop()
        del os.environ[f"AIRFLOW_CONN_{CONNECTION.upper()}"]
        sessions.forget()

    def substrate(self, **options: Any) -> FleetSubstrate:
        reports = {
            "document": "AWS-RunShellScript",
            "version": "1",
            "parameters": {"commands": ["cat /mark || true"]},
        }
        return FleetSubstrate(
            {"connection": CONNECTION, "role": "rollout", "record": "app", "reports": reports}
            | options
        )

    def target(self, *, hosts: int = 2) -> Target:
        account = str(next(self._accounts))
        self.add(account, *(f"i-{n:03d}" for n in range(1, hosts + 1)))
        self.client(account).create_document(
            Name=DOCUMENT, Content=json.dumps(_CONTENT), DocumentType="Command"
        )
        address = {"account": account, "region": REGION, "tag:fleet": "app"}
        target = Target(f"slice-{account}", address)
        return replace(target, members=self.substrate().members(target))

    def add(self, account: str, *ids: str, **more: Any) -> None:
        """Let there be hosts with the tags, or change what is told of them."""
        where = {"account": account, "region": REGION, "tags": {"fleet": "app"}}
        self.aws.hosts(*({**where, "id": each, **more} for each in ids))

    def change(self, value: str, *, extra: bool = False) -> Change:
        return self._change(value, extra="there" if extra else "")

    def _change(self, value: str, *, extra: str = "") -> Change:
        given = {"Shown": value, "Mark": "{rollout.digest}", **({"Extra": extra} if extra else {})}
        text = f'document: {DOCUMENT}\nversion: "1"\nparameters: {json.dumps(given)}\n{_REMOVE}'
        return Change(value, {"command.yaml": text})

    def client(self, account: str) -> Any:
        return self.aws.client("ssm", account, region=REGION)

    def _files(self, target: Target) -> list[dict[str, str]]:
        account = target.address["account"]
        return [h["files"] for h in self.aws.known_hosts() if h["account"] == account]

    def shown(self, target: Target) -> tuple[str | None, bool]:
        looks = {(f.get("/shown", "").strip(), "/extra" in f) for f in self._files(target)}
        (value, extra) = looks.pop()
        assert not looks, "the hosts differ"
        return value or None, extra

    def trace(self, target: Target) -> Hashable:
        """Give the commands that change hosts, and what is kept in the account."""
        client = self.client(target.address["account"])
        commands = [
            (c["CommandId"], c["Comment"])
            for page in client.get_paginator("list_commands").paginate()
            for c in page["Commands"]
            if not c["Comment"].startswith("phased-rollout reads")
        ]
        pages = client.get_paginator("describe_parameters").paginate()
        kept = [(p["Name"], p["Version"]) for page in pages for p in page["Parameters"]]
        return (tuple(commands), tuple(sorted(kept)))

    def by_hand(self, target: Target, value: str) -> None:
        client = self.client(target.address["account"])
        lines = [f"echo {value} > /shown", "rm -f /extra", f"echo {value} > /mark"]
        sent = client.send_command(
            DocumentName="AWS-RunShellScript",
            InstanceIds=list(target.members),
            Parameters={"commands": lines},
            Comment="by hand",
        )["Command"]["CommandId"]

        def ended() -> bool:
            found = client.list_commands(CommandId=sent)["Commands"][0]
            return bool(found["Status"] == "Success")

        await_so(ended, what="changed by hand")

    @contextmanager
    def refusal(self, target: Target) -> Iterator[tuple[Change, str]]:
        """Give a change that fails on the hosts after it has done half of it."""
        yield self._change("second", extra="forbidden"), "cat: /not-today: No such file"

    @contextmanager
    def silence(self, target: Target) -> Iterator[None]:
        fault = self.aws.fault("reset", account=target.address["account"], count=None)
        try:
            yield
        finally:
            self.aws.clear_faults(fault)

    @contextmanager
    def lost_replies(self, target: Target, *, skip: int) -> Iterator[None]:
        """The mutations of an apply: what is kept, the attempt, the wave, the command itself.

        The first SendCommand asks what runs.
        """
        operation, passed = _LOST[skip]
        fault = self.aws.fault(
            "lost_reply", account=target.address["account"], operation=operation, skip=passed
        )
        with ExitStack() as stack:
            stack.callback(self.aws.clear_faults, fault)
            yield
            assert fault not in [each["id"] for each in self.aws.faults()], "no reply was lost"
