"""Whatever the file holds: a configuration, or problems with file and line; and in linear time."""

from __future__ import annotations

import json
import re
from pathlib import Path
from time import thread_time
from timeit import repeat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phased_rollout import config
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import Config

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

SNIPPETS = [
    *"{}[]:,-?&*!|>'\"%@`#~\n\t 0159abxé\x85\u2028",
    "version: 1\n", "rollouts:\n", "  a:\n", "    channels:\n", "      - name: b\n",
    "defaults: {soak: 5s}\n", "kind: cloudformation", "&a ", "*a", "<<: ", "!!int ", "---\n",
    "...\n", "NO", "0123", "1:30", ".nan", "=", "<<", "2024-13-45", "targets:\n", "\\ud800", "0x_",
    "signals: [{kind: cloudwatch_alarms}]\n", "gate: [health]\n", "substrate: {kind: x}\n",
]  # fmt: skip


def loaded(file: Path, data: bytes) -> Config | None:
    """Load it; when that fails, check that every problem says where."""
    file.write_bytes(data)
    try:
        return config.load(file)
    except ConfigError as error:
        problems = error.problems
    where = re.compile(rf"{re.escape(str(file))}:[1-9][0-9]*: \S")
    assert problems
    assert [p for p in problems if not where.match(p) or not p.isprintable()] == []
    return None


@FUZZ
@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_configuration_or_problems_with_their_place(
    tmp_path: Path, data: bytes
) -> None:
    assert loaded(tmp_path / "channels.yaml", data) is None


@FUZZ
@given(parts=st.lists(st.sampled_from(SNIPPETS), max_size=40))
def test_anything_like_yaml_is_a_configuration_or_problems_with_their_place(
    tmp_path: Path, parts: list[str]
) -> None:
    loaded(tmp_path / "channels.yaml", "".join(parts).encode())


NAMES = st.from_regex(r"x[A-Za-z0-9_-]{0,20}", fullmatch=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
DURATIONS = st.integers(1, 10**6).map("{}s".format)
VALUES = JSON | DURATIONS
CHANNEL_KEYS = ["name", "soak", "gate", "waves", "max_failed", "approval", "signals", "targets"]
AWS = {"kind": "cloudformation"}
ROLLOUT_KEYS = ["schedule", "timezone", "change", "tags", "signals", "defaults", "rollback"]
CHANNELS = st.fixed_dictionaries({}, optional=dict.fromkeys([*CHANNEL_KEYS, "regions"], VALUES))
ROLLOUTS = st.fixed_dictionaries(
    {"channels": VALUES | st.lists(VALUES | CHANNELS, max_size=3)},
    optional={
        "substrate": VALUES | st.sampled_from([AWS, {**AWS, "regions": ["eu-west-1"]}]),
        **dict.fromkeys(ROLLOUT_KEYS, VALUES),
    },
)


@FUZZ
@given(rollouts=st.dictionaries(NAMES, VALUES | ROLLOUTS, min_size=1, max_size=2), defaults=VALUES)
def test_values_of_any_type_in_any_place_are_told_apart(
    tmp_path: Path, rollouts: object, defaults: object
) -> None:
    text = json.dumps({"version": 1, "defaults": defaults, "rollouts": rollouts})
    loaded(tmp_path / "channels.yaml", text.encode())


@st.composite
def files(draw: st.DrawFn) -> dict[str, dict[str, list[str]]]:
    """Draw rollouts with their channels and targets, in an order of their own."""
    rollouts = draw(st.lists(NAMES.filter(_is_free), min_size=1, max_size=3, unique=True))
    found = {}
    for rollout in rollouts:
        channels = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
        targets = draw(
            st.lists(NAMES, min_size=len(channels), max_size=12, unique=True).map(sorted)
        )
        targets = draw(st.permutations(targets))
        found[rollout] = {name: targets[at :: len(channels)] for at, name in enumerate(channels)}
    return found


def _is_free(name: str) -> bool:
    return not name.endswith("_emergency")


@settings(FUZZ, max_examples=40)
@given(order=files())
def test_a_good_file_keeps_its_order(
    tmp_path: Path, order: dict[str, dict[str, list[str]]]
) -> None:
    numbers = iter(range(10**6))
    rollouts = {
        rollout: {
            "substrate": {
                "kind": "cloudformation",
                "connection": "aws",
                "role": "r",
                "stack": "s",
                "region": "eu-central-1",
            },
            "channels": [
                {
                    "name": channel,
                    "targets": [
                        {"name": name, "account": f"{next(numbers):012d}"} for name in targets
                    ],
                }
                for channel, targets in channels.items()
            ],
        }
        for rollout, channels in order.items()
    }
    text = json.dumps(
        {"version": 1, "defaults": {"soak": "1h", "gate": "timer"}, "rollouts": rollouts}
    )
    found = loaded(tmp_path / "channels.yaml", text.encode())
    assert found is not None
    kept = {
        name: {c.name: [t.name for t in c.targets] for c in definition.channels}
        for name, definition in found.definitions.items()
    }
    assert json.dumps(kept) == json.dumps(order)


def text_of(targets: int) -> str:
    lines = [
        "version: 1",
        "defaults: {soak: 1h, gate: timer, waves: {size: 20}}",
        "rollouts:",
        "  a:",
        "    substrate:",
        "      {kind: cloudformation, connection: c, role: r, stack: s, region: us-east-1}",
        "    channels:",
        "      - name: all",
        "        targets:",
    ]
    lines += [f'          - {{name: account-{n}, account: "{n:012d}"}}' for n in range(targets)]
    return "\n".join(lines)


def seconds_for(file: Path, targets: int) -> float:
    file.write_text(text_of(targets))
    return min(repeat(lambda: config.load(file), number=1, repeat=3, timer=thread_time))


def test_ten_times_the_targets_take_about_ten_times_as_long(tmp_path: Path) -> None:
    file = tmp_path / "channels.yaml"
    ratio = seconds_for(file, 10_000) / seconds_for(file, 1_000)
    assert ratio < 25, f"{ratio:.1f} times as long"


@pytest.mark.parametrize("broken", ["name: account", "account: "])
def test_ten_times_the_problems_take_about_ten_times_as_long(tmp_path: Path, broken: str) -> None:
    def seconds(targets: int) -> float:
        file = tmp_path / "channels.yaml"
        file.write_text(text_of(targets).replace(broken, broken.replace(":", "x:")))

        def load() -> None:
            with pytest.raises(ConfigError):
                config.load(file)

        # Without garbage collections, which take longer the more the tests before this one left.
        return min(repeat(load, number=1, repeat=3, timer=thread_time))

    ratio = seconds(4_000) / seconds(400)
    assert ratio < 25, f"{ratio:.1f} times as long"
