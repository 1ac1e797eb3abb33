"""Tenants behind an HTTP API in channels.yaml."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from phased_rollout import substrates
from phased_rollout.config import load
from phased_rollout.config.addresses import problem_of
from phased_rollout.errors import ConfigError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import AdapterSpec, Target

FILE = """\
version: 1
defaults: {soak: 5s, gate: timer}
rollouts:
  tenants:
    substrate:
      kind: http
      connection: plane
      fields: {version: /version, theme: settings.theme}
      read: {path: "/v1/tenants/{tenant}", absent: [404]}
      apply:
        path: /v1/tenants/{tenant}
        headers: {Idempotency-Key: "{token}"}
      remove: {path: "/v1/tenants/{tenant}"}
      status: {at: status, good: [active, true, 1]}
      deadline: 2m
    channels:
      - name: internal
        targets:
          - {name: one, tenant: acme, region: eu}
      - name: all
        targets:
          - {name: two, tenant: other}
  second:
    substrate:
      kind: http
      connection: plane
      fields: {banner: banner}
      read: {path: "/v1/tenants/{tenant}"}
      apply: {method: POST, path: "/v1/tenants/{tenant}/{banner}", body: {x: "{banner}", y: 1}}
    channels:
      - name: all
        targets: [{name: one, tenant: acme}]
