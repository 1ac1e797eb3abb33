"""The shape of channels.yaml for editors: ``python -m phased_rollout.config.json_schema``.

Generated from the same models that judge the file, so an editor refuses what ``validate`` refuses,
as far as JSON Schema can say it; what a name or a cron expression means only ``validate`` knows.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from phased_rollout.adapters import BUILT_IN, INVENTORIES, SIGNALS, SUBSTRATES
from phased_rollout.config.schema import File

Json = dict[str, Any]
KINDS = {
    "CloudFormation": "cloudformation",
    "CloudWatchAlarms": "cloudwatch_alarms",
    "Http": "http",
    "Fleets": "ssm",
    "CloudWatchMetrics": "cloudwatch_metrics",
    "HttpProbe": "http_probe",
    "Kubernetes": "kubernetes",
    "KubernetesWorkloads": "kubernetes_workloads",
    "Organizations": "organizations",
    "Prometheus": "prometheus",
    "RegistryFile": "file",
    "RegistryHttp": "http",
}
"""Model to the built-in kind that it is the shape of."""
_OTHERS = {
    "OtherSubstrate": SUBSTRATES,
    "OtherSignal": SIGNALS,
    "OtherInventory": INVENTORIES,
}


def json_schema() -> Json:
    """Give the JSON Schema of channels.yaml."""
    schema: Json = _without_noise(File.model_json_schema())
    shapes = schema["$defs"]
    for name, kind in KINDS.items():
        shapes[name]["properties"]["kind"] = {"const": kind}
    for name, group in _OTHERS.items():
        shapes[name]["properties"]["kind"] = {"type": "string", "not": {"enum": [*BUILT_IN[group]]}}
    schema["properties"]["rollouts"]["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _without_noise(value: Any) -> Any:
    """Leave out titles and defaults, which say nothing here, and choose a shape by its ``kind``.

    A union as such would make an editor complain about every shape at once.
    """
    if isinstance(value, list):
        return [_without_noise(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: {name: _without_noise(each) for name, each in inner.items()}
        if key in ("properties", "$defs")
        else _without_noise(inner)
        for key, inner in value.items()
        if key not in ("title", "default")
    }
    return _by_kind(kept) if "oneOf" in kept else kept


def _by_kind(union: Json) -> Json:
    *known, other = union["oneOf"]
    chosen: Json = other
    for shape in reversed(known):
        chosen = {"if": _is(shape["$ref"].rpartition("/")[2]), "then": shape, "else": chosen}
    return chosen


def _is(shape: str) -> Json:
    """Give what tells this shape from others: its kind, or of a rollout that of its substrate."""
    if shape not in KINDS:  # Rollout_CloudFormation_AccountTarget_
        return {"properties": {"substrate": _is(shape.split("_")[1])}}
    return {"properties": {"kind": {"const": KINDS[shape]}}}


def as_text() -> str:
    """Give what belongs into include/channels.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_text())
