"""What is on record of a run, as a check of its certificates takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from phased_rollout.model.certificate import Certificate
from phased_rollout.model.ledger import Entry
from phased_rollout.model.plan import Plan


def moment(text: object) -> datetime | None:
    """Read a time; None when it is none, or has no time zone."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it is now.

    :param path: below the folder of the run
    :param entry: what its name says; None for what a target ran before, and for the plan
    :param digest: SHA-256 of its bytes
    :param value: what it says; None when it is damaged
    """

    path: str
    entry: Entry | None
    digest: str
    value: Mapping[str, Any] | None

    @property
    def at(self) -> datetime | None:
        """When it claims to have been written."""
        if self.entry:
            return self.entry.at
        return moment((self.value or {}).get("at"))

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that it carries."""
        return Certificate.of(self.value or {})


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is on record of a run.

    :param plan: None when it cannot be read
    :param frozen: the record of the plan
    :param records: those of the run, its channels and targets, by path
    :param lists: those that certificates name, by digest; one that cannot be read is not there
    :param objects: content that is not as it was: digest to what it is for, and what is wrong
    """

    rollout: str
    run: str
    plan: Plan | None
    frozen: Record
    records: Mapping[str, Record]
    lists: Mapping[str, Mapping[str, str]]
    objects: Mapping[str, tuple[str, str]]
    schema: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, or worth a remark: which record or content, and why."""

    what: str
    why: str
