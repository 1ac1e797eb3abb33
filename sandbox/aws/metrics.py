"""CloudWatch's metrics: moto keeps them, but has no pages, limits or retention, and is slow."""

from __future__ import annotations

import ast
import bisect
import datetime as dt
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sandbox.aws import cbor
from sandbox.aws.backends import backend
from sandbox.aws.errors import AwsError, validation_error
from sandbox.aws.identity import Caller
from sandbox.aws.paging import offset_of, token_of
from sandbox.aws.wire import Reply, Request

MOST_QUERIES, MOST_POINTS = 500, 100_800
_POINTS_OF_A_PAGE = MOST_POINTS // 100  # by page_size, which is 100 unless set
_MOST_DATA = 1000
_OLDEST, _NEWEST = dt.timedelta(days=14), dt.timedelta(hours=2)
_KEPT = {60: dt.timedelta(hours=3), 300: dt.timedelta(days=15), 3600: dt.timedelta(days=63)}
"""How long points are kept that are less than so many seconds apart."""
_ID = re.compile(r"[a-z][a-zA-Z0-9_]*")
_OPERATORS: dict[type, Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip

Json = dict[str, Any]
Points = dict[float, float]
Key = tuple[str, str, frozenset[tuple[str, str]]]


def answer(request: Request, *, caller: Caller, size: int, now: dt.datetime) -> Reply | None:
    """The answer to a call about metrics; None for all else, and in the query protocol."""
    if request.service != "cloudwatch" or request.protocol not in ("cbor", "json"):
        return None
    series = series_of(caller.account, request.region)
    if request.operation == "PutMetricData":
        _put(series, request.params, now=now)
        return _reply({}, request)
    if request.operation == "GetMetricData":
        return _reply(_got(series, request.params, size=size, now=now), request)
    return None


def series_of(account: str, region: str) -> dict[Key, list[tuple[float, float]]]:
    """All metrics of a region of an account: their values in the order of time.

    They are kept at moto's own backend, so that they go when everything is forgotten.
    """
    known: dict[Key, list[tuple[float, float]]] = vars(
        backend("cloudwatch", account=account, region=region)
    ).setdefault("sandbox_series", {})
    return known


def key_of(namespace: str, metric: str, dimensions: Iterable[Mapping[str, str]]) -> Key:
    """What names a metric: one with fewer dimensions is another metric."""
    return namespace, metric, frozenset((each["Name"], each["Value"]) for each in dimensions)


def _put(series: dict[Key, Any], params: Json, *, now: dt.datetime) -> None:
    data = params.get("MetricData") or []
    if len(data) > _MOST_DATA:
        raise validation_error("The collection MetricData must not have a size greater than 1000.")
    for number, datum in enumerate(data, start=1):
        at = _moment(datum.get("Timestamp") or now)
        name = f"The parameter MetricData.member.{number}"
        if not -_OLDEST <= at - now <= _NEWEST:
            what = "must specify a time within the past two weeks."
            raise AwsError("InvalidParameterValue", f"{name}.Timestamp {what}")
        values = datum.get("Values") or [datum.get("Value", 0)]
        counts = datum.get("Counts") or [1] * len(values)
        if any(not math.isfinite(float(value)) for value in values):
            raise AwsError("InvalidParameterValue", f"{name}.Value must be a finite number.")
        key = key_of(params["Namespace"], datum["MetricName"], datum.get("Dimensions") or [])
        for value, count in zip(values, counts, strict=True):
            for _ in range(int(count)):
                bisect.insort(series.setdefault(key, []), (at.timestamp(), float(value)))


def _got(series: dict[Key, Any], params: Json, *, size: int, now: dt.datetime) -> Json:
    queries = params.get("MetricDataQueries") or []
    start, end = _moment(params["StartTime"]), _moment(params["EndTime"])
    _check(queries, start, end)
    found: dict[str, Points] = {}
    for query in sorted(queries, key=lambda query: "Expression" in query):
        if "Expression" in query:
            found[query["Id"]] = _computed(query["Expression"], found)
        else:
            found[query["Id"]] = _stat(series, query["MetricStat"], start, end, now=now)
    most = min(int(params.get("MaxDatapoints") or MOST_POINTS), _POINTS_OF_A_PAGE * size)
    shown = [query for query in queries if query.get("ReturnData", True)]
    backwards = params.get("ScanBy") != "TimestampAscending"
    return _page(
        [(query, sorted(found[query["Id"]].items(), reverse=backwards)) for query in shown],
        has_math=any("Expression" in query for query in queries),
        offset=offset_of(params.get("NextToken")),
        most=most,
    )


def _page(
    series: Sequence[tuple[Json, list[tuple[float, float]]]],
    *,
    has_math: bool,
    offset: int,
    most: int,
) -> Json:
    """One page; where there is math, what does not fit into the first is not to be had at all."""
    results, begun = [], 0
    for query, points in series:
        low, high = max(0, offset - begun), max(0, offset + most - begun)
        some = points[low:high]
        if some or (not points and offset == 0):
            results.append({
                "Id": query["Id"],
                "Label": query.get("Label") or query["Id"],
                "Timestamps": [dt.datetime.fromtimestamp(at, dt.UTC) for at, _ in some],
                "Values": [value for _, value in some],
                "StatusCode": "PartialData" if high < len(points) else "Complete",
            })  # fmt: skip
        elif high == 0 and has_math:
            results.append({"Id": query["Id"], "Label": query["Id"], "Timestamps": [],
                            "Values": [], "StatusCode": "PartialData"})  # fmt: skip
        begun += len(points)
    more = offset + most < begun and not has_math
    return {
        "MetricDataResults": results,
        "Messages": [],
        **({"NextToken": token_of(offset + most)} if more else {}),
    }


def _check(queries: Sequence[Json], start: dt.datetime, end: dt.datetime) -> None:
    if len(queries) > MOST_QUERIES:
        what = f"must not have a size greater than {MOST_QUERIES}."
        raise validation_error(f"The collection MetricDataQueries {what}")
    if start >= end:
        raise validation_error("The parameter EndTime must be greater than StartTime.")
    ids = [query.get("Id", "") for query in queries]
    for number, query in enumerate(queries, start=1):
        name = f"The value of the parameter MetricDataQueries.member.{number}"
        if not _ID.fullmatch(query.get("Id", "")) or ids.count(query["Id"]) > 1:
            raise validation_error(f"{name}.Id must match {_ID.pattern} and be unique.")
        if ("MetricStat" in query) == ("Expression" in query):
            raise validation_error(f"{name} must have either MetricStat or Expression.")
        period = int(query.get("MetricStat", query).get("Period", 60))
        if period not in (1, 5, 10, 20, 30) and period % 60:
            raise validation_error(f"{name}.Period must be 1, 5, 10, 20, 30 or a multiple of 60.")


def _stat(
    series: dict[Key, Any], stat: Json, start: dt.datetime, end: dt.datetime, *, now: dt.datetime
) -> Points:
    """Aggregate what was put by periods, as far as points of this period are kept so long."""
    metric, period = stat["Metric"], int(stat["Period"])
    key = key_of(metric["Namespace"], metric["MetricName"], metric.get("Dimensions") or [])
    kept = min((age for below, age in _KEPT.items() if period < below), default=now - start)
    begun = start.timestamp() // min(period, 60) * min(period, 60)
    known = series.get(key, [])
    first = bisect.bisect_left(known, (max(begun, (now - kept).timestamp()), -math.inf))
    last = bisect.bisect_left(known, (end.timestamp(), -math.inf))
    periods: dict[float, list[float]] = {}
    for at, value in known[first:last]:
        periods.setdefault(begun + (at - begun) // period * period, []).append(value)
    return {at: _aggregated(stat["Stat"], values) for at, values in periods.items()}


def _aggregated(stat: str, values: list[float]) -> float:
    known: dict[str, Callable[[list[float]], float]] = {
        "Sum": sum, "Minimum": min, "Maximum": max, "SampleCount": len,
        "Average": lambda all_of: sum(all_of) / len(all_of),
    }  # fmt: skip
    if stat in known:
        return float(known[stat](values))
    if percentile := re.fullmatch(r"p(\d{1,2}(\.\d+)?|100)", stat):
        rank = math.ceil(float(percentile[1]) / 100 * len(values))
        return sorted(values)[max(0, rank - 1)]
    raise validation_error(f"The value {stat} for parameter Stat is not supported.")


def _computed(expression: str, known: dict[str, Points]) -> Points:
    """Metric math as far as rates need it: + - * / over series and numbers, and FILL."""
    try:
        result = _evaluated(ast.parse(expression.strip(), mode="eval").body, known)
    except (SyntaxError, KeyError, ValueError) as error:
        what = f"Error in expression '{expression}': {error}"
        raise validation_error(what) from error
    if not isinstance(result, dict):
        raise validation_error(f"Error in expression '{expression}': it gives no time series")
    return result


def _evaluated(node: ast.expr, known: dict[str, Points]) -> Points | float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return known[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _combined(
                _OPERATORS[type(op)], _evaluated(left, known), _evaluated(right, known)
            )
        case ast.Call(
            func=ast.Name(id="FILL"), args=[series, ast.Constant(value=int() | float() as value)]
        ):
            points = _evaluated(series, known)
            every = {at for each in known.values() for at in each}
            return {at: float(value) for at in every} | (points if isinstance(points, dict) else {})
    raise ValueError(ast.unparse(node))


def _combined(
    operation: Callable[[float, float], float], left: Points | float, right: Points | float
) -> Points | float:
    if not isinstance(left, dict) and not isinstance(right, dict):
        return operation(left, right)
    moments = [side.keys() for side in (left, right) if isinstance(side, dict)]
    found = {}
    for at in set(moments[0]).intersection(*moments):
        one = left[at] if isinstance(left, dict) else left
        other = right[at] if isinstance(right, dict) else right
        try:
            found[at] = operation(one, other)
        except ZeroDivisionError:  # AWS drops what is no number
            continue
    return found


def _moment(value: Any) -> dt.datetime:
    return value if isinstance(value, dt.datetime) else dt.datetime.fromtimestamp(value, dt.UTC)


def _reply(result: Json, request: Request) -> Reply:
    if request.protocol == "cbor":
        headers = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return 200, headers, cbor.dumps(result)
    body = json.dumps(result, default=lambda moment: moment.timestamp())
    return 200, {"Content-Type": "application/x-amz-json-1.0"}, body.encode()
