"""Judges a target that was found by the rules for those that channels.yaml names."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from phased_rollout.config.clusters import ClusterTarget
from phased_rollout.config.fleets import SliceTarget, as_written
from phased_rollout.config.kinds import AccountTarget, OtherTarget
from phased_rollout.config.problems import shortened
from phased_rollout.config.rules import WRITTEN
from phased_rollout.config.tenants import TenantTarget

_SHAPES: dict[str, type[BaseModel]] = {
    "cloudformation": AccountTarget,
    "kubernetes": ClusterTarget,
    "http": TenantTarget,
    "ssm": SliceTarget,
}
_REQUIRED = {"cloudformation": ("account", "region"), "ssm": ("account", "region")}


def problem_of(name: str, address: Mapping[str, str], *, substrate: str) -> str:
    """Say what is wrong with a target's name and address; nothing when they are fine."""
    problems = [
        f"address.{key}: missing" for key in _REQUIRED.get(substrate, ()) if key not in address
    ]
    written = as_written(address) if substrate == "ssm" else address
    try:
        _SHAPES.get(substrate, OtherTarget).model_validate({**written, "name": name})
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False):
            given = shortened(str(error["input"]))
            what = str(error.get("ctx", {}).get("error", error["msg"].lower()))
            key = str(error["loc"][-1])
            if error["type"] != "missing":
                problems.append(f"{key}: {what.replace(WRITTEN, given)}")
    return "; ".join(problems)
