"""A registry behind HTTP: mapped, page by page, and never a shorter list than it has."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from phased_rollout import inventory
from phased_rollout.errors import ConfigError, RefusedError, UnreachableError
from phased_rollout.inventory import registry_http
from phased_rollout.model.definition import AdapterSpec
from phased_rollout.model.found import Found

OPTIONS = {"connection": "fleet", "path": "v1/clusters", "items": "data.items", "next": "next",
           "name": "meta.name", "address": {"context": "spec.context"}}  # fmt: skip


@dataclass
class Service:
    """Answers each path with what it is given: a JSON value, raw bytes, or a status."""

    port: int = 0
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    auth: list[str | None] = field(default_factory=list)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            found.auth.append(self.headers["Authorization"])
            answer = found.answers.get(self.path, 404)
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("Location", "/v1/elsewhere")
            self.end_headers()
            if not isinstance(answer, int):
                is_raw = isinstance(answer, bytes)
                self.wfile.write(answer if is_raw else json.dumps(answer).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    connection = {"conn_type": "http", "host": "http://127.0.0.1", "port": found.port,
                  "login": "reader", "password": "hush"}  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_FLEET", json.dumps(connection))
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def item(name: str, **more: Any) -> dict[str, Any]:
    return {"meta": {"name": name}, "spec": {"context": f"ctx-{name}"}, **more}


def page(*items: Any, following: Any = None) -> dict[str, Any]:
    return {"data": {"items": list(items)}, "next": following}


def listed(**options: Any) -> list[Found]:
    return list(inventory.build(AdapterSpec("http", {**OPTIONS, **options})).list())


def test_items_become_targets_with_the_secrets_of_the_connection(service: Service) -> None:
    service.answers["/v1/clusters"] = page(item("a"), item("b"))
    assert listed() == [
        Found("a", {"context": "ctx-a"}),
        Found("b", {"context": "ctx-b"}),
    ]
    assert service.auth == ["Basic " + base64.b64encode(b"reader:hush").decode()]


def test_pages_are_followed_to_the_end_even_behind_an_empty_one(service: Service) -> None:
    whole = f"http://127.0.0.1:{service.port}/v1/clusters?page=3"
    service.answers = {
        "/v1/clusters": page(item("a"), following="clusters?page=2"),
        "/v1/clusters?page=2": page(following=whole),
        "/v1/clusters?page=3": page(item("b"), following=""),
    }
    assert [f.name for f in listed()] == ["a", "b"]


def test_state_and_labels_are_mapped(service: Service) -> None:
    service.answers["/v1/clusters"] = [
        item("a", status="ready", meta2={"tier": "canary"}),
        item("b", status="draining", meta2={"tier": 5}),
    ]
    options: dict[str, Any] = {"items": None, "state": "status", "active": ["ready"]}
    assert [(f.state, f.labels) for f in listed(**options, labels={"t": "meta2.tier"})] == [
        ("ACTIVE", {"t": "canary"}),
        ("in state draining", {}),
    ]
    assert [f.labels for f in listed(**options, labels="meta2")] == [
        {"tier": "canary"},
        {"tier": "5"},
    ]


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ({"data": {"itmes": []}}, "data.items must be a list, not absent"),
        ({}, "data.items must be a list, not absent"),
        ([], "data.items must be a list, not absent"),
        (None, "data.items must be a list, not absent"),
        ({"data": {"items": None}}, "data.items must be a list, not null"),
        ({"data": {"items": {}}}, "data.items must be a list, not a mapping"),
        (page({"meta": {"nmae": "a"}, "spec": {"context": "c"}}),
         "item 1: meta.name must be text, not absent"),
        (page(item("a"), {"meta": {"name": "b"}, "spec": {"context": 5}}),
         "item 2: spec.context must be text, not a number"),
        (page(item("a"), None), "item 2: spec.context must be text, not absent"),
        (b"<html>log in</html>", "the answer is not JSON: correct path or connection"),
        (b"", "the answer is not JSON: correct path or connection"),
        (page(following=5), "next must be a link, not a number"),
        (page(following="clusters"), "page 2: the pages have no end"),
        (page(following="https://elsewhere.example/"),
         "the next page is on another host, which is not asked"),
        (302, "redirects, which is not followed: correct the connection"),
        (404, "status 404: correct path or connection"),
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_used_is_never_an_empty_list(
    service: Service, answer: Any, what: str
) -> None:
    service.answers["/v1/clusters"] = answer
    with pytest.raises(RefusedError) as error:
        listed()
    assert str(error.value) == f"http://127.0.0.1:{service.port}/v1/clusters: {what}"
    assert set(service.asked) == {"/v1/clusters"}


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_service_that_does_not_answer_is_unreachable(service: Service, status: int) -> None:
    service.answers["/v1/clusters"] = status
    with pytest.raises(UnreachableError, match=f"status {status}"):
        listed()


def test_an_answer_without_end_is_refused(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_http, "MAX_BYTES", 100)
    service.answers["/v1/clusters"] = page(*(item(str(n)) for n in range(9)))
    with pytest.raises(RefusedError, match="answers more than 100 bytes: use pages"):
        listed()


def test_pages_without_end_are_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_http, "MAX_PAGES", 2)
    for n in range(4):
        service.answers[f"/v1/clusters?page={n}"] = page(following=f"clusters?page={n + 1}")
    with pytest.raises(RefusedError, match="page 3: the pages have no end"):
        listed(path="v1/clusters?page=0")


def test_nobody_at_the_other_end_is_unreachable_and_no_secret_is_told(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "http", "host": "http://ann:hush@127.0.0.1:1"}
    monkeypatch.setenv("AIRFLOW_CONN_FLEET", json.dumps(connection))
    with pytest.raises(UnreachableError) as error:
        listed(path="v1/clusters?token=hush")
    said = "http://127.0.0.1:1/v1/clusters: could not be asked: ConnectionError"
    assert str(error.value) == said


@pytest.mark.parametrize("name", ["feelt", "aws"])
def test_a_connection_that_is_none_or_of_another_kind_is_unreachable(
    service: Service, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS", json.dumps({"conn_type": "aws", "host": "x"}))
    with pytest.raises(UnreachableError, match=f"connection '{name}'"):
        listed(connection=name)
    assert service.asked == []


def test_all_that_is_missing_in_its_options_is_said() -> None:
    with pytest.raises(ConfigError) as error:
        inventory.build(AdapterSpec("http", {"path": "x", "name": "y"}))
    assert error.value.problems == [
        "inventory http: connection: missing: set it",
        "inventory http: address: missing: set it",
    ]
