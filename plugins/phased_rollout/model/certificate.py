"""Certificates: what a graduation rests on, by digests, and the graduation before it.

A certificate is part of the record of a graduation. It names, by their SHA-256, the frozen plan,
three lists of records (``evidence``, ``approval``, ``targets``), what else the record says
(``facts``), and the certificate before it. A list is kept as content of its own, under its digest::

    {"records": {"ledger/<name>": "<SHA-256 of its bytes>", …}}

``targets`` holds all records of the channel's targets, with what they ran before; the other two
hold whatever else was on record and in no list of the certificates before, so that together they
cover the whole run: what was bypassed, previewed, held, failed and rolled back on the way as well.

Whoever can write the record store can compute all of it anew: digests are no signature. What they
are compared with therefore has to be kept elsewhere, see docs/operate.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from phased_rollout.model.digest import digest_of
from phased_rollout.model.ledger import Entry, Kind

VERSION = 1
LISTS = ("evidence", "approval", "targets")
_SAID_BY_PEOPLE = frozenset(
    {
        Kind.AUTHORIZED,
        Kind.CONFIRMED,
        Kind.APPROVED,
        Kind.REJECTED,
        Kind.ASKED,
        Kind.CLOSED,
    }
)
_OF_EVERY_RECORD = frozenset({"at", "kind", "channel", "target", "certificate"})


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a graduation rests on.

    :param plan: SHA-256 of the frozen plan's bytes
    :param evidence: name of the list of records of the run and its channels
    :param approval: name of the list of questions and answers
    :param targets: name of the list of records of the channel's targets
    :param facts: digest of what else the record of the graduation says
    :param previous: digest of the certificate before it; empty for the first
    """

    rollout: str
    run: str
    channel: str
    at: str
    plan: str
    evidence: str
    approval: str
    targets: str
    facts: str
    previous: str = ""
    version: int = VERSION

    @property
    def digest(self) -> str:
        """Name the certificate: what ``verify --head`` compares with."""
        return digest_of(self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Give what the record of the graduation carries."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Certificate | None:
        """Read the certificate of a graduation; None where there is none, or none of this form."""
        found = record.get("certificate")
        if not isinstance(found, dict) or set(found) != set(cls.__slots__):
            return None
        texts = (value for name, value in found.items() if name != "version")
        if found["version"] != VERSION or not all(isinstance(text, str) for text in texts):
            return None
        return cls(**found)


def facts_of(record: Mapping[str, Any]) -> str:
    """Name what a record of a graduation says besides what every record does."""
    return digest_of({key: record[key] for key in record if key not in _OF_EVERY_RECORD})


def list_of(entry: Entry | None) -> str:
    """Say which list holds a record of the ledger."""
    return "approval" if entry and entry.kind in _SAID_BY_PEOPLE else "evidence"


def way_to(certificates: Iterable[Certificate], digest: str) -> list[Certificate]:
    """Give the certificates that lead to one, the newest first, as far as they are on record."""
    known = {certificate.digest: certificate for certificate in certificates}
    way: list[Certificate] = []
    while digest in known:
        way.append(known.pop(digest))
        digest = way[-1].previous
    return way
