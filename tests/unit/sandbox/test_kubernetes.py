"""The stand-in for API servers, where it has to be like them."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.kubernetes.client import SandboxKubernetes, SandboxRefusedError
from sandbox.kubernetes.server import SandboxClusters
from tests.contract.harness import await_so

APPLY = "application/apply-patch+yaml"
MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def api() -> Iterator[SandboxKubernetes]:
    sandbox = SandboxClusters(pace=0.01).start()
    sandbox.add("a")
    yield SandboxKubernetes(sandbox.endpoint)
    sandbox.stop()


def config_map(name: str = "x", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def apply(api: SandboxKubernetes, manager: str, more: str = "", **data: str) -> dict[str, Any]:
    path = f"{MAPS}/x{more}"
    return api.request("PATCH", "a", path, config_map(**data), content_type=APPLY, manager=manager)


def test_apply_creates_and_says_who_owns_what(api: SandboxKubernetes) -> None:
    (entry,) = apply(api, "one", a="1")["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["fieldsV1"]) == (
        "one",
        "Apply",
        {"f:data": {"f:a": {}}},
    )


def test_a_conflict_names_manager_and_field_and_force_takes_it(api: SandboxKubernetes) -> None:
    apply(api, "one", a="1")
    with pytest.raises(SandboxRefusedError, match="FieldManagerConflict") as refused:
        apply(api, "two", a="2")
    assert refused.value.code == 409
    assert apply(api, "two", "?force=true", a="2")["data"] == {"a": "2"}
    managers = [
        e["manager"] for e in api.request("GET", "a", f"{MAPS}/x")["metadata"]["managedFields"]
    ]
    assert managers == ["two"]


def test_the_same_value_is_owned_by_both_and_stays_until_both_give_it_up(
    api: SandboxKubernetes,
) -> None:
    apply(api, "one", a="1")
    apply(api, "two", a="1", b="2")
    assert apply(api, "one")["data"] == {"a": "1", "b": "2"}
    assert "data" not in apply(api, "two")


def test_a_dry_run_stores_nothing(api: SandboxKubernetes) -> None:
    assert apply(api, "one", "?dryRun=All", a="1")["data"] == {"a": "1"}
    with pytest.raises(SandboxRefusedError, match="not found"):
        api.request("GET", "a", f"{MAPS}/x")


def test_an_apply_that_changes_nothing_makes_no_new_version(api: SandboxKubernetes) -> None:
    first, second = apply(api, "one", a="1"), apply(api, "one", a="1")
    assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]


def test_an_update_of_an_old_version_is_refused(api: SandboxKubernetes) -> None:
    old = apply(api, "one", a="1")
    apply(api, "one", a="2")
    with pytest.raises(SandboxRefusedError, match="the object has been modified"):
        api.request("PUT", "a", f"{MAPS}/x", old)


def test_lists_come_in_pages_and_by_selectors(api: SandboxKubernetes) -> None:
    for number in range(5):
        labels = {"odd": "yes"} if number % 2 else {}
        body = config_map(f"m{number}")
        body["metadata"]["labels"] = labels
        api.request("POST", "a", MAPS, body)
    page = api.request("GET", "a", f"{MAPS}?limit=3")
    rest = api.request("GET", "a", f"{MAPS}?limit=3&continue={page['metadata']['continue']}")
    names = [i["metadata"]["name"] for i in (*page["items"], *rest["items"])]
    assert names == ["m0", "m1", "m2", "m3", "m4"]
    odd = api.request("GET", "a", f"{MAPS}?labelSelector=odd%3Dyes")["items"]
    assert [i["metadata"]["name"] for i in odd] == ["m1", "m3"]
    one = api.request("GET", "a", f"{MAPS}?fieldSelector=metadata.name%3Dm2")["items"]
    assert [i["metadata"]["name"] for i in one] == ["m2"]


def test_a_namespace_goes_with_all_that_is_in_it(api: SandboxKubernetes) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    api.request("POST", "a", "/api/v1/namespaces", space)
    api.request("POST", "a", "/api/v1/namespaces/n/configmaps", config_map())
    api.request("DELETE", "a", "/api/v1/namespaces/n")
    names = {"default", "kube-system"}
    path = "/api/v1/namespaces"
    await_so(
        lambda: names == {i["metadata"]["name"] for i in api.request("GET", "a", path)["items"]},
        what="gone",
    )
    with pytest.raises(SandboxRefusedError, match='namespaces \\\\"n\\\\" not found'):
        api.request("POST", "a", "/api/v1/namespaces/n/configmaps", config_map())


@pytest.mark.parametrize(
    ("kind", "done"), [("error", False), ("reset", False), ("lost_reply", True)]
)
def test_a_fault_is_before_or_after_the_effect(
    api: SandboxKubernetes, kind: str, *, done: bool
) -> None:
    api.fault(kind, verb="apply")
    with pytest.raises((SandboxRefusedError, OSError)):
        apply(api, "one", a="1")
    found = api.request("GET", "a", MAPS)["items"]
    assert bool(found) is done
    assert [c["fault"] for c in api.calls(verb="apply")] == [kind]


def test_without_the_token_nothing_is_told(api: SandboxKubernetes) -> None:

    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{api.endpoint}/clusters/a/version")  # noqa: S310  # our own
