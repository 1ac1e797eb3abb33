"""What a target runs, kept in a ConfigMap of the target: digest, manifests, inventory, attempt.

Digest, manifests and inventory are written last, when all of them are there and complete. While an
attempt is under way they stay those of what ran before, and the attempt stands beside them: it
tells a process that takes over, and a rollback, what may have been touched.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from phased_rollout.errors import ChangeError, RefusedError, UnreachableError
from phased_rollout.model.digest import canonical_json
from phased_rollout.substrates.kubernetes.client import Cluster
from phased_rollout.substrates.kubernetes.manifests import Ref

Json = dict[str, Any]

OF_RECORD = "phased-rollout/record"
"""Annotation of every object: of which record it is."""

_PACKED = "objects.json.gz"
_GZIP = 31  # zlib's number for the format
MAX_UNPACKED = 50_000_000
"""Bytes of all manifests as JSON: what is packed to a few may be very many."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object of the inventory.

    :param owned: fingerprint of what we owned of it when it was applied
    :param created: it was not there before we applied it first, so it is ours to delete
    :param leaves: the attempt takes it away
    """

    ref: Ref
    api_version: str
    owned: str = ""
    created: bool = False
    leaves: bool = False


class Phase(StrEnum):
    """How far an attempt has come."""

    BEGUN = "begun"
    SENT = "sent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Attempt:
    """An apply or a restore that has not ended well yet.

    :param digest: of what it wants to run; empty when it wants nothing to be there
    :param entries: all objects that it touches, those that it takes away included
    :param since: when its manifests were sent, ISO 8601 in UTC
    :param reason: why it was refused
    """

    token: str
    digest: str
    phase: Phase = Phase.BEGUN
    entries: tuple[Entry, ...] = ()
    since: str = ""
    reason: str = ""

    @property
    def rollout(self) -> str:
        """Name the rollout that it is of."""
        return self.token.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Record:
    """What the ConfigMap holds.

    :param digest: of what runs; empty when nothing of ours did before the attempt
    :param at: when its manifests were sent, ISO 8601 in UTC
    """

    digest: str = ""
    objects: tuple[Json, ...] = ()
    entries: tuple[Entry, ...] = ()
    at: str = ""
    attempt: Attempt | None = None

    @property
    def touched(self) -> dict[Ref, Entry]:
        """All objects that ran before or that the attempt touches."""
        attempt = self.attempt.entries if self.attempt else ()
        return {entry.ref: entry for entry in (*self.entries, *attempt)}

    def with_attempt(self, attempt: Attempt) -> Record:
        """Give the record while an attempt is under way."""
        return replace(self, attempt=attempt)


@dataclass(frozen=True, slots=True)
class Keeper:
    """Reads and writes the record of a target.

    :param name: of the record; the ConfigMap's is made of it, and the field manager's
    :param namespace: of the ConfigMap
    """

    cluster: Cluster
    name: str
    namespace: str

    @property
    def manager(self) -> str:
        """The field manager of all that this record's changes apply."""
        return f"phased-rollout-{self.namespace}-{self.name}"

    @property
    def config_map(self) -> str:
        """The ConfigMap that holds the record."""
        return f"phased-rollout-{self.name}"

    def __str__(self) -> str:
        return f"{self.cluster.name}, record {self.namespace}/{self.name}"

    def read(self) -> Record | None:
        """Give the record; None when there is none."""
        found = self.cluster.get(self._resource(), self.config_map, self.namespace)
        if found is None:
            return None
        data, packed = found.get("data") or {}, found.get("binaryData") or {}
        try:
            inventory = json.loads(data["inventory"])
            attempt = json.loads(data["attempt"]) if data.get("attempt") else None
            objects = json.loads(_unpacked(packed[_PACKED]))
            return Record(
                digest=data["digest"],
                objects=tuple(objects),
                entries=_entries(inventory),
                at=data["at"],
                attempt=_attempt(attempt) if attempt else None,
            )
        except (KeyError, TypeError, ValueError, RecursionError, zlib.error) as error:
            raise RefusedError(
                f"{self}: the ConfigMap {self.config_map} is damaged: bring it back as it was, or "
                "delete it to begin anew, which leaves its objects alone"
            ) from error

    def write(self, record: Record) -> None:
        """Write the record whole."""
        attempt = record.attempt
        shown = {**_shown(attempt), "entries": _listed(attempt.entries)} if attempt else {}
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.config_map, "labels": {"phased-rollout": "record"}},
            "data": {
                "digest": record.digest,
                "at": record.at,
                "inventory": json.dumps(_listed(record.entries)),
                "attempt": json.dumps(shown) if shown else "",
            },
            "binaryData": {_PACKED: base64.b64encode(packed(record.objects)).decode()},
        }
        self.cluster.apply(self._resource(), manifest, self.namespace, manager=self.manager)

    def delete(self) -> None:
        """Take the record away: nothing of ours runs."""
        found = self.cluster.get(self._resource(), self.config_map, self.namespace)
        if found:
            uid = found["metadata"]["uid"]
            self.cluster.delete(self._resource(), self.config_map, self.namespace, uid=uid)

    def apply(
        self, resource: Any, manifest: Json, namespace: str, *, dry_run: bool = False
    ) -> Json:
        """Apply a manifest as this record's: no object is of two, and none is of ours unseen.

        The annotation makes it so: a second record would be in conflict about it, and an object
        of which a manifest sets nothing but the name is owned by it.
        """
        metadata = dict(manifest["metadata"])
        mark = {OF_RECORD: f"{self.namespace}/{self.name}"}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **mark}
        marked = {**manifest, "metadata": metadata}
        return self.cluster.apply(
            resource, marked, namespace, manager=self.manager, dry_run=dry_run
        )

    def _resource(self) -> Any:
        found = self.cluster.resource("v1", "ConfigMap")
        if found is None:
            raise UnreachableError(
                f"{self.cluster.name}: serves no ConfigMap: is it an API server?"
            )
        return found


def packed(objects: Sequence[Mapping[str, Any]]) -> bytes:
    """Pack manifests, the same always the same; raises ChangeError when they are too many."""
    unpacked = canonical_json(list(objects)).encode()
    if len(unpacked) > MAX_UNPACKED:
        raise ChangeError(
            f"the manifests are {len(unpacked):,} bytes as JSON, and a record holds at most "
            f"{MAX_UNPACKED:,}: split them into several definitions"
        )
    return gzip.compress(unpacked, mtime=0)


def _shown(attempt: Attempt) -> Json:
    return {key: value for key, value in asdict(attempt).items() if key != "entries"}


def _listed(entries: Sequence[Entry]) -> list[Json]:
    return [asdict(entry) for entry in entries]


def _entries(listed: Sequence[Json]) -> tuple[Entry, ...]:
    return tuple(Entry(**{**each, "ref": Ref(**each["ref"])}) for each in listed)


def _attempt(shown: Json) -> Attempt:
    phase, entries = Phase(shown["phase"]), _entries(shown["entries"])
    return Attempt(**{**shown, "phase": phase, "entries": entries})


def _unpacked(text: str) -> bytes:
    """Unpack what ``packed`` wrote, but no bomb: who may edit the ConfigMap is not trusted."""
    opened = zlib.decompressobj(wbits=_GZIP)
    found = opened.decompress(base64.b64decode(text, validate=True), MAX_UNPACKED + 1)
    if not opened.eof or len(found) > MAX_UNPACKED:
        raise ValueError("is cut off, or unpacks to too much")
    return found
