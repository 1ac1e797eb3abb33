"""The example definitions, one for each kind of target, and what their sandboxes say of targets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import yaml

from phased_rollout.model.definition import Definition, Target
from sandbox.aws.client import SandboxAws
from sandbox.kubernetes.client import SandboxKubernetes
from sandbox.stack import PROJECT, Stack

Json = dict[str, Any]
FOLDER = PROJECT / "include" / "examples"
_READING = {"get", "list", "discover"}
_REPORTING = "phased-rollout reads "
"""How the comment of a command begins that asks hosts what they run."""


@dataclass(frozen=True)
class Example:
    """A definition of include/examples, which rolls out its own change and refuses another.

    :param failing: a change that gets as far as the first channel
    :param runs: reads past the product what a target runs; empty text when nothing
    :param asked: how often a target was asked to change, by the sandbox's own log
    """

    rollout: str
    folder: str
    failing: str
    runs: Callable[[Stack, Target], str]
    asked: Callable[[Stack, Target], int]


def write_together(examples: list[Example], folder: Path) -> Path:
    """Write one channels.yaml of all examples, with their changes beside it; gives its path."""
    rollouts: Json = {}
    for example in examples:
        shutil.copytree(FOLDER / example.folder, folder / example.folder)
        file = yaml.safe_load((FOLDER / example.folder / "channels.yaml").read_text())
        given = file["rollouts"][example.rollout]
        change = f"{example.folder}/{given['change']}"
        defaults = {**file.get("defaults", {}), **given.get("defaults", {})}
        rollouts[example.rollout] = {**given, "change": change, "defaults": defaults}
    config = folder / "channels.yaml"
    config.write_text(yaml.safe_dump({"version": 1, "rollouts": rollouts}, sort_keys=False))
    return config


def everywhere(
    definition: Definition, look: Callable[[Target], Any]
) -> Mapping[str, Mapping[str, Any]]:
    """Look at every target: channel to target to what is seen."""
    return {c.name: {t.name: look(t) for t in c.targets} for c in definition.channels}


def _clusters(stack: Stack) -> SandboxKubernetes:
    kubeconfig = json.loads(stack.settings.kubeconfig.read_text())
    server = urlsplit(kubeconfig["clusters"][0]["cluster"]["server"])
    return SandboxKubernetes(f"{server.scheme}://{server.netloc}")


def _image(stack: Stack, target: Target) -> str:
    found = _clusters(stack).request("GET", target.address["context"], "apis/apps/v1/deployments")
    shop = [item for item in found["items"] if item["metadata"]["namespace"] == "shop"]
    return " ".join(c["image"] for d in shop for c in d["spec"]["template"]["spec"]["containers"])


def _applied(stack: Stack, target: Target) -> int:
    calls = _clusters(stack).calls(cluster=target.address["context"])
    return sum(1 for c in calls if c["verb"] not in _READING and not c["dry_run"])


def _stacks(stack: Stack, target: Target) -> str:
    """Give the template, which comes back to the byte."""
    aws = SandboxAws(stack.aws_endpoint)
    client = aws.client(
        "cloudformation", target.address["account"], region=target.address["region"]
    )
    found = client.get_template(StackName="baseline", TemplateStage="Original")["TemplateBody"]
    return found if isinstance(found, str) else json.dumps(found)


def _executed(stack: Stack, target: Target) -> int:
    where = {"account": target.address["account"], "region": target.address["region"]}
    calls = SandboxAws(stack.aws_endpoint).calls(service="cloudformation", **where)
    return sum(1 for c in calls if c["operation"] in ("ExecuteChangeSet", "DeleteStack"))


def _control_plane(stack: Stack, what: str) -> Any:
    endpoint = str(stack.settings.tenants_endpoint)
    found = requests.get(f"{endpoint}/_sandbox/{what}", timeout=30)
    return found.json()[what]


def _version(stack: Stack, target: Target) -> str:
    [tenant] = [t for t in _control_plane(stack, "tenants") if t["id"] == target.address["tenant"]]
    return f"{tenant['version']} {tenant['settings'].get('theme')}"


def _requested(stack: Stack, target: Target) -> int:
    calls = _control_plane(stack, "calls")
    mine = [c for c in calls if c["tenant"] == target.address["tenant"]]
    return sum(1 for c in mine if c["method"] != "GET" and not c["path"].endswith("/preview"))


def _hosts(stack: Stack, target: Target) -> list[Json]:
    known = SandboxAws(stack.aws_endpoint).known_hosts()
    slice_ = target.address["tag:slice"], target.address["account"], target.address["region"]
    return [h for h in known if (h["tags"]["slice"], h["account"], h["region"]) == slice_]


def _releases(stack: Stack, target: Target) -> str:
    """Give what the hosts of a slice have, when it is on all of them."""
    found = {h["files"].get("/etc/web/rollout", "") for h in _hosts(stack, target)}
    return found.pop() if len(found) == 1 else "not the same"


def _commanded(stack: Stack, target: Target) -> int:
    """Count the commands that were to change a host of the slice."""
    ids = {h["id"] for h in _hosts(stack, target)}
    where = {"account": target.address["account"], "region": target.address["region"]}
    calls = SandboxAws(stack.aws_endpoint).calls(operation="SendCommand", **where)
    mine = [c["params"] for c in calls if ids & set(c["params"]["InstanceIds"])]
    return sum(1 for params in mine if not params["Comment"].startswith(_REPORTING))


KUBERNETES = Example(
    rollout="kubernetes_clusters",
    folder="kubernetes",
    failing="kubernetes/changes/missing-image",
    runs=_image,
    asked=_applied,
)
REGIONS = Example(
    rollout="account_regions",
    folder="regions",
    failing="regions/changes/stray-letter",
    runs=_stacks,
    asked=_executed,
)
TENANTS = Example(
    rollout="saas_tenants",
    folder="tenants",
    failing="tenants/changes/failing-upgrade",
    runs=_version,
    asked=_requested,
)
FLEETS = Example(
    rollout="host_fleets",
    folder="fleets",
    failing="fleets/changes/missing-release",
    runs=_releases,
    asked=_commanded,
)
EXAMPLES = [KUBERNETES, REGIONS, TENANTS, FLEETS]
