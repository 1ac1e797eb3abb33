"""Claims: each start of a target, so that failures and targets in flight stay within the tolerance.

What AWS CloudFormation StackSets call strict failure tolerance: of a channel that bears ``n``
failed targets, at most ``n + 1`` have failed or are being changed at any moment, however many tasks
work on it. Claim ``k + 1`` names all that are open with it and can be created only once, so of two
tasks that see room for one more target, one is let in.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import ObjectStoragePath

from phased_rollout.errors import RecordExistsError
from phased_rollout.model.ledger import Kind
from phased_rollout.record_names import safe_name
from phased_rollout.records import RolloutRecords

Claim = dict[str, str]
"""``{"target": name, "at": moment}``"""


def is_claimed(
    records: RolloutRecords, *, channel: str, target: str, tolerance: int, at: datetime
) -> bool:
    """Claim the start of a target, once; False when as many are open as may ever fail."""
    while True:
        folder, last, found = _claims(records, channel)
        if any(claim["target"] == target for claim in found):
            return True
        if len(found) > tolerance:
            return False
        claims = [*found, {"target": target, "at": at.isoformat()}]
        try:
            records.store.create(folder / f"{last + 1}.json", {"open": claims})
        except RecordExistsError:
            continue
        return True


def has_room(records: RolloutRecords, *, channel: str, tolerance: int) -> bool:
    """Whether one more target may be started."""
    return len(_claims(records, channel)[2]) <= tolerance


def _claims(records: RolloutRecords, channel: str) -> tuple[ObjectStoragePath, int, list[Claim]]:
    """Give the claims of this entry: their folder, the last number, and those still open.

    A claim is open until its target is verified: a target that failed keeps its claim.
    """
    entered = records.ledger().last(Kind.ENTERED, channel=channel)
    folder = records.folder / "claims" / safe_name(channel) / safe_name(entered.isoformat())
    names = records.store.names(folder)
    last = max((int(name.split(".")[0]) for name in names), default=0)
    found: list[Any] = records.store.read(folder / f"{last}.json")["open"] if last else []
    history = records.of_targets(channel)
    still = [
        claim
        for claim in found
        if history.last(Kind.VERIFIED, target=claim["target"])
        <= datetime.fromisoformat(claim["at"])
    ]
    return folder, last, still
