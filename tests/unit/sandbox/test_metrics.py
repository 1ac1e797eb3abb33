"""The embedded CloudWatch's metrics, as AWS documents GetMetricData and PutMetricData."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.client import SandboxAws

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
MINUTE = timedelta(minutes=1)
_accounts = itertools.count(400000000001)


@pytest.fixture(scope="module")
def aws() -> Iterator[SandboxAws]:
    with SandboxAws.start() as running:
        yield running


@pytest.fixture
def cloudwatch(aws: SandboxAws) -> Any:
    return aws.client("cloudwatch", str(next(_accounts)))


def query(stat: str = "Sum", period: int = 60, **more: Any) -> dict[str, Any]:
    metric = {"Namespace": "App", "MetricName": "Errors"}
    return {"Id": "m", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}, **more}


def got(cloudwatch: Any, *queries: dict[str, Any], minutes: int = 10, **more: Any) -> Any:
    return cloudwatch.get_metric_data(
        MetricDataQueries=list(queries), StartTime=NOW - minutes * MINUTE, EndTime=NOW, **more
    )


def put(cloudwatch: Any, *data: dict[str, Any]) -> None:
    cloudwatch.put_metric_data(
        Namespace="App", MetricData=[{"MetricName": "Errors", **datum} for datum in data]
    )


@pytest.mark.parametrize(
    ("stat", "value"),
    [
        ("Sum", 7),
        ("Average", 7 / 3),
        ("Minimum", 1),
        ("Maximum", 4),
        ("SampleCount", 3),
        ("p50", 2),
    ],
)
def test_values_are_aggregated_by_periods(cloudwatch: Any, stat: str, value: float) -> None:
    at = NOW - 5 * MINUTE
    put(cloudwatch, *({"Timestamp": at, "Value": number} for number in (1.0, 2.0, 4.0)))
    (result,) = got(cloudwatch, query(stat))["MetricDataResults"]
    assert (result["Timestamps"], result["Values"]) == ([at], [value])


def test_a_metric_with_a_dimension_is_another_one(cloudwatch: Any) -> None:
    put(
        cloudwatch,
        {"Timestamp": NOW - MINUTE, "Value": 1.0, "Dimensions": [{"Name": "A", "Value": "b"}]},
    )
    (result,) = got(cloudwatch, query())["MetricDataResults"]
    assert (result["Values"], result["StatusCode"]) == ([], "Complete")


def test_points_come_in_pages_newest_first_unless_told(cloudwatch: Any) -> None:
    put(cloudwatch, *({"Timestamp": NOW - n * MINUTE, "Value": float(n)} for n in range(1, 6)))
    first = got(cloudwatch, query(), MaxDatapoints=3)
    (result,) = first["MetricDataResults"]
    assert (result["Values"], result["StatusCode"]) == ([1, 2, 3], "PartialData")
    second = got(cloudwatch, query(), MaxDatapoints=3, NextToken=first["NextToken"])
    (result,) = second["MetricDataResults"]
    assert (result["Values"], result["StatusCode"]) == ([4, 5], "Complete")
    assert "NextToken" not in second
    (result,) = got(cloudwatch, query(), ScanBy="TimestampAscending")["MetricDataResults"]
    assert result["Values"] == [5, 4, 3, 2, 1]


def test_math_has_no_second_page(cloudwatch: Any) -> None:
    put(cloudwatch, *({"Timestamp": NOW - n * MINUTE, "Value": float(n)} for n in range(1, 6)))
    twice = {"Id": "e", "Expression": "m * 2"}
    answer = got(cloudwatch, query(ReturnData=False), twice, MaxDatapoints=3)
    (result,) = answer["MetricDataResults"]
    assert (result["Id"], result["Values"], result["StatusCode"]) == ("e", [2, 4, 6], "PartialData")
    assert "NextToken" not in answer


def test_fill_gives_a_value_where_another_series_has_one(cloudwatch: Any) -> None:
    put(cloudwatch, {"Timestamp": NOW - MINUTE, "Value": 1.0})
    cloudwatch.put_metric_data(
        Namespace="App",
        MetricData=[
            {"MetricName": "Requests", "Timestamp": NOW - n * MINUTE, "Value": 10.0} for n in (1, 2)
        ],
    )
    requests = query(Id="r", ReturnData=False)
    requests["MetricStat"]["Metric"]["MetricName"] = "Requests"
    rate = {"Id": "e", "Expression": "FILL(m, 0) / r"}
    (result,) = got(cloudwatch, query(ReturnData=False), requests, rate)["MetricDataResults"]
    assert result["Values"] == [0.1, 0]


def test_minutes_are_kept_for_15_days_and_five_minutes_for_longer(aws: SandboxAws) -> None:
    account, at = str(next(_accounts)), NOW - timedelta(days=20)
    aws.metric(account=account, namespace="App", metric="Errors", points=[(at.timestamp(), 1.0)])
    cloudwatch, minutes = aws.client("cloudwatch", account), 30 * 24 * 60
    values = [
        got(cloudwatch, query(period=period), minutes=minutes)["MetricDataResults"][0]["Values"]
        for period in (60, 300)
    ]
    assert values == [[], [1]]


@pytest.mark.parametrize(
    ("queries", "said"),
    [
        ([query(Id=f"m{n}") for n in range(501)], "must not have a size greater than 500"),
        ([query(), query()], "be unique"),
        ([query(Id="M")], "Id must match"),
        ([query(period=90)], "Period must be"),
        ([{"Id": "m"}], "MetricStat or Expression"),
        ([{"Id": "e", "Expression": "nothing * 2"}], "Error in expression"),
    ],
)
def test_what_aws_refuses_is_refused(
    cloudwatch: Any, queries: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        got(cloudwatch, *queries)


@pytest.mark.parametrize("age", [timedelta(days=15), -timedelta(hours=3)])
def test_points_of_another_time_are_refused_when_they_are_put(
    cloudwatch: Any, age: timedelta
) -> None:
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*past two weeks"):
        put(cloudwatch, {"Timestamp": NOW - age, "Value": 1.0})


def test_a_thousand_data_are_taken_compressed_as_sdks_send_them(cloudwatch: Any) -> None:
    data = [{"Timestamp": NOW - n % 60 * MINUTE, "Value": 1.0} for n in range(1, 1001)]
    put(cloudwatch, *data)
    (result,) = got(cloudwatch, query(), minutes=60)["MetricDataResults"]
    assert sum(result["Values"]) == 984  # 16 are of the minute that runs, which is not asked for
    with pytest.raises(ClientError, match="greater than 1000"):
        put(cloudwatch, *data, data[0])


def test_everything_is_forgotten_by_a_reset(aws: SandboxAws, cloudwatch: Any) -> None:
    put(cloudwatch, {"Timestamp": NOW - MINUTE, "Value": 1.0})
    aws.reset()
    (result,) = got(cloudwatch, query())["MetricDataResults"]
    assert result["Values"] == []
