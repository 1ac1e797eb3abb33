"""The embedded control plane answers as the APIs of real products do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.tenants.access import BASE, TOKEN, connection_to
from sandbox.tenants.faults import Fault
from sandbox.tenants.server import SandboxTenants

ROOT = Path(__file__).parents[3]


@pytest.fixture
def plane() -> Iterator[SandboxTenants]:
    found = SandboxTenants(pace=0).start()
    found.plane.put("acme", {"version": "1", "settings": {"theme": "light"}}, None)
    yield found
    found.stop()


def ask(
    plane: SandboxTenants, method: str, path: str = "/acme", body: Any = None, **headers: str
) -> requests.Response:
    given = {"Authorization": f"Bearer {TOKEN}", **headers}
    url = f"{plane.endpoint}{BASE}/v1/tenants{path}"
    return requests.request(method, url, json=body, headers=given, timeout=5)


def test_a_tenant_has_a_tag_that_changes_with_it(plane: SandboxTenants) -> None:
    first = ask(plane, "GET")
    assert first.json() == {
        "id": "acme",
        "plan": "standard",
        "version": "1",
        "status": "active",
        "settings": {"theme": "light"},
        "region": "eu",
        "revision": int(first.headers["ETag"].strip('"')),
    }
    assert ask(plane, "PATCH", body={"plan": "gold"}).status_code == 204
    assert ask(plane, "GET").headers["ETag"] != first.headers["ETag"]


def test_a_merge_patch_merges_and_null_takes_away(plane: SandboxTenants) -> None:
    ask(plane, "PATCH", body={"settings": {"banner": "hi", "theme": None}})
    assert ask(plane, "GET").json()["settings"] == {"banner": "hi"}


def test_a_put_replaces_all_but_what_is_the_servers_own(plane: SandboxTenants) -> None:
    document = ask(plane, "GET").json() | {"settings": {}, "status": "failed", "id": "x"}
    assert ask(plane, "PUT", body=document).status_code == 200
    found = ask(plane, "GET").json()
    assert (found["id"], found["status"], found["settings"]) == ("acme", "active", {})
    assert ask(plane, "PUT", "/new", body={"plan": "gold"}).status_code == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"0"'}, 412),
        ({"If-Match": 'W/"3"'}, 412),
        ({"If-Match": '"3"'}, 204),
        ({"If-None-Match": "*"}, 412),
    ],
)
def test_conditions_are_obeyed(plane: SandboxTenants, headers: dict[str, str], status: int) -> None:
    assert ask(plane, "PATCH", body={"plan": "gold"}, **headers).status_code == status


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"version": "2.2.0"}, "has been withdrawn"),
        ({"version": 2}, "must be a text"),
        ({"settings": {"theme": "pink"}}, "must be one of contrast, dark, light"),
        ({"region": "us"}, "cannot be set: region"),
    ],
)
def test_what_is_wrong_is_refused_also_in_a_preview(
    plane: SandboxTenants, body: Any, words: str
) -> None:
    for method, path in (("PATCH", "/acme"), ("POST", "/acme/preview")):
        answer = ask(plane, method, path, body=body)
        assert answer.status_code == 422
        assert words in answer.json()["error"]["message"]
    assert ask(plane, "GET").json()["version"] == "1"


def test_an_upgrade_takes_its_time_and_may_fail(plane: SandboxTenants) -> None:
    plane.plane.pace = 60
    assert ask(plane, "PATCH", body={"version": "2.5.0"}).status_code == 202
    found = ask(plane, "GET").json()
    assert (found["version"], found["status"]) == ("1", "updating")
    assert ask(plane, "PATCH", body={"plan": "gold"}).status_code == 409
    plane.plane.settle()
    found = ask(plane, "GET").json()
    assert (found["version"], found["status"]) == ("2.5.0", "failed")


def test_nobody_is_served_without_the_token(plane: SandboxTenants) -> None:
    assert ask(plane, "GET", Authorization="Bearer other").status_code == 401


def test_a_tenant_is_deleted_and_gone(plane: SandboxTenants) -> None:
    assert [ask(plane, "DELETE").status_code for _ in range(2)] == [204, 404]


@pytest.mark.parametrize(("kind", "version"), [("reset", "1"), ("lost_reply", "2")])
def test_a_broken_connection_did_it_or_did_not(
    plane: SandboxTenants, kind: str, version: str
) -> None:
    plane.faults.add(Fault(kind, method="mutation"))
    with pytest.raises(requests.ConnectionError):
        ask(plane, "PATCH", body={"version": "2"})
    assert ask(plane, "GET").json()["version"] == version
    assert [call["fault"] for call in plane.journal.calls(tenant="acme")] == [kind, None]


def administer(endpoint: str, method: str, path: str, body: Any = None) -> Any:
    answer = requests.request(method, f"{endpoint}/_sandbox/{path}", json=body, timeout=5)
    return answer.json() | ({"refused": True} if answer.status_code == 400 else {})


def test_it_runs_as_a_process_that_is_looked_into_and_meddled_with() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox.tenants", "acme", "müller & söhne"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout
    try:
        endpoint = json.loads(process.stdout.readline())["endpoint"]
        administer(endpoint, "POST", "settings", {"pace": 0, "etags": "weak"})
        administer(endpoint, "POST", "tenants", {"id": "acme", "plan": "gold"})
        fault = administer(endpoint, "POST", "faults", {"kind": "error", "status": 429})
        url = f"{json.loads(connection_to(endpoint))['host']}/v1/tenants/acme"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        seen = [requests.get(url, headers=headers, timeout=5) for _ in range(2)]
        assert [answer.status_code for answer in seen] == [429, 200]
        assert seen[1].headers["ETag"].startswith('W/"')
        found = administer(endpoint, "GET", "tenants")["tenants"]
        assert [(t["id"], t["plan"], t["version"], t["status"]) for t in found] == [
            ("acme", "gold", "2.3.0", "active"),
            ("müller & söhne", "standard", "2.3.0", "active"),
        ]
        calls = administer(endpoint, "GET", "calls?tenant=acme")["calls"]
        assert [call["status"] for call in calls] == [429, 200]
        assert TOKEN not in json.dumps(calls)
        administer(endpoint, "DELETE", f"faults?id={fault['id']}")
        administer(endpoint, "DELETE", "calls")
        assert administer(endpoint, "GET", "calls") == {"calls": []}
        assert administer(endpoint, "GET", "health") == {"status": "ok"}
        assert administer(endpoint, "POST", "faults", {"kind": "nonsense"})["refused"]
        assert administer(endpoint, "GET", "nonsense")["refused"]
    finally:
        process.terminate()
        assert process.wait(timeout=10) == 0
