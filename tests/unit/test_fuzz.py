"""Mutated and raw input to whatever is loaded: a value, or the product's own error with a place.

``FUZZ=100000`` sets how many inputs there are in all; without it there are a few hundred.
"""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phased_rollout import changes, config
from phased_rollout.errors import ChangeError, ConfigError
from phased_rollout.model.change import Change
from phased_rollout.substrates.http.content import values_of
from phased_rollout.substrates.kubernetes.manifests import render

TESTS = 5
SLOWEST = 5.0
FUZZ = settings(
    max_examples=max(1, int(os.environ.get("FUZZ", "600")) // TESTS),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CONFIG = {
    "version": 1,
    "defaults": {"soak": "1h", "gate": ["timer"], "waves": {"size": 2}},
    "rollouts": {
        "a": {
            "schedule": "@daily",
            "timezone": "Europe/Berlin",
            "change": "changes/x",
            "substrate": {
                "kind": "cloudformation", "connection": "aws", "role": "r", "stack": "s",
                "region": "eu-central-1",
            },
            "channels": [
                {"name": "b", "targets": [{"name": "t", "account": "111122223333"}]},
                {"name": "c", "max_failed": 1, "targets": [{"name": "u", "account": "1" * 12}]},
            ],
        }
    },
}  # fmt: skip
TEMPLATE = {
    "Parameters": {"P": {"Type": "String", "Default": "x", "NoEcho": "false"}},
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"Name": "n"}}},
}
SETTINGS = {
    "description": "what it does",
    "parameters": {"P": "x"},
    "overrides": {"channels": {"b": {"P": "y"}}, "targets": {"t": {"P": "z"}}},
    "tags": {"owner": "ops"},
    "capabilities": ["CAPABILITY_IAM"],
}
MANIFEST = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "namespace": "shop", "annotations": {"a": "b"}, "labels": {}},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
}

_SCALARS = (None, True, -1, 10**30, 1.5, float("nan"), float("inf"), "", " ", "NO", "1:30", "é")
_TEXTS = ("\u202e", "\x1b[2J", "\ud800", "../..", "{{ 1 }}", "<b>", "x" * 5000)
ODD = st.sampled_from([*_SCALARS, *_TEXTS, [], {}, [[]], {"": ""}]) | st.text(max_size=5)
SCRAPS = [b"\0", b"\xff", b"&a ", b"*a", b"<<: *a\n", b"[", b"}", b"\t", b"---\n", b"!!set "]
SCRAPS += [b"? ", b"\xef\xbb\xbf", b"0x", b"%"]


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Give each container with each key or position in it."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


@st.composite
def mutated(draw: st.DrawFn, good: dict[str, Any]) -> bytes:
    """Spoil a good document in up to three places, and then perhaps its text."""
    document = copy.deepcopy(good)
    for _ in range(draw(st.integers(0, 3))):
        where, key = draw(st.sampled_from(_places(document) or [({}, "x")]))
        how = draw(st.sampled_from(["odd", "drop", "rename", "wrap", "list", "twice"]))
        if how == "odd":
            where[key] = copy.deepcopy(draw(ODD))
        elif key in (where if isinstance(where, dict) else range(len(where))):
            value = where[key]
            if how == "drop":
                del where[key]
            elif how == "rename" and isinstance(where, dict):
                where[str(draw(ODD))] = where.pop(key)
            elif how == "twice" and isinstance(where, list):
                where.append(copy.deepcopy(value))
            else:
                where[key] = [value] if how == "list" else {"x": value}
    text = draw(st.sampled_from([json.dumps, lambda v: yaml.safe_dump(v, sort_keys=False)]))(
        document
    )
    data = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(data)))
        scrap = draw(st.sampled_from(SCRAPS))
        data = data[:at] + scrap + data[at:]
    return data


def outcome(act: Callable[[], object], error: type[ConfigError | ChangeError]) -> list[str]:
    """Give the problems of an input, which has to be judged soon; any other error is a defect."""
    began = monotonic()
    try:
        act()
    except error as found:
        said = str(found)
        assert said
        return said.split("\n")
    finally:
        assert monotonic() - began < SLOWEST
    return []


@FUZZ
@given(data=mutated(CONFIG) | st.binary(max_size=300))
def test_a_spoilt_configuration_is_told_with_its_line(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "channels.yaml"
    file.write_bytes(data)
    where = re.compile(rf"{re.escape(str(file))}:[1-9][0-9]*: \S")
    for problem in outcome(lambda: config.load(file), ConfigError):
        assert where.match(problem), problem
        assert problem.isprintable()


@FUZZ
@given(data=mutated(SETTINGS) | st.binary(max_size=300))
def test_spoilt_settings_of_a_change_are_told_with_their_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "template.yaml").write_text(yaml.safe_dump(TEMPLATE))
    (tmp_path / "change.yaml").write_bytes(data)
    for problem in outcome(lambda: changes.load(".", base=tmp_path, given={}), ChangeError):
        assert problem.startswith(f"{tmp_path / 'change.yaml'}:"), problem
        assert problem.isprintable()


@FUZZ
@given(
    data=mutated(TEMPLATE) | st.binary(max_size=300),
    name=st.sampled_from(["template.yaml", "template.json"]),
    values=st.dictionaries(st.just("P") | st.text(max_size=3), ODD, max_size=2),
)
def test_a_spoilt_template_is_told_with_its_file(
    tmp_path: Path, data: bytes, name: str, values: dict[str, Any]
) -> None:
    for each in tmp_path.iterdir():
        each.unlink()
    (tmp_path / name).write_bytes(data)
    for problem in outcome(lambda: changes.load(".", base=tmp_path, given=values), ChangeError):
        assert problem.startswith((f"{tmp_path / name}:", "parameter ")), problem
        assert problem.isprintable()


@FUZZ
@given(data=mutated(MANIFEST) | st.binary(max_size=300))
def test_a_spoilt_manifest_is_told_with_its_file(data: bytes) -> None:
    change = Change("x", {"a.yaml": data.decode(errors="replace")})
    for problem in outcome(lambda: render(change), ChangeError):
        assert problem.startswith("change 'x': "), problem


@FUZZ
@given(
    data=mutated({"size": 2, "name": "x", "features": ["a"]}) | st.binary(max_size=300),
    name=st.sampled_from(["a.yaml", "a.json"]),
)
def test_spoilt_values_of_tenants_are_told_with_their_file(data: bytes, name: str) -> None:
    change = Change("x", {name: data.decode(errors="replace")})
    for problem in outcome(
        lambda: values_of(change, {"size": {}, "name": {}, "features": {}}), ChangeError
    ):
        assert problem.startswith(f"{name}:"), problem
        assert problem.isprintable()


def test_the_share_of_each_kind_of_input_is_told_by_their_number() -> None:
    assert sum(name.startswith(("test_a_spoilt", "test_spoilt")) for name in globals()) == TESTS