"""
HEADERS = 'headers: {Idempotency-Key: "{token}"}'


def problems(tmp_path: Path, old: str, new: str) -> str:
    assert old in FILE
    (tmp_path / "channels.yaml").write_text(FILE.replace(old, new, 1))
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "channels.yaml")
    return str(raised.value)


def test_requests_reach_the_substrate_and_addresses_are_free(tmp_path: Path) -> None:
    (tmp_path / "channels.yaml").write_text(FILE)
    found = load(tmp_path / "channels.yaml").definitions["tenants"]
    assert found.substrate == AdapterSpec(
        "http",
        {
            "connection": "plane",
            "fields": {"version": "/version", "theme": "settings.theme"},
            "read": {"path": "/v1/tenants/{tenant}", "absent": [404]},
            "apply": {
                "path": "/v1/tenants/{tenant}",
                "headers": {"Idempotency-Key": "{token}"},
            },
            "remove": {"path": "/v1/tenants/{tenant}"},
            "status": {"at": "status", "good": ["active", True, 1]},
            "deadline": 120.0,
        },
    )
    assert found.channels[0].targets == (Target("one", {"tenant": "acme", "region": "eu"}),)


@pytest.mark.parametrize(
    "header",
    [
        "Authorization: Bearer abc",
        "cookie: a=b",
        "X-Api-Key: abc",
        "X-Auth-Token: abc",
        "X-Session-Id: abc",
        "Proxy-Authorization: abc",
        "apikey: abc",
        'X-Amz-Security-Token: "abc"',
    ],
)
def test_no_header_in_the_file_may_hold_a_secret(tmp_path: Path, header: str) -> None:
    found = problems(tmp_path, HEADERS, f"headers: {{{header}}}")
    assert "may hold a secret: the connection has the secrets: put it there" in found
    assert "channels.yaml:12: rollouts.tenants.substrate.apply.headers" in found
    assert "abc" not in found


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("connection: plane", "conection: plane", "did you mean 'connection'"),
        ("kind: http", "kind: htp", "did you mean 'http'"),
        ("{version: /version, theme: settings.theme}", "{}", "fields: is empty"),
        ("theme: settings.theme", "token: theme", "cannot name a field"),
        ("theme: settings.theme", "theme: a..b", "is no path into an answer"),
        ("theme: settings.theme", "theme: /list/0", "within a list, which no merge patch can"),
        ("theme: settings.theme", "tenant: x", "tenant: there is a field of that name: rename"),
        ("        path: /v1", "        path: https://evil.example/v1", "names a host: write the"),
        ("        path: /v1", "        path: //evil.example/v1", "names a host: write the path"),
        ("        path: /v1", "        path: /v1/../v2", "has a step . or .."),
        ("        path: /v1/tenants/{tenant}", "        path: /v1/{ten ant}", "is no path"),
        ("        path: /v1/tenants/{tenant}", "        path: /v1?api_key=x", "'api_key' in its"),
        ("        path: /v1/tenants/{tenant}", "        path: /v1/{tenat}", "tenat: missing: the"),
        ("        path: /v1/tenants", "        of: spec\n        path: /v1", "not within apply.of"),
        ("        path: /v1/tenants", "        body: all\n        path: /v1", "body"),
        ("        path: /v1/tenants", "        method: GET\n        path: /v1", "method"),
        ("        path: /v1/tenants", "        busy: [99]\n        path: /v1", "at least 200"),
        ("        path: /v1/tenants", "        busy: []\n        path: /v1", "is empty"),
        (HEADERS, "headers: {Host: x}", "'Host' is set by the product itself"),
        (HEADERS, 'headers: {X-Tenant: "{tenant}"}', "may have the placeholder {token} only"),
        (HEADERS, 'headers: {X: "a\\nb"}', "cannot be a header"),
        ('read: {path: "/v1/tenants/{tenant}"', 'read: {path: "/v1/{version}"', "has the field"),
        ("good: [active, true, 1]", "god: [active]", "did you mean 'good'"),
        ("good: [active, true, 1]", "good: []", "name at least one value"),
        ("deadline: 2m", "deadline: 120", "has no unit"),
        ("{name: two, tenant: other}", "{name: two, tenant: acme, region: eu}", "is there already"),
        ("{name: two, tenant: other}", "{name: two, tenant: acme}", "version of this tenant is"),
        ("{name: two, tenant: other}", "{name: two, region: eu}", "tenant: missing: the requests"),
        ("{name: two, tenant: other}", "{name: two, tenant: 7}", 'quote it: "7"'),
        ("{banner: banner}", "{banner: /version}", "banner of this tenant is there already"),
        ('y: 1', 'y: "v{banner}"', "write a placeholder such as"),
        ("/{banner}\", body", '/{banner}", of: x, body', "has no meaning for a body of its own"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert words in problems(tmp_path, old, new)


def test_a_tenant_that_an_inventory_found_is_judged_alike() -> None:
    assert problem_of("one", {"tenant": "acme", "tier": "gold"}, substrate="http") == ""
    assert "cannot name a target" in problem_of("a b", {"tenant": "acme"}, substrate="http")


@pytest.fixture
def ten_thousand(tmp_path: Path) -> Path:
    file = yaml.safe_load(FILE)
    del file["rollouts"]["second"]
    file["rollouts"]["tenants"]["channels"][1] |= {
        "waves": {"size": 50},
        "targets": [{"name": f"t-{n}", "tenant": f"t-{n}"} for n in range(10_000)],
    }
    (tmp_path / "channels.yaml").write_text(yaml.safe_dump(file))
    return tmp_path / "channels.yaml"


def test_ten_thousand_tenants_are_two_hundred_tasks_and_are_read_in_seconds(
    ten_thousand: Path,
) -> None:
    began = time.process_time()
    channel = load(ten_thousand).definitions["tenants"].channels[1]
    assert time.process_time() - began < 15
    waves = list(channel.handed_out())
    assert len(waves) == 200
    assert sum(len(wave) for wave in waves) == len(channel.targets) == 10_000


def test_a_change_for_ten_thousand_tenants_is_judged_in_seconds(ten_thousand: Path) -> None:
    definition = load(ten_thousand).definitions["tenants"]
    began = time.process_time()
    change = Change("upgrade", {"tenant.yaml": 'version: "2"'})
    assert substrates.problems_of(definition.substrate, change, definition.channels) == []
    assert time.process_time() - began < 15
    change = Change("upgrade", {"tenant.yaml": "versoin: 2"})
    problems = substrates.problems_of(definition.substrate, change, definition.channels)
    assert len(problems) == 1


def test_ten_thousand_tenants_may_not_be_ten_thousand_tasks(ten_thousand: Path) -> None:
    text = ten_thousand.read_text().replace("size: 50", "size: 1")
    ten_thousand.write_text(text)
    with pytest.raises(
        ConfigError, match=r"10000 waves, but Airflow maps at most 1024: raise size"
    ):
        load(ten_thousand)
