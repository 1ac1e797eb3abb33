"""Every error the product raises: one root, specific children."""

from __future__ import annotations


class RolloutError(Exception):
    """Root of all errors of this package."""


class ConfigError(RolloutError):
    """The configuration cannot be used. Carries every problem found, not just the first.

    :param problems: complete messages, ``file:line: path: what, how to mend it``
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class CaseError(RolloutError):
    """What is to be judged cannot be used. Carries every problem found, not just the first.

    :param problems: complete messages, ``place: what, how to mend it``
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class ChangeError(RolloutError):
    """The change cannot be rolled out: missing, empty, unreadable or inconsistent."""


class RefusedError(RolloutError):
    """The target said no, or does not run what it was given. This is a failure of the change."""


class DriftedError(RolloutError):
    """What would change now is not what was previewed; nothing was changed. Preview it again."""


class UnreachableError(RolloutError):
    """The target could not be asked. This says nothing about the change, so it never rolls back."""


class GuardError(RolloutError):
    """A rule of the rollout forbids this step; the text says which, and what to do."""


class BlockedError(RolloutError):
    """No further target is started, because others have failed; another try may find it lifted."""


class NoTurnError(RolloutError):
    """The target is not started yet: as many are being changed as the channel bears failures."""


class HeldError(RolloutError):
    """The target is not started now: an operator or a freeze window holds its channel."""


class PausedError(RolloutError):
    """Too many restores have failed: a person has to say whether the rollback goes on."""


class RecordError(RolloutError):
    """A record is missing, damaged, or stands already where a new one was to be created."""


class RecordExistsError(RecordError):
    """A create-only record exists already."""


class LockedError(RolloutError):
    """Somebody else is changing this target right now."""
