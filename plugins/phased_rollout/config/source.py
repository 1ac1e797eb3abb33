"""How the place of a change is written: a folder, or a URL that names an Airflow connection."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from phased_rollout.config.fields import Text

_REMOTE = re.compile(
    r"[a-z][a-z0-9]*://[\w.-]{1,250}@[\w.-]+(/(?!\.\.?(/|$))[^/?#\x00-\x1f]{1,200})*/?"
)
_LOCAL = "file:///"


def is_remote(source: str) -> bool:
    """Whether a change lies in object storage."""
    return "://" in source and not source.startswith(_LOCAL)


def problem_of(source: str) -> str:
    """Say what is wrong with a place; nothing if it may be one. Never names it: see below.

    Whoever writes a key or a password into the URL must not find it in a log.
    """
    if not is_remote(source) or _REMOTE.fullmatch(source):
        return ""
    return (
        "is no place of a change: write a folder, or a URL with the id of the Airflow connection "
        "that may read it and nothing secret, such as s3://connection@bucket/prefix"
    )


def path_of(source: str) -> str:
    """Give the path of a local folder."""
    return source.removeprefix("file://")


def _checked(source: str) -> str:
    if problem := problem_of(source):
        raise ValueError(problem)
    return source


ChangeSource = Annotated[Text, AfterValidator(_checked)]
