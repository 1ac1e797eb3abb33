"""Why a workload does not come to run: what its pods and the events about them say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.substrates.kubernetes.client import Cluster

Live = Mapping[str, Any]

_PODS, _EVENTS = 3, 3
_ORDINARY = {"ContainerCreating", "PodInitializing", "Completed"}


def words(cluster: Cluster, live: Live) -> str:
    """Say it in a sentence's worth; nothing where nothing can be seen."""
    if "template" not in (live.get("spec") or {}):
        return ""
    try:
        pods = list(pods_of(cluster, live))
        causes = dict.fromkeys(text for pod in pods for text in _of_pod(pod))
        told = dict.fromkeys(_of_events(warnings_of(cluster, live, pods)))
    except (RefusedError, UnreachableError):  # the workload's own words have to do
        return ""
    return "; ".join([*list(causes)[:_PODS], *list(told)[:_EVENTS]])


def pods_of(cluster: Cluster, live: Live) -> Iterator[Live]:
    """Give the pods that a workload selects."""
    resource = cluster.resource("v1", "Pod")
    selector = _selector(live["spec"].get("selector") or {})
    if resource and selector:
        namespace = live["metadata"]["namespace"]
        yield from cluster.list(resource, namespace, label_selector=selector)


def warnings_of(cluster: Cluster, live: Live, pods: list[Live]) -> list[Live]:
    """Give the warnings about a workload and its pods, the latest first."""
    resource = cluster.resource("v1", "Event")
    if resource is None:
        return []
    name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
    about = {name, *(pod["metadata"]["name"] for pod in pods)}
    found = [
        event
        for event in cluster.list(resource, namespace, field_selector="type=Warning")
        if event["involvedObject"].get("name") in about
        or (
            event["involvedObject"].get("kind") == "ReplicaSet"
            and str(event["involvedObject"].get("name", "")).rpartition("-")[0] == name
        )
    ]
    return sorted(found, key=when, reverse=True)


def when(event: Live) -> str:
    """Give the moment of an event, which has one or another field for it."""
    series = event.get("series") or {}
    found = (
        series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or ""
    )
    return str(found)


def _selector(selector: Live) -> str:
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        key, values = each["key"], ",".join(each.get("values") or ())
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[each["operator"]]
        )
    return ",".join(parts)


def _of_pod(pod: Live) -> Iterator[str]:
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    for each in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        waiting = (each.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason and reason not in _ORDINARY:
            yield f"pod {name}: {reason}" + _colon(waiting.get("message")) + _ended(each)
        elif not each.get("ready") and (each.get("state") or {}).get("terminated"):
            yield f"pod {name}: ended{_ended(each)}"
    for condition in status.get("conditions") or ():
        if condition.get("reason") == "Unschedulable":
            yield f"pod {name}: cannot be scheduled{_colon(condition.get('message'))}"


def _ended(container: Live) -> str:
    for state in ("state", "lastState"):
        if ended := (container.get(state) or {}).get("terminated"):
            return f" (exit code {ended.get('exitCode')}, {ended.get('reason', 'no reason')})"
    return ""


def _of_events(events: list[Live]) -> Iterator[str]:
    for event in events:
        yield f"{event.get('reason')}{_colon(event.get('message'))}"


def _colon(text: Any) -> str:
    return f": {text}" if text else ""
