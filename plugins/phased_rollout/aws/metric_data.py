"""Points of many CloudWatch metrics of one place, in as few calls as GetMetricData allows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from phased_rollout.aws.access import Access
from phased_rollout.aws.hook import account
from phased_rollout.errors import RolloutError, UnreachableError

QUERIES_A_CALL = 500
POINTS_OF_A_PAGE = 100_800

Points = list[tuple[float, float]]
Answer = Points | RolloutError
Queries = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Window:
    """Whole periods only: a part of one would give a sum that is too small.

    :param period: in seconds
    """

    start: datetime
    end: datetime
    period: int

    @classmethod
    def of(cls, start: datetime, end: datetime, *, period: int) -> Window:
        """Take the periods that lie within."""
        first, last = -(-start.timestamp() // period), end.timestamp() // period
        moments = [datetime.fromtimestamp(number * period, UTC) for number in (first, last)]
        return cls(moments[0], moments[1], period)

    @property
    def points(self) -> int:
        """How many points a metric can have in it; none for an empty one."""
        return max(0, int((self.end - self.start).total_seconds()) // self.period)

    def parts(self, points: int) -> Iterator[Window]:
        """Cut it into windows of at most so many points."""
        step, start = timedelta(seconds=self.period * points), self.start
        while start < self.end:
            yield Window(start, min(self.end, start + step), self.period)
            start += step


def read(access: Access, asked: Sequence[Queries], window: Window) -> list[Answer]:
    """Give the points of each that is asked for, or why they are not known.

    :param asked: for each the queries that it takes; the last one's points are the answer
    """
    found: list[Answer] = []
    if not window.points:
        return [[] for _ in asked]
    size, windows = _sizes(asked, window)
    for first in range(0, len(asked), size):
        some = asked[first : first + size]
        try:
            parts = [_all_pages(access, some, part) for part in windows]
            found += [_whole([part[number] for part in parts]) for number in range(len(some))]
        except RolloutError as error:  # a refusal, too: it is no word about the target
            found += [UnreachableError(str(error))] * len(some)
    return found


def _sizes(asked: Sequence[Queries], window: Window) -> tuple[int, list[Window]]:
    """Say for how many to ask in one call, and in which parts of the window.

    AWS gives a single page when there is an expression: it has to hold everything.
    """
    each = max(map(len, asked))
    if not any("Expression" in query for queries in asked for query in queries):
        return QUERIES_A_CALL // each, [window]
    windows = list(window.parts(POINTS_OF_A_PAGE // each))
    return max(1, min(QUERIES_A_CALL, POINTS_OF_A_PAGE // windows[0].points) // each), windows


def _all_pages(access: Access, asked: Sequence[Queries], window: Window) -> list[Answer]:
    """Read all pages; what CloudWatch did not give all of is an error, never a gap."""
    points: dict[str, Points] = defaultdict(list)
    last: dict[str, Mapping[str, Any]] = {}
    pages = account(access).pages(
        "get_metric_data",
        "MetricDataResults",
        service="cloudwatch",
        MetricDataQueries=[query for queries in asked for query in queries],
        StartTime=window.start,
        EndTime=window.end,
        ScanBy="TimestampAscending",
    )
    for result in pages:
        times = [at.timestamp() for at in result["Timestamps"]]
        points[result["Id"]] += zip(times, result["Values"], strict=True)
        last[result["Id"]] = result
    return [
        sorted(points[name]) if state == "Complete" else UnreachableError(f"{access}: {why}")
        for name, state, why in (
            (queries[-1]["Id"], *_state(last.get(queries[-1]["Id"]))) for queries in asked
        )
    ]


def _state(result: Mapping[str, Any] | None) -> tuple[str, str]:
    if result is None:
        return "", "CloudWatch left a metric out of its answer"
    said = "; ".join(f"{m.get('Code')}: {m.get('Value')}" for m in result.get("Messages") or ())
    state = str(result["StatusCode"])
    what = f"CloudWatch answers {state} for {result['Label']}"
    return state, what + (f": {said}" if said else "")


def _whole(parts: Sequence[Answer]) -> Answer:
    found: Points = []
    for part in parts:
        if isinstance(part, RolloutError):
            return part
        found += part
    return found
