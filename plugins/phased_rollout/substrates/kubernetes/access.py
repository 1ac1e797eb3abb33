"""How a target's cluster is reached: by an Airflow connection, or a context of a kubeconfig.

Fails closed: a connection that does not exist or names no cluster, a context that is not there, is
never made up for by the machine's own cluster or kubeconfig.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiClient, Configuration  # type: ignore[import-untyped]  # has no types

from phased_rollout.errors import UnreachableError
from phased_rollout.model.digest import digest_of
from phased_rollout.substrates.kubernetes.client import Cluster

_TRUSTED = 60.0  # seconds until a connection or kubeconfig is looked at again
_REACHABLE_CLUSTERS = 256
_PLACES = ("kube_config", "kube_config_path", "in_cluster")
_LOADING = threading.Lock()  # the client's loaders of in-cluster credentials set a global


@dataclass(frozen=True, slots=True)
class Access:
    """Which cluster, and by what; a target's own settings win over those of the substrate."""

    connection: str | None = None
    kubeconfig: str | None = None
    context: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any], address: Mapping[str, str]) -> Self:
        """Choose; a target that names a connection or a kubeconfig has no other."""
        ways = ("connection", "kubeconfig")
        own = {way: address[way] for way in ways if way in address}
        given = own or {way: options[way] for way in ways if options.get(way)}
        return cls(**given, context=address.get("context") or options.get("context"))

    def __str__(self) -> str:
        where = f"connection {self.connection!r}" if self.connection else f"{self.kubeconfig}"
        return f"cluster {self.context!r} of {where}" if self.context else f"cluster of {where}"

    def content(self) -> str:
        """Name what is reached by now: another when the connection or the file was edited."""
        if self.connection:
            found = self._found_connection()
            return digest_of([found.conn_type, found.extra or ""])
        path = self._found_file()
        return digest_of([str(path), str(path.stat().st_mtime_ns), str(path.stat().st_size)])

    def _found_connection(self) -> Any:
        name = self.connection
        try:
            found = BaseHook.get_connection(str(name))
        except (AirflowException, PermissionError) as error:
            raise UnreachableError(
                f"connection {name!r} does not exist: create it in Airflow, or mend `connection`"
            ) from error
        if found.conn_type != "kubernetes":
            what = f"is of type {found.conn_type!r}, not 'kubernetes'"
            raise UnreachableError(f"connection {name!r} {what}")
        extra = found.extra_dejson
        if not any(extra.get(key) or extra.get(f"extra__kubernetes__{key}") for key in _PLACES):
            raise UnreachableError(
                f"connection {name!r} names no cluster, and nobody's default is taken instead: set "
                f"one of {', '.join(_PLACES)} in its extra"
            )
        return found

    def _found_file(self) -> Path:
        if not self.kubeconfig or not self.context:
            raise UnreachableError(
                "no cluster is named: set a connection, or kubeconfig and context"
            )
        path = Path(self.kubeconfig).expanduser()
        if not path.is_file():
            raise UnreachableError(f"{path}: no such kubeconfig on this machine")
        return path

    def client(self) -> ApiClient:
        """Build a client of its own, whose configuration no other has."""
        hook = self._hook()
        try:
            with _LOADING if hook.client_configuration is None else nullcontext():
                return hook.get_conn()
        except Exception as error:  # the loaders raise whatever a bad kubeconfig leads to
            # Its text may hold what the kubeconfig says.
            raise UnreachableError(
                f"{self}: its kubeconfig cannot be used ({type(error).__name__}): mend it, or the "
                "context"
            ) from error

    def _hook(self) -> KubernetesHook:
        if not self.connection:
            return KubernetesHook(
                kubernetes_conn_id=None,
                config_file=str(self._found_file()),
                cluster_context=self.context,
                client_configuration=Configuration(),
            )
        extra = self._found_connection().extra_dejson
        inside = extra.get("in_cluster") or extra.get("extra__kubernetes__in_cluster")
        return KubernetesHook(
            conn_id=self.connection,
            cluster_context=self.context,
            client_configuration=None if inside else Configuration(),
        )


_HOLDING = threading.Lock()
_CLUSTERS: OrderedDict[Access, tuple[float, str, Cluster]] = OrderedDict()


def cluster(access: Access) -> Cluster:
    """Give this process's client of a cluster; a new one once what it was made from was edited."""
    now = time.monotonic()
    with _HOLDING:
        since, content, kept = _CLUSTERS.get(access, (0.0, "", None))
    if kept and now < since + _TRUSTED:
        return kept
    found = access.content()
    if kept is None or found != content:
        kept = Cluster(access.client(), name=str(access), on_denied=lambda: forget(access))
    with _HOLDING:
        _CLUSTERS[access] = now, found, kept
        _CLUSTERS.move_to_end(access)
        while len(_CLUSTERS) > _REACHABLE_CLUSTERS:
            _CLUSTERS.popitem(last=False)
    return kept


def forget(access: Access | None = None) -> None:
    """Drop what is kept of a cluster, or of all."""
    with _HOLDING:
        if access is None:
            _CLUSTERS.clear()
        else:
            _CLUSTERS.pop(access, None)
