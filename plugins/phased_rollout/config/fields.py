"""The field types of our YAML files: how each is written, and what is said when it is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from phased_rollout.config.problems import did_you_mean
from phased_rollout.config.rules import WRITTEN, Filled, Matching, NotNull
from phased_rollout.model.access import Access
from phased_rollout.model.definition import (
    CONTROL,
    EMERGENCY,
    Concurrency,
    GateKind,
    OnFailure,
    RollbackScope,
)
from phased_rollout.model.inconclusive import Then
from phased_rollout.model.untested import Untested

RESERVED_CHANNELS = frozenset(
    {"plan", "preview", "authorize", "outcome", "rollback"}
    | {"trip", "settled", "armed", "decide", "verdict"}
)
"""Task ids of the Dag itself and of its rollback group; ``after_…`` is reserved too."""

MAX_DURATION = timedelta(days=90)

_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)
_OF_MACHINES = {"localtime", "posixrules"}  # zones that differ from machine to machine
_ANY_TIME = 1_700_000_000.0
_PRESETS = {"@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly"}

T = TypeVar("T")


class Strict(BaseModel):
    """A mapping that knows its keys. Notes them in the context for the sake of suggestions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _note_known_keys(cls, data: Any, info: ValidationInfo) -> Any:
        if isinstance(data, dict) and info.context is not None:
            known = _known_keys(cls)
            if not data.keys() <= known:
                info.context[id(data)] = sorted(known)
        return data


@cache  # of the classes of the schema; asked for each of thousands of targets
def _known_keys(kind: type[BaseModel]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in kind.model_fields.items())


def choice(kinds: type[StrEnum]) -> Callable[[Any], StrEnum]:
    """Accept one of an enumeration's words."""

    def check(value: Any) -> StrEnum:
        words = [kind.value for kind in kinds]
        if not isinstance(value, str) or value not in words:
            close = did_you_mean(value, words) if isinstance(value, str) else ""
            raise ValueError(f"{WRITTEN} is not one of {', '.join(words)}{close}")
        return kinds(value)

    return check


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank: write something, or remove it")
    return text


def _duration(value: Any) -> timedelta:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"{WRITTEN} has no unit: write a duration such as 30s, 15m, 2h or 1d")
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not value:
        raise ValueError(f"{WRITTEN} is no duration: write one such as 30s, 15m, 1h30m or 2d")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if days > MAX_DURATION.days:
        raise ValueError(f"{WRITTEN} is longer than {MAX_DURATION.days}d: shorten it")
    duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if not duration:
        raise ValueError(f"{WRITTEN} is no time at all: make it longer than zero")
    if duration > MAX_DURATION:
        raise ValueError(f"{WRITTEN} is longer than {MAX_DURATION.days}d: shorten it")
    return duration


def _day(value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f'{WRITTEN} is no day: write one such as "2027-01-31"') from None


def _gate(value: Any) -> frozenset[GateKind]:
    if value is None or value == []:
        raise ValueError("is empty: choose from timer, health and approval")
    kinds = value if isinstance(value, list) else [value]
    check = choice(GateKind)
    for kind in kinds:
        try:
            check(kind)
        except ValueError as error:
            shown = kind if isinstance(kind, str) else WRITTEN
            raise ValueError(str(error).replace(WRITTEN, str(shown))) from None
    if len(set(kinds)) < len(kinds):
        raise ValueError("names a criterion twice: remove one of the two")
    return frozenset(GateKind(kind) for kind in kinds)


def _cron(text: str) -> str:
    # Airflow's own parser, so that what passes here passes there; imported only when it is needed.
    from croniter import CroniterBadDateError, croniter  # noqa: PLC0415

    if text in _PRESETS:
        return text
    fields = text.split()
    five = len(fields) == 5  # noqa: PLR2004 - Airflow's cron has no seconds
    random = any(field[:1] in {"R", "r"} for field in fields)  # another time at every parse
    if not five or random or not croniter.is_valid(text):
        raise ValueError(
            f'{WRITTEN} is no cron expression: write five fields such as "0 2 * * *", or null'
        )
    try:
        croniter(text, start_time=_ANY_TIME).get_next()
    except CroniterBadDateError:
        raise ValueError(f"{WRITTEN} never comes: choose days that exist") from None
    return text


def _timezone(text: str) -> str:
    try:
        if text in _OF_MACHINES:
            raise ValueError(text)
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        close = (
            did_you_mean(text, available_timezones() - _OF_MACHINES)
            or ": write one such as Europe/Berlin"
        )
        raise ValueError(f"{WRITTEN} is no known time zone{close}") from None
    return text


def _dag_name(text: str) -> str:
    for reserved in (EMERGENCY, CONTROL):
        if text.endswith(reserved):
            raise ValueError(
                f"{WRITTEN} ends in {reserved}, which is reserved: choose another name"
            )
    return text


def _channel_name(text: str) -> str:
    if text in RESERVED_CHANNELS or text.startswith("after_"):
        raise ValueError(f"{WRITTEN} is reserved for a task of the Dag: choose another name")
    return text


Maybe = Annotated[T | None, NotNull()]
"""A key that may be left out, but not be left empty."""

Positive = Annotated[int, Field(ge=1)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "minLength": 2}
    ),
]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Gate = Annotated[
    frozenset[GateKind],
    BeforeValidator(_gate),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [kind.value for kind in GateKind]},
                {
                    "type": "array",
                    "items": {"enum": [kind.value for kind in GateKind]},
                    "minItems": 1,
                },
            ]
        }
    ),
]
FailurePolicy = Annotated[OnFailure, BeforeValidator(choice(OnFailure))]
Scope = Annotated[RollbackScope, BeforeValidator(choice(RollbackScope))]
ConcurrencyMode = Annotated[Concurrency, BeforeValidator(choice(Concurrency))]
UntestedPolicy = Annotated[Untested, BeforeValidator(choice(Untested))]
AfterHold = Annotated[Then, BeforeValidator(choice(Then))]
AccessWord = Annotated[Access, BeforeValidator(choice(Access))]
Cron = Annotated[str, AfterValidator(_cron)]
TimeZone = Annotated[str, AfterValidator(_timezone)]

Text = Annotated[
    str, AfterValidator(_not_blank), WithJsonSchema({"type": "string", "minLength": 1})
]
Traits = Annotated[dict[Text, Text], Filled("name at least one trait")]
"""What a target has in common with others, besides its address."""

DagName = Annotated[
    str,
    Matching(
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}",
        "cannot name a Dag: use letters, digits, '_', '-' and '.', at most 200",
    ),
    AfterValidator(_dag_name),
]
ChannelName = Annotated[
    str,
    Matching(
        r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}",
        "cannot name a channel: use letters, digits, '_' and '-', at most 100",
    ),
    AfterValidator(_channel_name),
]
PolicyName = Annotated[
    str,
    Matching(
        r"[A-Za-z0-9_][A-Za-z0-9_-]{0,99}",
        "cannot name a policy: use letters, digits, '_' and '-', at most 100",
    ),
]
TargetName = Annotated[
    str,
    Matching(
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}",
        "cannot name a target: use letters, digits, '_', '-' and '.', at most 100",
    ),
]
