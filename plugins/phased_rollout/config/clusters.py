"""What channels.yaml says of Kubernetes clusters: how each is reached, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from phased_rollout.config.fields import Duration, Maybe, Strict, TargetName, Text, Traits
from phased_rollout.config.kinds import ConnectionId, HoldSettings, SignalKind, SubstrateKind
from phased_rollout.config.rules import Matching

RecordName = Annotated[
    str,
    Matching(
        r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?",
        "cannot name a record: use small letters, digits and '-', at most 40",
    ),
]
NamespaceName = Annotated[
    str,
    Matching(
        r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
        "is no namespace: use small letters, digits and '-', at most 63",
    ),
]
KubeconfigPath = Annotated[
    str,
    Matching(
        r"[/~][^\0]*",
        "is no place on every worker: write the whole path, from / or ~ on",
    ),
]


class Reached(Strict):
    """How a cluster is reached: by a connection, or by a context of a kubeconfig.

    :param connection: Airflow connection of type ``kubernetes``
    :param kubeconfig: path on every worker and triggerer
    :param context: in the kubeconfig, also in that of a connection
    :param namespace: of objects that name none, and of the record; ``default`` unless set
    """

    connection: Maybe[ConnectionId] = None
    kubeconfig: Maybe[KubeconfigPath] = None
    context: Maybe[Text] = None
    namespace: Maybe[NamespaceName] = None


class Kubernetes(Reached):
    """Manifests on every cluster.

    :param record: under which a cluster remembers what runs: one for each definition
    :param progress_deadline: for workloads whose kind has none of its own
    """

    kind: SubstrateKind
    record: RecordName
    progress_deadline: Maybe[Duration] = None

    def options(self) -> dict[str, Any]:
        """Give what was set."""
        found = self.model_dump(exclude={"kind"}, exclude_none=True)
        if self.progress_deadline:
            found["progress_deadline"] = self.progress_deadline.total_seconds()
        return found


class ClusterTarget(Reached):
    """A cluster, or a namespace of one."""

    name: TargetName
    hold: Maybe[HoldSettings] = None
    traits: Maybe[Traits] = None

    def address(self) -> dict[str, str]:
        """Give how it is reached, as far as it says so itself."""
        return self.model_dump(exclude={"name", "hold", "traits"}, exclude_none=True)


class KubernetesWorkloads(Reached):
    """Readiness, restarts and warnings of what the record of a cluster holds.

    :param record: and how it is reached: those of the substrate unless set
    :param max_restarts: of containers of one workload since the apply; more is harm
    :param max_warnings: about one workload since the apply; more is harm, unset is never
    """

    kind: SignalKind
    record: Maybe[RecordName] = None
    max_restarts: Maybe[Annotated[int, Field(ge=0)]] = None
    max_warnings: Maybe[Annotated[int, Field(ge=0)]] = None

    def options(self) -> dict[str, Any]:
        """Give what was set."""
        return self.model_dump(exclude={"kind"}, exclude_none=True)


Raw = Mapping[str, Any]


def place_of(target: Raw, substrate: Raw) -> tuple[str, ...]:
    """Name the place in a cluster that a target is; nothing when it cannot be told."""
    ways = ("connection", "kubeconfig")
    reached = target if any(way in target for way in ways) else substrate
    way = next((way for way in ways if way in reached), None)
    values = [
        reached.get(way) if way else None,
        target.get("context", substrate.get("context", "")),
        target.get("namespace", substrate.get("namespace", "default")),
    ]
    return tuple(map(str, values)) if all(isinstance(v, str) for v in values) else ()


def problems_of(target: Raw, substrate: Raw) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Say why a target's cluster could not be reached, each with the key that it is about."""
    for raw in (target, substrate):
        if "connection" in raw and "kubeconfig" in raw:
            yield "connection is set as well: remove one of the two", ("kubeconfig",)
            return
    if not any(way in raw for raw in (target, substrate) for way in ("connection", "kubeconfig")):
        yield (
            "missing: set it, or kubeconfig and context, here or in the substrate",
            ("connection",),
        )
        return
    by_file = "kubeconfig" in target or ("kubeconfig" in substrate and "connection" not in target)
    if by_file and not any("context" in raw for raw in (target, substrate)):
        yield "missing: say which of the kubeconfig, here or in the substrate", ("context",)
