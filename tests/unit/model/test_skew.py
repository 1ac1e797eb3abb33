"""How far apart the platforms of neighbouring channels are."""

from __future__ import annotations

import pytest

from phased_rollout.model.skew import skews


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("v1.33.1", "v1.33.9", 0),
        ("v1.33.1", "v1.32.0-eks-1", 0),
        ("v1.32.1", "v1.33.0", 0),
        ("v1.33.1", "v1.31.9+k3s1", 1),
        ("1.9", "1.11", 1),
        ("v1.33", "v2.33", 1),
        ("v1.33", "unknown", 0),
    ],
)
def test_more_than_one_minor_version_apart_is_told(before: str, after: str, told: int) -> None:
    assert len(skews([("a", {"a-1": before}), ("b", {"b-1": after})])) == told


def test_the_two_targets_that_are_farthest_apart_are_named() -> None:
    [text] = skews(
        [
            ("test", {"test-1": "v1.33.0", "test-2": "v1.31.0"}),
            ("infra", {"infra-1": "v1.32.0", "infra-2": "v1.34.0"}),
        ]
    )
    assert text.startswith(
        "test and infra run platforms of different versions, v1.31.0 (test-2) and v1.34.0 (infra-2)"
    )


def test_only_neighbours_are_compared_and_a_silent_channel_is_passed_over() -> None:
    versions = ["v1.30", "v1.31", "v1.32"]
    assert skews([(f"c{n}", {"x": version}) for n, version in enumerate(versions)]) == []
    assert len(skews([("a", {"x": "v1.30"}), ("b", {}), ("c", {"y": "v1.32"})])) == 1
