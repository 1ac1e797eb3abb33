"""Completion by what controllers report of this generation, and errors with what pods say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Outcome
from phased_rollout.substrates.kubernetes.completion import Judgement, Stage, judge
from tests.contract.drive import AGAIN
from tests.unit.substrates.clusters import World, config_map, workload


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "Job"])
def test_a_workload_is_done_when_it_is_complete(kube: World, kind: str) -> None:
    assert kube.apply(workload(kind)).outcome is Outcome.DONE
    found = kube.live(kind, "web")
    assert found is not None
    assert judge(found).stage is Stage.COMPLETE
    state = kube.substrate().verify(kube.target, kube.artifact(workload(kind)))
    assert state.healthy


def test_the_status_of_the_generation_before_is_not_taken_for_this_one(
    kube: World, monkeypatch: pytest.MonkeyPatch, sandbox: Any
) -> None:
    kube.apply(workload(replicas=2))
    monkeypatch.setattr("phased_rollout.substrates.kubernetes.steps.STEP", 0.0)
    kube.api.settings(pace=5.0)
    try:
        step = kube.step(workload(replicas=2, image="web:2"), token=AGAIN)
        assert step.outcome is Outcome.WAITING
        assert "its controller has not seen it yet" in step.reason
        assert not kube.substrate().settled(kube.target, token=AGAIN)
        with pytest.raises(RefusedError, match="has not ended"):
            kube.substrate().verify(kube.target, kube.artifact(workload(replicas=2)))
    finally:
        kube.api.settings(pace=0.02)
    assert kube.apply(workload(replicas=2, image="web:2"), token=AGAIN).outcome is Outcome.DONE


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ("missing", r"ImagePullBackOff: .*web:missing.*Failed to pull image"),
        ("crash", r"CrashLoopBackOff: .*\(exit code 1, Error\).*BackOff: Back-off restarting"),
        ("unready", r"timed out progressing.*Unhealthy: Readiness probe failed"),
    ],
)
def test_a_deployment_that_times_out_is_refused_with_what_its_pods_say(
    kube: World, tag: str, words: str
) -> None:
    good = workload(progressDeadlineSeconds=1)
    kube.apply(good)
    before = kube.read()
    bad = workload(progressDeadlineSeconds=1, image=f"web:{tag}")
    for _ in range(2):
        with pytest.raises(RefusedError, match=words):
            kube.apply(bad, token=AGAIN)
    assert not kube.read().healthy
    with pytest.raises(RefusedError, match=words):
        kube.substrate().verify(kube.target, kube.artifact(bad))
    assert kube.restore(before, bad).outcome is Outcome.DONE
    assert kube.read() == before


def test_a_waiting_step_says_what_the_pods_say(
    kube: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phased_rollout.substrates.kubernetes.steps.STEP", 0.3)
    step = kube.step(workload(image="web:missing"))
    assert step.outcome is Outcome.WAITING
    assert "Deployment default/web: 0 of 1 replicas are available: pod web-" in step.reason
    assert "ImagePullBackOff" in step.reason


def test_a_workload_without_a_deadline_of_its_own_has_that_of_the_substrate(kube: World) -> None:
    kube.options["progress_deadline"] = 0.5
    with pytest.raises(RefusedError, match=r"not complete within .*Unhealthy"):
        kube.apply(workload("StatefulSet", image="web:unready"))


def test_a_failed_job_is_refused(kube: World) -> None:
    with pytest.raises(RefusedError, match="BackoffLimitExceeded: Job has reached"):
        kube.apply(workload("Job", image="web:crash"))


def test_a_workload_that_is_still_coming_cannot_be_judged(kube: World) -> None:
    kube.apply(workload())
    kube.api.settings(pace=5.0)
    try:
        kube.by_hand(
            {"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"minReadySeconds": 1}}
        )
        with pytest.raises(UnreachableError, match="cannot be judged now"):
            kube.substrate().verify(kube.target, kube.artifact(workload()))
    finally:
        kube.api.settings(pace=0.02)


def test_what_did_not_run_before_does_not_have_to_run_after_a_rollback(kube: World) -> None:
    bad = workload(progressDeadlineSeconds=1, image="web:unready")
    with pytest.raises(RefusedError):
        kube.apply(bad)
    before = kube.read()
    assert not before.healthy
    other = {**workload(progressDeadlineSeconds=1), "metadata": {"name": "web"}}
    kube.apply(other, config_map(level="info"), token=AGAIN)
    done = kube.restore(before, other, config_map(level="info"))
    assert done.outcome is Outcome.DONE
    assert kube.there("ConfigMap/settings", "Deployment/web") == [False, True]


def status(kind: str, spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    version = {"Job": "batch/v1", "CustomResourceDefinition": "apiextensions.k8s.io/v1"}
    return {
        "apiVersion": version.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": {"name": "x", "generation": 2},
        "spec": spec,
        "status": {"observedGeneration": 2, **status},
    }


COUNTS = {"replicas": 3, "updatedReplicas": 3, "availableReplicas": 3, "readyReplicas": 3}
DAEMONS = {
    "desiredNumberScheduled": 2,
    "updatedNumberScheduled": 2,
    "numberAvailable": 2,
    "numberReady": 2,
}
TRUE, FALSE = {"status": "True"}, {"status": "False"}


@pytest.mark.parametrize(
    ("live", "stage", "words"),
    [
        (status("Deployment", {"replicas": 3}, **COUNTS), Stage.COMPLETE, "3 replicas are"),
        (
            status("Deployment", {"replicas": 3}, **{**COUNTS, "observedGeneration": 1}),
            Stage.PROGRESSING,
            "not seen it",
        ),
        (
            status("Deployment", {"replicas": 3}, **{**COUNTS, "updatedReplicas": 2}),
            Stage.PROGRESSING,
            "2 of 3 replicas are updated",
        ),
        (
            status("Deployment", {"replicas": 3}, **{**COUNTS, "replicas": 4}),
            Stage.PROGRESSING,
            "1 old replicas",
        ),
        (status("Deployment", {"replicas": 0}), Stage.COMPLETE, "0 replicas"),
        (status("Deployment", {"replicas": 1, "paused": True}), Stage.COMPLETE, "paused"),
        (status("DaemonSet", {}, **DAEMONS), Stage.COMPLETE, "2 pods"),
        (
            status("DaemonSet", {}, **{**DAEMONS, "updatedNumberScheduled": 1}),
            Stage.PROGRESSING,
            "1 of 2",
        ),
        (
            status("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, desiredNumberScheduled=2),
            Stage.COMPLETE,
            "when they are deleted",
        ),
        (
            status(
                "StatefulSet",
                {"replicas": 3, "updateStrategy": {"rollingUpdate": {"partition": 2}}},
                readyReplicas=3,
                updatedReplicas=1,
                currentRevision="a",
                updateRevision="b",
            ),
            Stage.COMPLETE,
            "3 replicas",
        ),
        (
            status(
                "StatefulSet",
                {"replicas": 3},
                readyReplicas=3,
                updatedReplicas=3,
                currentRevision="a",
                updateRevision="b",
            ),
            Stage.PROGRESSING,
            "not in use yet",
        ),
        (status("Job", {"suspend": True}), Stage.COMPLETE, "suspended"),
        (
            status("Job", {}, conditions=[{"type": "Failed", "reason": "Deadline", **TRUE}]),
            Stage.FAILED,
            "Deadline",
        ),
        (
            status(
                "CustomResourceDefinition",
                {},
                conditions=[{"type": "NamesAccepted", "message": "taken", **FALSE}],
            ),
            Stage.FAILED,
            "taken",
        ),
        (status("CustomResourceDefinition", {}), Stage.PROGRESSING, "not established"),
        (status("ReplicaSet", {"replicas": 3}), Stage.COMPLETE, "complete"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else None,
)
def test_how_far_a_workload_is(live: dict[str, Any], stage: Stage, words: str) -> None:
    found: Judgement = judge(live)
    assert found.stage is stage
    assert words in found.reason
