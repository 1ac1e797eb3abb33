"""Prometheus: a real one with a known past, and a stand-in for what a real one seldom does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from phased_rollout.errors import ConfigError, UnreachableError
from phased_rollout.health import prometheus as module
from phased_rollout.health.prometheus import Prometheus
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Health
from sandbox.prometheus import MISSING, History, SandboxPrometheus, is_installed

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
START = NOW - timedelta(days=3)
MINUTE = timedelta(minutes=1)
ODD = 'c"{}\\d.*'
ONE = {"name": "errors", "query": 'errors{cluster="{name}"}', "worse": "higher"}
MANY = {
    "name": "errors",
    "query": 'max by (cluster) (errors{cluster=~"{targets}"})',
    "label": "cluster",
    "value": "{cluster}",
    "worse": "higher",
}
needs_prometheus = pytest.mark.skipif(not is_installed(), reason=MISSING)


def targets(*names: str) -> list[Target]:
    return [Target(name, {"cluster": name}) for name in names]


def always(value: float) -> Callable[[int], float]:
    return lambda _: float(value)


def every_minute(value: Callable[[int], float]) -> list[tuple[float, float]]:
    count = int((NOW - START) / MINUTE)
    return [((START + n * MINUTE).timestamp(), value(n)) for n in range(count + 1)]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxPrometheus]:
    running = SandboxPrometheus(tmp_path_factory.mktemp("prometheus")).start(
        History("errors", {"cluster": "a"}, every_minute(float)),
        History("errors", {"cluster": ODD}, every_minute(always(7))),
        History("errors", {"cluster": "cXd"}, every_minute(always(99))),
        History("requests", {"cluster": "a", "pod": "1"}, every_minute(always(10))),
        History("requests", {"cluster": "a", "pod": "2"}, every_minute(always(10))),
        History("bad", {"cluster": "a"}, every_minute(lambda n: [1.0, float("nan")][n % 2])),
    )
    yield running
    running.stop()


@pytest.fixture
def connected(real: SandboxPrometheus, monkeypatch: pytest.MonkeyPatch) -> SandboxPrometheus:
    connect(monkeypatch, real.endpoint)
    return real


def connect(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    content = {"conn_type": "http", "host": endpoint, "login": "me", "password": "hunter2"}
    monkeypatch.setenv("AIRFLOW_CONN_PROM", json.dumps(content))


def source(*metrics: dict[str, Any]) -> Prometheus:
    return Prometheus({"connection": "prom", "metrics": list(metrics)})


def series(metric: dict[str, Any], *names: str, start: datetime = START) -> dict[str, Any]:
    one = source(metric)
    found = one.series(targets(*names), metric=one.metrics[0], start=start, end=NOW)
    return dict(found)


@needs_prometheus
@pytest.mark.parametrize("metric", [ONE, MANY], ids=["a query for each", "one query"])
def test_a_real_prometheus_gives_each_target_its_past_and_silence_is_empty(
    connected: SandboxPrometheus, metric: dict[str, Any]
) -> None:
    found = series(metric, "a", ODD, "silent", start=NOW - 3 * MINUTE)
    last = 3 * 24 * 60
    at = [(NOW - n * MINUTE).timestamp() for n in (3, 2, 1)]
    assert found == {
        "a": list(zip(at, [last - 3, last - 2, last - 1], strict=True)),
        ODD: [(moment, 7) for moment in at],
        "silent": [],
    }


@needs_prometheus
def test_more_points_than_a_real_prometheus_gives_at_once_come_in_pages(
    connected: SandboxPrometheus,
) -> None:
    found = series({**ONE, "period": 15}, "a")["a"]  # 17,280 points, of which it gives 11,000
    assert len(found) == 3 * 24 * 60 * 4
    assert [value for _, value in found[::4]] == [float(n) for n in range(3 * 24 * 60)]


@needs_prometheus
def test_what_is_no_number_is_a_gap(connected: SandboxPrometheus) -> None:
    found = series({**ONE, "query": 'bad{cluster="{name}"}'}, "a", start=NOW - 10 * MINUTE)["a"]
    assert [value for _, value in found] == [1.0] * 5


@needs_prometheus
def test_several_series_for_one_target_are_an_error_that_says_how_to_mend_it(
    connected: SandboxPrometheus,
) -> None:
    with pytest.raises(UnreachableError, match=r"several series for a target: aggregate them"):
        series({**ONE, "query": 'requests{cluster="{name}"}'}, "a")
    with pytest.raises(UnreachableError, match=r"cluster='a'.*by sum\(…\) by \(cluster\)"):
        series({**MANY, "query": 'requests{cluster=~"{targets}"}'}, "a")


@needs_prometheus
def test_a_query_that_a_real_prometheus_refuses_is_told_in_its_words(
    connected: SandboxPrometheus,
) -> None:
    with pytest.raises(UnreachableError, match=r"^a: .*status 400: bad_data: .*parse error"):
        series({**ONE, "query": 'sum(errors{cluster="{name}"}'}, "a")


@needs_prometheus
def test_a_hard_metric_of_a_real_prometheus_harms_holds_or_is_unknown(
    connected: SandboxPrometheus,
) -> None:
    hard = source({**MANY, "above": 4000.0, "points": 3})
    found = hard.observe_all(targets("a", ODD, "silent"), since={}, now=NOW)
    assert {name: one.health for name, (one,) in found.items()} == {
        "a": Health.HARM,
        ODD: Health.OK,
        "silent": Health.UNKNOWN,
    }


@needs_prometheus
def test_exposure_sums_up_what_was_counted(connected: SandboxPrometheus) -> None:
    counter = {"name": "requests", "query": 'sum(requests{cluster="{name}"})'}
    one = source({**ONE, "exposure": "requests"}, counter)
    (metric,) = one.metrics
    start = NOW - 10 * MINUTE
    assert one.exposure(targets("a", "b"), metric=metric, start=start, end=NOW) == {
        "a": 200,
        "b": 0,
    }


@needs_prometheus
def test_hundreds_of_targets_take_a_request_for_each_hundred(
    connected: SandboxPrometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    answer = module._answer
    monkeypatch.setattr(
        module,
        "_answer",
        lambda *given: asked.append(given[2]["query"].count("|")) or answer(*given),
    )
    found = series(MANY, "a", *(f"t{n}" for n in range(249)), start=NOW - MINUTE)
    assert (len(found), sum(map(len, found.values()))) == (250, 1)
    assert sorted(asked) == [49, 99, 99]


class Server(ThreadingHTTPServer):
    """Answers what the test says, and notes what it was asked."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status, self.body = status, body
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        super().__init__(("127.0.0.1", 0), Answering)


