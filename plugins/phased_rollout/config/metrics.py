"""What channels.yaml says of metrics: which are hard, which are judged, how each is asked for."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import Enum
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from phased_rollout.config.fields import Duration, Maybe, Positive, Strict, Text, choice
from phased_rollout.config.kinds import (
    AccountId,
    ConnectionId,
    ExternalId,
    Hop,
    Region,
    Role,
    SignalKind,
)
from phased_rollout.config.problems import did_you_mean
from phased_rollout.config.rules import WRITTEN, Filled, Matching
from phased_rollout.model.metric import Worse
from phased_rollout.model.placeholders import TARGETS, keys_in, promql_problem

_MINUTE = timedelta(minutes=1)

Number = Annotated[float, Field(allow_inf_nan=False)]
Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]
WorseWord = Annotated[Worse, BeforeValidator(choice(Worse))]
MetricName = Annotated[
    str,
    Matching(
        r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,59}",
        "cannot name a metric: use letters, digits, '_', '-' and '.', at most 60",
    ),
]
PartName = Annotated[
    str,
    Matching(
        r"[a-z][A-Za-z0-9_]{0,39}",
        "cannot name a part: begin with a small letter; letters, digits and '_', at most 40",
    ),
]
Statistic = Annotated[
    str,
    Matching(
        r"Average|Sum|Minimum|Maximum|SampleCount|IQM|p(100|\d{1,2}(\.\d{1,10})?)"
        r"|(tm|wm|tc|ts|TM|WM|PR|TC|TS)[\d.(%:)]{1,40}",
        "is no statistic of CloudWatch: write one such as Average, Sum or p99",
    ),
]


def _whole_minutes(period: timedelta) -> timedelta:
    if period % _MINUTE:
        raise ValueError(f"{WRITTEN} is no period of CloudWatch: write whole minutes, such as 1m")
    return period


def _query(text: str) -> str:
    if problem := promql_problem(text):
        raise ValueError(problem)
    return text


class MetricSettings(Strict):
    """One metric of each target.

    :param above: with this limit, or ``below``, it is hard: so many ``points`` in a row beyond it
        are harm, and end the soak
    :param worse: with this direction it is judged: over the whole soak, against the past and
        against targets that were not reached yet
    :param min_effect_sd: harm that is smaller, in standard deviations, is let pass
    :param min_points: of each target in the soak, below which nothing is known
    :param exposure: another metric of this list, which counts what makes this one mean something
    :param min_exposure: how much that has to count in the soak
    :param period: between two points
    """

    name: MetricName
    unit: Maybe[Text] = None
    above: Maybe[Number] = None
    below: Maybe[Number] = None
    points: Maybe[Positive] = None
    worse: Maybe[WorseWord] = None
    min_effect_sd: Maybe[Above0] = None
    min_points: Maybe[Positive] = None
    exposure: Maybe[MetricName] = None
    min_exposure: Maybe[Above0] = None
    period: Maybe[Duration] = None

    @property
    def is_hard(self) -> bool:
        """Whether it has a limit."""
        return self.above is not None or self.below is not None

    @model_validator(mode="after")
    def _one_sort(self) -> Self:
        if self.above is not None and self.below is not None:
            raise ValueError("has two limits: set either above or below")
        if self.points is not None and not self.is_hard:
            raise ValueError("has points, but no limit: set above or below as well")
        of_judged = ("min_effect_sd", "min_points", "exposure", "min_exposure")
        lost = [key for key in of_judged if getattr(self, key) is not None]
        if lost and self.worse is None:
            raise ValueError(f"is not judged, so {lost[0]} means nothing: set worse as well")
        if self.min_exposure is not None and self.exposure is None:
            raise ValueError("has min_exposure, but of what: set exposure as well")
        return self


EntryT = TypeVar("EntryT", bound=MetricSettings)


def _consistent(entries: list[EntryT]) -> list[EntryT]:
    names, counters = [e.name for e in entries], {e.exposure for e in entries if e.exposure}
    if unknown := sorted(counters - set(names)):
        close = did_you_mean(unknown[0], names) or ": add it to this list"
        raise ValueError(f"have no metric {unknown[0]} for the exposure of another{close}")
    for entry in entries:
        if entry.name not in counters and not (entry.is_hard or entry.worse):
            what = "is neither hard nor judged: set above, below or worse"
            raise ValueError(f"{entry.name} {what}")
    return entries


class StatSettings(Strict):
    """A statistic of a CloudWatch metric.

    :param dimensions: name to value; ``{account}``, ``{name}`` and so on are the target's own
    """

    namespace: Text
    metric: Text
    statistic: Statistic
    dimensions: Maybe[dict[Text, Text]] = None


class CloudWatchMetric(MetricSettings):
    """A statistic of a CloudWatch metric, or an expression over some.

    :param expression: metric math over the names of ``parts``
    """

    namespace: Maybe[Text] = None
    metric: Maybe[Text] = None
    statistic: Maybe[Statistic] = None
    dimensions: Maybe[dict[Text, Text]] = None
    expression: Maybe[Text] = None
    parts: Maybe[Annotated[dict[PartName, StatSettings], Filled("name what it computes from")]] = (
        None
    )
    period: Maybe[Annotated[Duration, AfterValidator(_whole_minutes)]] = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        stat = [self.namespace, self.metric, self.statistic]
        if self.expression is None and (None in stat or self.parts is not None):
            raise ValueError("set namespace, metric and statistic, or expression and parts")
        if self.expression is not None:
            if any([*stat, self.dimensions]) or self.parts is None:
                raise ValueError("an expression has parts, and nothing else of a metric")
            unused = [p for p in self.parts if not re.search(rf"\b{p}\b", self.expression)]
            if unused:
                raise ValueError(f"the expression does not use its part {unused[0]}: remove it")
        return self


class CloudWatchMetrics(Strict):
    """Metrics of CloudWatch.

    :param role: that can only read: another one than the substrate's
    :param account: and region: where the metrics of all targets are; each target's unless set
    :param connection: and via: those of the substrate unless set
    """

    kind: SignalKind
    role: Role
    metrics: Annotated[
        list[CloudWatchMetric], Filled("name at least one metric"), AfterValidator(_consistent)
    ]
    connection: Maybe[ConnectionId] = None
    external_id: Maybe[ExternalId] = None
    via: Maybe[list[Hop]] = None
    account: Maybe[AccountId] = None
    region: Maybe[Region] = None

    def options(self) -> dict[str, Any]:
        """Give what was set."""
        return plain(self)


class PrometheusMetric(MetricSettings):
    """The value of a PromQL query, one for each target.

    :param label: of the answer's series that names the target; then one query asks about many, by
        ``{targets}`` in a regular expression
    :param value: which value of the label is a target's; its name unless set
    """

    query: Annotated[Text, AfterValidator(_query)]
    label: Maybe[Annotated[str, Matching(r"[A-Za-z_]\w*", "is no label name: correct it")]] = None
    value: Maybe[Text] = None

    @model_validator(mode="after")
    def _many_or_one(self) -> Self:
        keys = keys_in(self.query)
        if self.label is None and TARGETS in keys:
            raise ValueError("{targets} stands for many: say by label which series is whose")
        if self.label is None and not keys:
            raise ValueError('the same for every target: name it, such as {cluster="{name}"}')
        if self.label is not None and keys - {TARGETS}:
            what = "a query with label asks about many targets: write {targets}, not"
            raise ValueError(f"{what} {{{min(keys - {TARGETS})}}}")
        if self.value is not None and self.label is None:
            raise ValueError("value is one of label, which is not set: set it as well")
        return self


class Prometheus(Strict):
    """PromQL queries to one Prometheus, or what speaks its API.

    :param connection: Airflow connection of type ``http``, which has the host and the secrets
    """

    kind: SignalKind
    connection: ConnectionId
    metrics: Annotated[
        list[PrometheusMetric], Filled("name at least one metric"), AfterValidator(_consistent)
    ]

    def options(self) -> dict[str, Any]:
        """Give what was set."""
        return plain(self)


def plain(settings: Strict) -> dict[str, Any]:
    """Give what was set as JSON values: durations in seconds, without the kind."""
    found: dict[str, Any] = _plain(settings.model_dump(exclude={"kind"}, exclude_none=True))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.value if isinstance(value, Enum) else value
