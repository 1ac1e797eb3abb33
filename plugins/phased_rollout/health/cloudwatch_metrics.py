"""CloudWatch metrics of the targets: hard ones against a limit, judged ones as series."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from phased_rollout.aws import Access, account
from phased_rollout.errors import ConfigError, RolloutError, UnreachableError
from phased_rollout.health import Series
from phased_rollout.health.ceilings import Answer, observed, window_of
from phased_rollout.model.definition import Target
from phased_rollout.model.metric import Metric, hard, judged
from phased_rollout.model.placeholders import filled
from phased_rollout.model.target_state import Observation

_QUERIES_A_CALL = 500
_ACCOUNTS_AT_ONCE = 16
_RETENTION = timedelta(days=15)
"""How long CloudWatch keeps points that are less than five minutes apart."""
_FIVE_MINUTES = 300
_ID = re.compile(r"""("[^"]*"|'[^']*')|\b([a-z]\w*)\b""")

Json = dict[str, Any]


class CloudWatchMetrics:
    """Metrics, and expressions over metrics, of each target's account or of one for all.

    :param options: ``connection``, ``role``, ``metrics``, and optionally ``external_id``, ``via``,
        ``account`` and ``region`` (where the metrics of all targets are, if not in the target's)
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._entries = {entry["name"]: entry for entry in options.get("metrics") or ()}
        if not self._entries:
            raise ConfigError(["cloudwatch_metrics: options.metrics is missing"])
        self._place = {key: options[key] for key in ("account", "region") if key in options}
        self._hard = hard(options)
        self.metrics = judged(options)

    def observe_all(
        self, targets: Sequence[Target], *, since: Mapping[str, datetime], now: datetime
    ) -> Mapping[str, Sequence[Observation]]:
        """Judge the last points of each hard metric."""
        found: dict[str, list[Observation]] = {target.name: [] for target in targets}
        for ceiling in self._hard:
            start = now - window_of(ceiling)
            answers = self._asked(targets, ceiling.name, start=start, end=now)
            for one in observed(ceiling, targets, answers, since=since):
                found[one.target].append(one)
        return found

    def series(
        self, targets: Sequence[Target], *, metric: Metric, start: datetime, end: datetime
    ) -> Mapping[str, Series]:
        """Give each target's points, whole periods only."""
        return self._series(targets, metric.name, start=start, end=end)

    def exposure(
        self, targets: Sequence[Target], *, metric: Metric, start: datetime, end: datetime
    ) -> Mapping[str, float]:
        """Sum up the points of the metric's counter."""
        counted = self._series(targets, str(metric.exposure), start=start, end=end)
        return {name: sum(value for _, value in points) for name, points in counted.items()}

    def _series(
        self, targets: Sequence[Target], name: str, *, start: datetime, end: datetime
    ) -> dict[str, Series]:
        found: dict[str, Series] = {}
        for target, answer in self._asked(targets, name, start=start, end=end).items():
            if isinstance(answer, RolloutError):
                raise UnreachableError(f"{target}: {answer}") from answer
            found[target] = answer
        return found

    def _asked(
        self, targets: Sequence[Target], name: str, *, start: datetime, end: datetime
    ) -> dict[str, Answer]:
        period = float(self._entries[name].get("period", 60))
        if period < _FIVE_MINUTES:
            start = max(start, end - _RETENTION)
        window = {"StartTime": _whole(start, period, up=True), "EndTime": _whole(end, period)}
        if window["StartTime"] >= window["EndTime"]:
            return {target.name: [] for target in targets}
        groups: dict[Access, list[Target]] = defaultdict(list)
        for target in targets:
            groups[Access.of(self._options, {**target.address, **self._place})].append(target)
        with ThreadPoolExecutor(max_workers=_ACCOUNTS_AT_ONCE) as pool:
            answers = pool.map(
                lambda each: self._of(each[0], each[1], name, window), groups.items()
            )
            found = {target: answer for group in answers for target, answer in group.items()}
        return {target.name: found[target.name] for target in targets}

    def _of(
        self, access: Access, targets: Sequence[Target], name: str, window: Json
    ) -> dict[str, Answer]:
        """Ask about the targets that are found in one place, as many in a call as AWS takes."""
        found: dict[str, Answer] = {}
        entry = self._entries[name]
        in_a_call = _QUERIES_A_CALL // (1 + len(entry.get("parts") or ()))
        for first in range(0, len(targets), in_a_call):
            some = targets[first : first + in_a_call]
            try:
                queries = [q for n, target in enumerate(some) for q in _queries(entry, target, n)]
                answers = _answers(access, {"MetricDataQueries": queries, **window})
            except RolloutError as error:  # a refusal, too: it is no word about the target
                answers = dict.fromkeys(range(len(some)), UnreachableError(str(error)))
            missing = UnreachableError(f"{access}: {name}: CloudWatch left it out of its answer")
            found |= {target.name: answers.get(n, missing) for n, target in enumerate(some)}
        return found


def _queries(entry: Mapping[str, Any], target: Target, number: int) -> Iterator[Json]:
    """Give the query for one target, whose id is its number, after those it is computed from."""
    period = int(entry.get("period", 60))
    name = f"t{number}"
    if "expression" not in entry:
        yield {"Id": name, "MetricStat": _stat(entry, target, period)}
        return
    parts = entry.get("parts") or {}
    for part, of in parts.items():
        stat = _stat(of, target, period)
        yield {"Id": f"{name}_{part}", "MetricStat": stat, "ReturnData": False}

    def renamed(match: re.Match[str]) -> str:
        return f"{name}_{match[0]}" if match[2] in parts else match[0]

    yield {"Id": name, "Expression": _ID.sub(renamed, entry["expression"]), "Period": period}


def _stat(of: Mapping[str, Any], target: Target, period: int) -> Json:
    dimensions = [
        {"Name": name, "Value": filled(value, target)}
        for name, value in (of.get("dimensions") or {}).items()
    ]
    metric = {"Namespace": of["namespace"], "MetricName": of["metric"], "Dimensions": dimensions}
    return {"Metric": metric, "Period": period, "Stat": of["statistic"]}


def _answers(access: Access, arguments: Json) -> dict[int, Answer]:
    """Read all pages; a series of which CloudWatch did not give all is an error, never a gap."""
    points: dict[int, list[tuple[float, float]]] = defaultdict(list)
    last: dict[int, Mapping[str, Any]] = {}
    pages = account(access).pages(
        "get_metric_data",
        "MetricDataResults",
        service="cloudwatch",
        ScanBy="TimestampAscending",
        **arguments,
    )
    for result in pages:
        number = int(result["Id"].removeprefix("t"))
        times = [at.timestamp() for at in result["Timestamps"]]
        points[number] += zip(times, result["Values"], strict=True)
        last[number] = result
    return {
        number: sorted(points[number])
        if result["StatusCode"] == "Complete"
        else UnreachableError(f"{access}: {result['Label']}: {_why(result)}")
        for number, result in last.items()
    }


def _why(result: Mapping[str, Any]) -> str:
    said = "; ".join(f"{m.get('Code')}: {m.get('Value')}" for m in result.get("Messages") or ())
    return f"CloudWatch answers {result['StatusCode']}" + (f": {said}" if said else "")


def _whole(moment: datetime, period: float, *, up: bool = False) -> datetime:
    """Cut a moment down to a whole period, or up to one: half a period's sum is no point."""
    seconds = moment.timestamp()
    whole = seconds - seconds % period
    return datetime.fromtimestamp(whole + period if up and whole < seconds else whole, UTC)