class Answering(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        form = parse_qs(self.rfile.read(length).decode())
        self.server.asked.append((self.path, form))
        self.send_response(self.server.status)
        self.send_header("Location", "http://192.0.2.1/")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def start(body: Any, status: int = 200) -> Server:
        server = Server(status, body if isinstance(body, bytes) else json.dumps(body).encode())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        connect(monkeypatch, f"http://127.0.0.1:{server.server_port}/prom")
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def success(*result: Any, **more: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(result)}, **more}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (success(warnings=["a store did not answer hunter2"]), 200, r"not whole: a store did .*\*"),
        (
            {"status": "error", "errorType": "timeout", "error": "too slow"},
            503,
            "503: timeout: too",
        ),
        (b"<html>", 200, "status 200$"),
        (b"[]", 200, "status 200$"),
        (b"", 302, "status 302$"),
        (b"", 401, "status 401$"),
        ({"status": "success", "data": None}, 200, "something else than a result"),
        (success({"metric": {}}), 200, "something else than a result"),
        (success({"metric": {}, "histograms": []}), 200, "gives histograms"),
    ],
)
def test_what_is_not_a_whole_and_clean_answer_is_unknown_never_silence(
    answering: Callable[..., Server], body: Any, status: int, said: str
) -> None:
    answering(body, status)
    with pytest.raises(UnreachableError, match=said) as raised:
        series(ONE, "a")
    assert "hunter2" not in str(raised.value)
    hard = source({**ONE, "above": 1.0})
    ((one,),) = hard.observe_all(targets("a"), since={}, now=NOW).values()
    assert one.health is Health.UNKNOWN


def test_a_server_that_is_not_there_is_unknown_and_no_secret_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect(monkeypatch, "http://me:hunter2@127.0.0.1:1")
    with pytest.raises(UnreachableError, match="could not be asked: ConnectionError") as raised:
        series(ONE, "a")
    assert "hunter2" not in str(raised.value)


def test_notes_that_are_no_warnings_do_no_harm_and_the_hosts_own_path_counts(
    answering: Callable[..., Server],
) -> None:
    point = [NOW.timestamp() - 60, "1"]
    server = answering(success({"metric": {}, "values": [point]}, infos=["might be no counter"]))
    assert series(ONE, "a", start=NOW - MINUTE) == {"a": [(point[0], 1.0)]}
    ((path, form),) = server.asked
    assert path == "/prom/api/v1/query_range"
    assert form["query"] == ['errors{cluster="a"}']


def test_one_target_that_cannot_be_asked_leaves_the_others_known(
    answering: Callable[..., Server],
) -> None:
    answering(success({"metric": {}, "values": [[NOW.timestamp() - 60, "5"]]}))
    hard = source({**ONE, "query": 'x{a="{zone}"}', "above": 1.0, "points": 1})
    found = hard.observe_all([Target("a", {"zone": "z"}), Target("b", {})], since={}, now=NOW)
    assert [found["a"][0].health, found["b"][0].health] == [Health.HARM, Health.UNKNOWN]


def test_a_connection_that_is_not_there_is_told() -> None:
    with pytest.raises(UnreachableError, match="connection 'prom' does not exist"):
        series(ONE, "a")
    with pytest.raises(ConfigError, match="connection is missing"):
        Prometheus({"metrics": [ONE]})
