"""How the workloads of a cluster's record fare: ready, restarted, warned of since the apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from phased_rollout.errors import ConfigError, RefusedError, UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Health, Observation
from phased_rollout.substrates.kubernetes.completion import Stage, has_rule, judge
from phased_rollout.substrates.kubernetes.record import Entry, Keeper, Record
from phased_rollout.substrates.kubernetes.state import get
from phased_rollout.substrates.kubernetes.substrate import keeper_of
from phased_rollout.substrates.kubernetes.trouble import pods_of, warnings_of, when, words

_NAME = "kubernetes_workloads"
_LONG_RUNNING = ("Deployment", "DaemonSet", "StatefulSet")
_SHOWN = 3


class KubernetesWorkloads:
    """A workload that is not complete, or was restarted more often than it may be, is harm.

    One whose controller has not caught up is unknown, and so is a cluster without any.

    :param options: those of the substrate that say which record and how the cluster is reached;
        ``max_restarts`` (0 unless set) and ``max_warnings`` (any number unless set)
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        if not options.get("record"):
            raise ConfigError([f"{_NAME}: options.record is missing"])
        self._options = options
        self._restarts = int(options.get("max_restarts") or 0)
        self._warnings: int | None = options.get("max_warnings")

    def observe(self, target: Target) -> Sequence[Observation]:
        """Give one observation for each workload; when there is none, one that says so."""
        try:
            keeper = keeper_of(self._options, target)
            record = keeper.read() or Record()
            found = [
                self._observation(keeper, target, entry, since=_moment(record.at))
                for entry in record.entries
                if has_rule(entry.ref.group, entry.ref.kind)
            ]
        except RefusedError as error:  # it refused to tell; that is no word about the target
            raise UnreachableError(str(error)) from error
        none = f"{keeper} holds no workload"
        return found or [Observation(target.name, _NAME, Health.UNKNOWN, none)]

    def _observation(
        self, keeper: Keeper, target: Target, entry: Entry, *, since: datetime
    ) -> Observation:
        health, detail = self._judged(keeper, entry, since=since)
        return Observation(target.name, str(entry.ref), health, detail)

    def _judged(self, keeper: Keeper, entry: Entry, *, since: datetime) -> tuple[Health, str]:
        live = get(keeper, entry)
        if live is None:
            return Health.HARM, "it is gone"
        judgement = judge(live)
        if judgement.stage is not Stage.COMPLETE:
            why = words(keeper.cluster, live)
            text = judgement.reason + (f": {why}" if why else "")
            seen = (live.get("status") or {}).get("observedGeneration", 0)
            unseen = judgement.stage is Stage.PROGRESSING and seen < live["metadata"]["generation"]
            return (Health.UNKNOWN if unseen else Health.HARM), text
        if entry.ref.kind not in _LONG_RUNNING:
            return Health.OK, judgement.reason
        return self._since(keeper, live, judgement.reason, since=since)

    def _since(
        self, keeper: Keeper, live: Mapping[str, Any], ready: str, *, since: datetime
    ) -> tuple[Health, str]:
        pods = list(pods_of(keeper.cluster, live))
        restarted = [name for pod in pods for name in _restarted(pod, since=since)]
        warned = [
            event
            for event in warnings_of(keeper.cluster, live, pods)
            if _moment(when(event)) >= since
        ]
        parts = [ready]
        if restarted:
            parts.append(
                f"{len(restarted)} restarts since the apply: {', '.join(restarted[:_SHOWN])}"
            )
        for event in warned[:_SHOWN]:
            parts.append(f"{event.get('reason')}: {event.get('message')}")
        too_many = self._warnings is not None and len(warned) > self._warnings
        harm = len(restarted) > self._restarts or too_many
        return (Health.HARM if harm else Health.OK), "; ".join(parts)


def _restarted(pod: Mapping[str, Any], *, since: datetime) -> list[str]:
    """Name the containers of a pod that have ended since, once for each time that can be told.

    A pod counts all restarts of its life; only the last one has a time. So a pod that was made
    since counts them all, an older one its last.
    """
    found = []
    born = _moment(str(pod["metadata"].get("creationTimestamp") or ""))
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
        count = int(status.get("restartCount") or 0)
        times = count if born >= since else int(bool(ended) and _moment(str(ended)) >= since)
        found += [f"{pod['metadata']['name']}/{status['name']}"] * times
    return found


def _moment(text: str) -> datetime:
    """Read a time as the API writes it, to the second; nothing is the beginning of time."""
    if not text:
        return datetime.min.replace(tzinfo=UTC)
    return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(microsecond=0)
