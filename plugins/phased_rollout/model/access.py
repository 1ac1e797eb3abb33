"""Who may do what with a rollout."""

from __future__ import annotations

from enum import StrEnum


class Access(StrEnum):
    """What a role may do with a rollout; each includes the one before."""

    SEE = "see"
    OPERATE = "operate"
    DELETE = "delete"
