"""Whether an object has come to run what it says, judged by what its controller reports.

Only a status of this generation counts. Sources: ``kubectl rollout status`` and the conditions of
https://kubernetes.io/docs/concepts/workloads/controllers/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Live = Mapping[str, Any]


class Stage(StrEnum):
    """How far it is."""

    COMPLETE = "complete"
    PROGRESSING = "progressing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A stage, with the reason in words."""

    stage: Stage
    reason: str


_DONE = Judgement(Stage.COMPLETE, "complete")


def judge(live: Live) -> Judgement:
    """Judge an object; of a kind that has no completion of its own, being there is enough."""
    rule = _RULES.get((live["apiVersion"].rpartition("/")[0], live["kind"]))
    return rule(live) if rule else _DONE


def has_rule(group: str, kind: str) -> bool:
    """Say whether a kind has a completion of its own."""
    return (group, kind) in _RULES


def _progressing(reason: str) -> Judgement:
    return Judgement(Stage.PROGRESSING, reason)


def _conditions(live: Live) -> dict[str, Live]:
    return {c["type"]: c for c in (live.get("status") or {}).get("conditions") or ()}


def _unseen(live: Live) -> bool:
    """Say whether the controller has not seen this generation yet: its status is of an earlier."""
    seen = (live.get("status") or {}).get("observedGeneration", 0)
    return int(seen) < int(live["metadata"].get("generation", 1))


_UNSEEN = _progressing("its controller has not seen it yet")


def _deployment(live: Live) -> Judgement:
    if _unseen(live):
        return _UNSEEN
    progressing = _conditions(live).get("Progressing", {})
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Judgement(Stage.FAILED, str(progressing.get("message", "timed out")))
    if live["spec"].get("paused"):
        return Judgement(Stage.COMPLETE, "paused, so nothing is rolled out")
    return _replicas(live["spec"].get("replicas", 1), live.get("status") or {})


def _replicas(wanted: int, status: Live) -> Judgement:
    updated, running = status.get("updatedReplicas", 0), status.get("replicas", 0)
    available, ready = status.get("availableReplicas", 0), status.get("readyReplicas", 0)
    if updated < wanted:
        return _progressing(f"{updated} of {wanted} replicas are updated")
    if running > updated:
        return _progressing(f"{running - updated} old replicas are still there")
    if min(available, ready) < wanted:
        return _progressing(f"{min(available, ready)} of {wanted} replicas are available")
    return Judgement(Stage.COMPLETE, f"{wanted} replicas are available")


def _daemon_set(live: Live) -> Judgement:
    if _unseen(live):
        return _UNSEEN
    spec, status = live["spec"], live.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    updated, available = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    if (spec.get("updateStrategy") or {}).get("type") == "OnDelete":
        return Judgement(Stage.COMPLETE, "its pods are updated when they are deleted")
    if updated < wanted:
        return _progressing(f"{updated} of {wanted} pods are updated")
    if min(available, status.get("numberReady", 0)) < wanted:
        return _progressing(f"{available} of {wanted} pods are available")
    return Judgement(Stage.COMPLETE, f"{wanted} pods are available")


def _stateful_set(live: Live) -> Judgement:
    if _unseen(live):
        return _UNSEEN
    spec, status = live["spec"], live.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    wanted, ready = spec.get("replicas", 1), status.get("readyReplicas", 0)
    if strategy.get("type") == "OnDelete":
        return Judgement(Stage.COMPLETE, "its pods are updated when they are deleted")
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    updated = status.get("updatedReplicas", 0)
    if updated < wanted - partition:
        return _progressing(f"{updated} of {wanted - partition} replicas are updated")
    if not partition and status.get("updateRevision") != status.get("currentRevision"):
        return _progressing(f"{updated} replicas are updated, but the revision is not in use yet")
    if ready < wanted:
        return _progressing(f"{ready} of {wanted} replicas are ready")
    return Judgement(Stage.COMPLETE, f"{wanted} replicas are ready")


def _job(live: Live) -> Judgement:
    conditions = _conditions(live)
    for name, stage in (("Failed", Stage.FAILED), ("Complete", Stage.COMPLETE)):
        found = conditions.get(name, {})
        if found.get("status") == "True":
            words = [found.get("reason"), found.get("message")]
            return Judgement(stage, ": ".join(w for w in words if w) or name.lower())
    if live["spec"].get("suspend"):
        return Judgement(Stage.COMPLETE, "suspended, so nothing is run")
    return _progressing("not complete yet")


def _definition(live: Live) -> Judgement:
    conditions = _conditions(live)
    names = conditions.get("NamesAccepted", {})
    if names.get("status") == "False":
        return Judgement(Stage.FAILED, str(names.get("message") or "its names are taken"))
    if conditions.get("Established", {}).get("status") == "True":
        return Judgement(Stage.COMPLETE, "established")
    return _progressing("not established yet")


_RULES: dict[tuple[str, str], Callable[[Live], Judgement]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
}
