"""CloudWatch metrics of the targets: hard ones against a limit, judged ones as series."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from phased_rollout.aws import Access
from phased_rollout.aws.metric_data import Window, read
from phased_rollout.health.measured import Answer, Measured
from phased_rollout.model.definition import Target
from phased_rollout.model.placeholders import filled

_ACCOUNTS_AT_ONCE = 16
_WORD = re.compile(r"""("[^"]*"|'[^']*')|\b[a-z]\w*\b""")

Json = dict[str, Any]


class CloudWatchMetrics(Measured):
    """Metrics, and expressions over metrics, of each target's account or of one for all.

    :param options: ``connection``, ``role``, ``metrics``, and optionally ``external_id``, ``via``,
        ``account`` and ``region`` (where the metrics of all targets are, if not in the target's)
    """

    def ask(
        self, targets: Sequence[Target], name: str, *, start: datetime, end: datetime
    ) -> Mapping[str, Answer]:
        """Ask in each account once about all of its targets, in some accounts at a time."""
        entry = self.entries[name]
        window = Window.of(start, end, period=int(entry.get("period", 60)))
        place = {key: self.options[key] for key in ("account", "region") if key in self.options}
        groups: dict[Access, list[Target]] = defaultdict(list)
        for target in targets:
            groups[Access.of(self.options, {**target.address, **place})].append(target)

        def answers_of(access: Access) -> Iterator[tuple[str, Answer]]:
            some = groups[access]
            asked = [list(_queries(entry, target, number)) for number, target in enumerate(some)]
            return zip([t.name for t in some], read(access, asked, window), strict=True)

        with ThreadPoolExecutor(max_workers=_ACCOUNTS_AT_ONCE) as pool:
            return dict(pair for group in pool.map(answers_of, groups) for pair in group)


def _queries(entry: Mapping[str, Any], target: Target, number: int) -> Iterator[Json]:
    """Give the queries of an expression's parts, if it is one, and at last its own."""
    period, parts = int(entry.get("period", 60)), entry.get("parts") or {}
    if "expression" not in entry:
        yield {"Id": f"t{number}", "MetricStat": _stat(entry, target, period)}
        return
    for part, of in parts.items():
        stat = _stat(of, target, period)
        yield {"Id": f"t{number}_{part}", "MetricStat": stat, "ReturnData": False}

    def renamed(word: re.Match[str]) -> str:
        return f"t{number}_{word[0]}" if word[0] in parts else word[0]

    expression = _WORD.sub(renamed, entry["expression"])
    yield {"Id": f"t{number}", "Expression": expression, "Period": period}


def _stat(of: Mapping[str, Any], target: Target, period: int) -> Json:
    dimensions = [
        {"Name": name, "Value": filled(value, target)}
        for name, value in (of.get("dimensions") or {}).items()
    ]
    metric = {"Namespace": of["namespace"], "MetricName": of["metric"], "Dimensions": dimensions}
    return {"Metric": metric, "Period": period, "Stat": of["statistic"]}
