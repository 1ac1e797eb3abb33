"""Whom a rollout tells: Airflow's notifiers by their import paths, and never a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from phased_rollout.config.fields import Maybe, Strict, choice
from phased_rollout.config.problems import did_you_mean
from phased_rollout.config.rules import Filled, Matching
from phased_rollout.model.notifier import SHORT_NAMES, Event, Notifier

_SECRET_KEY = re.compile(
    r"token|passw|secret|credential|webhook|authorization|(api|access|private|routing|integration|"
    r"service|signing)_?key",
    re.IGNORECASE,
)
_OF_A_CONNECTION = re.compile(r"(conn|connection)(_id)?$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"://[^/\s]*:[^/\s]*@|https?://\S*(hooks?\b|webhook)", re.IGNORECASE)
_MEND = "put it into an Airflow connection, and name that here"


def _notifier(text: str) -> str:
    if "." not in text and text not in SHORT_NAMES:
        close = did_you_mean(text, SHORT_NAMES) or f": short names are {', '.join(SHORT_NAMES)}"
        raise ValueError(f"{text!r} is neither an import path nor a short name{close}")
    return text


def _without_secrets(options: dict[str, Any]) -> dict[str, Any]:
    if problems := list(_secrets(options, "")):
        raise ValueError("; ".join(problems))
    return options


def _secrets(value: Any, key: str) -> Iterator[str]:
    """Name the keys that look as if they held a secret; never a value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            where = f"{key}.{name}" if key else str(name)
            if _SECRET_KEY.search(str(name)) and not _OF_A_CONNECTION.search(str(name)):
                yield f"{where} looks like a secret: {_MEND}"
            else:
                yield from _secrets(inner, where)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, key)
    elif isinstance(value, str) and _SECRET_VALUE.search(value):
        yield f"the value of {key} looks like an address with a secret in it: {_MEND}"


NotifierPath = Annotated[
    str,
    Matching(
        r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*",
        "is no import path: write one such as package.module.SomeNotifier",
    ),
    AfterValidator(_notifier),
]
EventWord = Annotated[Event, BeforeValidator(choice(Event))]


class NotifySettings(Strict):
    """One notifier: what it is told of, and its keyword arguments, templated by Airflow.

    :param notifier: import path of a subclass of airflow.sdk.BaseNotifier, or a short name
    :param events: all unless set; ``on`` would be a boolean to YAML
    """

    notifier: NotifierPath
    events: Maybe[Annotated[list[EventWord], Filled("name at least one event")]] = None
    options: Annotated[dict[str, Any], AfterValidator(_without_secrets)] = Field(
        default_factory=dict, alias="with"
    )

    def notifier_of(self) -> Notifier:
        """Give it as the model knows it."""
        events = tuple(Event) if self.events is None else tuple(dict.fromkeys(self.events))
        return Notifier(path=self.notifier, events=events, options=self.options)
