"""The example definitions, one for each kind of target, and what their sandboxes say of targets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from phased_rollout.model.definition import Definition, Target
from sandbox.kubernetes.client import SandboxKubernetes
from sandbox.stack import PROJECT, Stack

Json = dict[str, Any]
FOLDER = PROJECT / "include" / "examples"
_READING = {"get", "list", "discover"}


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


KUBERNETES = Example(
    rollout="kubernetes_clusters",
    folder="kubernetes",
    failing="kubernetes/changes/missing-image",
    runs=_image,
    asked=_applied,
)
EXAMPLES = [KUBERNETES]
