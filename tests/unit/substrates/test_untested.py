"""What previews of the built-in kinds exercise: an empty channel does not stand for a full one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from phased_rollout.model.representativeness import in_words, kinds_of
from phased_rollout.model.target_state import Preview
from phased_rollout.model.untested import compare, exercised
from sandbox.kubernetes.server import SandboxClusters
from tests.unit.substrates import clusters
from tests.unit.substrates.clusters import config_map, workload
from tests.unit.substrates.conftest import World

RENAMED = """\
Resources:
  Topic: {Type: AWS::SNS::Topic, Properties: {TopicName: two, DisplayName: x}}
"""
NAMED = RENAMED.replace("two", "one")
SHOWN = RENAMED.replace("two", "one").replace("x}", "y}")


def untested(playground: Preview, production: Preview) -> list[str]:
    found = {
        name: exercised({name: kinds_of(preview)}, {})
        for name, preview in (("playground", playground), ("production", production))
    }
    return in_words(compare(found))


def previewed(world: World, template: str, *, runs: str = "") -> Preview:
    if runs:
        world.apply(world.artifact(runs))
    return world.substrate.preview(world.target, world.artifact(template), token="aaaa-p")


def test_an_account_without_the_stack_does_not_stand_for_one_that_has_it(
    world: World, aws: Any
) -> None:
    empty = previewed(world, SHOWN)
    full = previewed(World(aws), SHOWN, runs=NAMED)
    assert untested(empty, full) == [
        "production: 0 of 1 kinds of change (0%) are exercised before it; untested: modify "
        "AWS::SNS::Topic (1 target)"
    ]


def test_an_account_in_which_a_topic_is_only_shown_otherwise_does_not_stand_for_its_replacement(
    world: World, aws: Any
) -> None:
    shown = previewed(world, SHOWN, runs=NAMED)
    renamed = previewed(World(aws), RENAMED, runs=NAMED)
    assert untested(shown, renamed) == [
        "production: 0 of 1 kinds of change (0%) are exercised before it; untested: REPLACE "
        "AWS::SNS::Topic (1 target)"
    ]
    assert untested(renamed, renamed) == []


def test_an_account_that_runs_the_change_is_no_evidence(world: World, aws: Any) -> None:
    done = previewed(world, SHOWN, runs=SHOWN)
    lines = untested(done, previewed(World(aws), SHOWN))
    assert lines[0] == "playground is no evidence: nothing would change in it"
    assert lines[1].endswith("untested: add AWS::SNS::Topic (1 target)")


def test_a_cluster_without_a_workload_does_not_stand_for_one_that_runs_it(
    kube: clusters.World, sandbox: SandboxClusters, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = clusters.World(sandbox, tmp_path / "other")
    before = (config_map(level="info"), workload(image="web:1"))
    after = (config_map(level="info"), workload(image="web:2"))
    other.apply(*before)
    assert untested(kube.preview(*after), other.preview(*after)) == [
        "production: 0 of 1 kinds of change (0%) are exercised before it; untested: modify "
        "apps/v1 Deployment (1 target)"
    ]
    kube.apply(*before)
    assert untested(kube.preview(*after), other.preview(*after)) == []


def test_a_cluster_from_which_nothing_is_pruned_does_not_stand_for_one_that_loses_an_object(
    kube: clusters.World, sandbox: SandboxClusters, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = clusters.World(sandbox, tmp_path / "other")
    kube.apply(config_map(level="info"))
    other.apply(config_map(level="info"), config_map("more", level="info"))
    after = (config_map(level="debug"),)
    assert untested(kube.preview(*after), other.preview(*after)) == [
        "production: 1 of 2 kinds of change (50%) are exercised before it; untested: REMOVE v1 "
        "ConfigMap (1 target)"
    ]
