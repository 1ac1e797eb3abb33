"""What was sent in an attempt at a tenant: kept in the record store, as an API remembers nothing.

Below ``attempts/<rollout>/<attempt>/<target>/``. The target itself decides wherever it can: these
records only keep an operation that was accepted from being sent again while it is under way.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from airflow.sdk import ObjectStoragePath

from phased_rollout.errors import RecordExistsError
from phased_rollout.record_names import safe_name
from phased_rollout.records import RecordStore

_ACCEPTED, _REFUSED, _MET = "accepted", "refused", "met"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A request that was accepted.

    :param at: ISO 8601 in UTC
    :param digest: of what it shall lead to; empty for nothing at all
    :param asynchronous: the API said that it is not done yet
    :param status: the tenant's own status before
    """

    at: str
    digest: str
    asynchronous: bool
    status: str

    @property
    def moment(self) -> datetime:
        """When it was accepted."""
        return datetime.fromisoformat(self.at)


class Attempts:
    """The records of one attempt.

    :param token: names it
    """

    def __init__(self, *, token: str, target: str) -> None:
        self._store = RecordStore.from_environment()
        rollout, _, attempt = token.partition("-")
        root: ObjectStoragePath = self._store.root / "attempts"
        self._folder = root / safe_name(rollout) / safe_name(attempt or "0") / safe_name(target)
        self._known = {name.removesuffix(".json") for name in self._store.names(self._folder)}

    @property
    def accepted(self) -> Accepted | None:
        """What was accepted, if anything was."""
        found = self._read(_ACCEPTED)
        return Accepted(**{key: found[key] for key in Accepted.__slots__}) if found else None

    @property
    def refusal(self) -> str:
        """Why the attempt was refused; nothing if it was not."""
        found = self._read(_REFUSED)
        return str(found["reason"]) if found else ""

    def accept(self, accepted: Accepted) -> None:
        """Note that a request was accepted."""
        self._create(_ACCEPTED, asdict(accepted))

    def refuse(self, reason: str) -> None:
        """Note that the attempt has failed, so that it is not sent again."""
        self._create(_REFUSED, {"reason": reason})

    def meet(self, now: datetime) -> None:
        """Note that an operation is waited for that was not sent in this attempt; once."""
        self._create(_MET, {"at": now.isoformat()})

    @property
    def met(self) -> datetime | None:
        """Since when such an operation is waited for."""
        found = self._read(_MET)
        return datetime.fromisoformat(str(found["at"])) if found else None

    def _create(self, name: str, value: dict[str, Any]) -> None:
        with suppress(RecordExistsError):
            self._store.create(self._folder / f"{name}.json", value)
        self._known.add(name)

    def _read(self, name: str) -> dict[str, Any]:
        return self._store.read(self._folder / f"{name}.json") if name in self._known else {}
