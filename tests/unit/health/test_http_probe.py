"""Probes over HTTP: what of an answer is harm, what of silence unknown, whom we do not ask."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from phased_rollout.errors import ConfigError, RolloutError
from phased_rollout.health.http_probe import HttpProbe
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Health


class Server(ThreadingHTTPServer):
    """Answers each request with the next of its answers, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes] | str] = [(200, b"{}")]
        self.asked: list[tuple[str, str | None]] = []
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), Answering)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        elif answer == "hang":
            self.server.stopping.wait(20)
        elif answer == "drip":
            self._drip()
        elif answer == "chunks":
            body = gzip.compress(b"so ready")
            parts = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:9], body[9:], b""))
            head = (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
            )
            self.wfile.write(head + parts)
        elif answer == "cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx")
            self.close_connection = True
        elif answer == "close":
            self.close_connection = True
        else:
            self._answer(*answer)

    def _drip(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        with contextlib.suppress(OSError):
            while not self.server.stopping.wait(0.05):
                self.wfile.write(b"x")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Location", "http://192.0.2.1/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.stopping.set()
    running.shutdown()
    running.server_close()


TARGET = Target("one", {"tenant": "a b/../c?d", "zone": "eu", "dots": ".."})


def probed(
    url: str, *, target: Target = TARGET, sleeps: list[float] | None = None, **options: Any
) -> tuple[Health, str]:
    waited: Callable[[float], None] = (sleeps if sleeps is not None else []).append
    (only,) = HttpProbe({"url": url, **options}, sleep=waited).observe(target)
    assert only.target == target.name
    return only.health, only.detail


def test_a_good_answer_is_ok_at_the_first_try(server: Server) -> None:
    health, detail = probed(f"{server.url}/health")
    assert (health, detail.partition(" in ")[0]) == (Health.OK, "status 200")
    assert [path for path, _ in server.asked] == ["/health"]


@pytest.mark.parametrize(
    ("answer", "options", "said"),
    [
        ((503, b""), {}, "status 503, not 200"),
        ((302, b""), {"status": [200, 204]}, "status 302, not 200 or 204"),
        ((200, b"fine"), {"contains": "ready"}, "the answer does not contain 'ready'"),
        ((200, b'{"a": {"b": [0, "down"]}}'), {"json": {"/a/b/1": "up"}}, 'is "down", not "up"'),
        ((200, b'{"a": 1}'), {"json": {"/a": True}}, "/a is 1, not true"),
        ((200, b"{}"), {"json": {"/a": None}}, "/a is absent, not null"),
        ((200, b"<html>"), {"json": {"/a": 1}}, "the answer is not JSON"),
        ((200, b"{}"), {"max_latency": 0.0}, "longer than 0 s"),
        ("hang", {"timeout": 0.2}, "no answer within 0.2 s"),
        ("drip", {"timeout": 0.3, "contains": "y"}, "the answer did not end in time"),
        ("cut", {"contains": "y"}, "IncompleteRead"),
        ("reset", {}, "ConnectionResetError"),
        ("close", {}, "RemoteDisconnected"),
    ],
)
def test_a_target_that_answers_badly_so_often_in_a_row_is_harm(
    server: Server, answer: Any, options: dict[str, Any], said: str
) -> None:
    server.answers, sleeps = [answer], []
    health, detail = probed(f"{server.url}/health", sleeps=sleeps, pause=2.0, **options)
    assert (health, len(server.asked), sleeps) == (Health.HARM, 3, [2.0, 2.0])
    assert "3 times in a row, at last: " in detail
    assert said in detail


def test_one_bad_answer_is_ridden_out(server: Server) -> None:
    server.answers = [(503, b""), "reset", (200, b"")]
    assert probed(server.url)[0] is Health.OK
    server.answers = [(503, b""), (200, b"")]
    assert probed(server.url, failures=1)[0] is Health.HARM


@pytest.mark.parametrize(
    ("answer", "options"),
    [
        ((204, b""), {"status": [204]}),
        ((200, b"so ready"), {"contains": "ready"}),
        ("chunks", {"contains": "ready"}),
        ((200, b'{"a~b": [{"c/d": false}]}'), {"json": {"/a~0b/0/c~1d": False}}),
        ((200, b"x" * 3_000_000), {"contains": "x", "max_latency": 10.0}),
    ],
)
def test_what_is_wanted_is_found(server: Server, answer: Any, options: dict[str, Any]) -> None:
    server.answers = [answer]
    assert probed(server.url, **options)[0] is Health.OK


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_refused_connection_is_harm_for_the_targets_machine_said_no() -> None:
    health, detail = probed(f"http://127.0.0.1:{unused_port()}/")
    assert health is Health.HARM
    assert "ConnectionRefusedError" in detail


def test_no_connection_is_unknown_unless_told_otherwise() -> None:
    url = "http://one.invalid/"
    health, detail = probed(url)
    assert health is Health.UNKNOWN
    assert "no connection: gaierror" in detail
    assert probed(url, unreachable="harm")[0] is Health.HARM


def test_a_proxy_that_does_not_work_says_nothing_about_the_target(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://me:hunter2@127.0.0.1:{unused_port()}")
    health, detail = probed("http://one.example.org/")
    assert health is Health.UNKNOWN
    assert "hunter2" not in detail


def test_silence_among_bad_answers_leaves_it_unknown(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [(503, b"")]
    probe = HttpProbe({"url": server.url}, sleep=lambda _: monkeypatch.setenv("http_proxy", "x://"))
    (only,) = probe.observe(TARGET)
    assert only.health is Health.UNKNOWN


def test_a_redirect_is_an_answer_and_never_followed(server: Server) -> None:
    server.answers = [(302, b"")]
    assert probed(server.url, status=[302])[0] is Health.OK
    assert len(server.asked) == 1


def test_a_targets_values_are_quoted_and_become_no_other_path(server: Server) -> None:
    probed(f"{server.url}/x/{{tenant}}/health?zone={{zone}}")
    assert server.asked[0][0] == "/x/a%20b%2F..%2Fc%3Fd/health?zone=eu"
    with pytest.raises(ConfigError, match=r"'\.\.' cannot be part of a path"):
        probed(f"{server.url}/x/{{dots}}/health")


@pytest.mark.parametrize("value", ["evil.org/", "evil.org#", "user@evil.org", "evil.org:80", "ä"])
def test_a_targets_value_becomes_no_other_host(value: str) -> None:
    with pytest.raises(ConfigError, match="its host cannot be part of a host"):
        probed("https://{host}.example.org/", target=Target("one", {"host": value}))


def test_the_host_and_the_secrets_may_be_a_connections(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = {
        "conn_type": "http",
        "host": f"{server.url}/api",
        "login": "me",
        "password": "hunter2",
    }
    monkeypatch.setenv("AIRFLOW_CONN_PROBES", json.dumps(content))
    server.answers = [(401, b"")]
    options = {"connection": "probes", "path": "/{zone}/health", "failures": 1}
    (only,) = HttpProbe(options).observe(TARGET)
    assert server.asked == [("/api/eu/health", "Basic bWU6aHVudGVyMg==")]
    assert (only.signal, only.health) == ("probe /{zone}/health", Health.HARM)
    assert "hunter2" not in only.detail


def test_credentials_of_the_machine_are_not_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    probed(server.url)
    assert server.asked[0][1] is None


@pytest.mark.parametrize("options", [{}, {"connection": "x"}, {"url": "file:///etc/passwd"}])
def test_what_cannot_be_asked_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RolloutError, match=r"is missing|neither http nor https"):
        HttpProbe(options).observe(TARGET)
