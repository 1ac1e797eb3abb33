"""Ownership, order, pruning, and what a rollback never deletes."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from phased_rollout.errors import ChangeError, RefusedError, RolloutError, UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.model.digest import canonical_json
from phased_rollout.model.target_state import Difference, Outcome
from phased_rollout.substrates.kubernetes import record
from tests.contract.drive import AGAIN, Guard
from tests.unit.substrates.clusters import (
    World,
    config_map,
    definition,
    namespace,
    widget,
    workload,
)

NEW = (namespace("shop"), definition(), {**widget("w")}, config_map("in-shop", namespace="shop"))


# namespaces and definitions


def test_what_needs_a_namespace_or_a_definition_is_applied_after_it(kube: World) -> None:
    reverse = tuple(reversed(NEW))
    preview = kube.preview(*reverse)
    assert [d.action for d in preview.differences] == ["Add"] * 4
    assert sorted(preview.notes) == [
        "ConfigMap shop/in-shop is not server-validated: its namespace does not exist yet",
        "Widget default/w is not server-validated: its kind is not defined yet",
    ]
    assert kube.apply(*reverse, expected=preview.digest).outcome is Outcome.DONE
    assert kube.live("ConfigMap", "in-shop", "shop") is not None
    assert kube.there("Widget/w") == [True]
    assert kube.preview(*reverse).differences == ()


def test_a_rollback_takes_away_what_it_created_namespaces_and_definitions_too(kube: World) -> None:
    before = kube.read()
    kube.apply(*NEW)
    assert kube.restore(before, *NEW).outcome is Outcome.DONE
    assert kube.live("Namespace", "shop") is None
    assert kube.there("CustomResourceDefinition/widgets.example.org") == [False]
    assert kube.read().running is None


def test_a_rollback_keeps_a_namespace_that_holds_somebody_elses(kube: World) -> None:
    before = kube.read()
    kube.apply(*NEW)
    kube.by_hand(config_map("theirs"), namespace="shop")
    done = kube.restore(before, *NEW)
    assert done.outcome is Outcome.DONE
    assert "kept: Namespace shop holds ConfigMap shop/theirs" in done.reason
    assert kube.live("ConfigMap", "theirs", "shop") is not None
    assert kube.live("ConfigMap", "in-shop", "shop") is None


def test_a_rollback_keeps_a_definition_of_which_somebody_else_has_objects(kube: World) -> None:
    before = kube.read()
    kube.apply(*NEW)
    kube.by_hand(widget("theirs"))
    done = kube.restore(before, *NEW)
    assert "widgets.example.org holds Widget default/theirs" in done.reason
    assert kube.there("Widget/theirs", "Widget/w") == [True, False]


def test_a_rollback_keeps_a_volume_claim_that_has_a_volume(kube: World) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"]},
    }
    before = kube.read()
    assert kube.preview(claim).irreversible == (
        "PersistentVolumeClaim default/data: once a volume is bound to it, a rollback keeps it",
    )
    kube.apply(claim)
    path = "/api/v1/namespaces/default/persistentvolumeclaims/data"
    live = kube.live("PersistentVolumeClaim", "data") or {}
    bound = {**live, "status": {"phase": "Bound"}}
    bound["metadata"].pop("managedFields")
    kube.api.request("PUT", kube.name, f"{path}/status", bound, manager="kube-controller-manager")
    done = kube.restore(before, claim)
    assert "kept: PersistentVolumeClaim default/data has a volume with data" in done.reason
    assert kube.there("PersistentVolumeClaim/data") == [True]


def test_a_namespace_that_holds_somebody_elses_is_not_pruned(kube: World) -> None:
    kube.apply(namespace("shop"), config_map(level="info"))
    kube.by_hand(config_map("theirs"), namespace="shop")
    for ask in (kube.preview, lambda *m: kube.apply(*m, token=AGAIN)):
        with pytest.raises(RefusedError, match="Namespace shop holds ConfigMap shop/theirs"):
            ask(config_map(level="info"))
    kube.delete("ConfigMap", "theirs", "shop")
    preview = kube.preview(config_map(level="info"))
    assert preview.differences == (
        Difference(
            "Remove", "shop", "v1 Namespace", destructive=True, detail="and everything in it"
        ),
    )
    assert preview.irreversible == (
        "Namespace shop is deleted, and everything in it: a rollback creates it anew, empty",
    )
    assert kube.apply(config_map(level="info"), token=AGAIN).outcome is Outcome.DONE
    assert kube.live("Namespace", "shop") is None


def test_a_namespace_that_is_nowhere_is_refused(kube: World) -> None:
    with pytest.raises(RefusedError, match="the namespace 'shop' does not exist: create it, or"):
        kube.preview(config_map(namespace="shop"))
    kube.options["namespace"] = "nowhere"
    with pytest.raises(RefusedError, match="namespace 'nowhere' does not exist"):
        kube.apply(config_map())


# ownership


def test_a_conflict_names_the_other_manager_and_is_never_forced(kube: World) -> None:
    kube.by_hand(config_map(level="theirs"), manager="argocd")
    words = r'conflict with "argocd" using v1: \.data\.level: the other manager owns'
    for ask in (kube.preview, kube.apply):
        with pytest.raises(RefusedError, match=words):
            ask(config_map(level="ours"))
    assert (kube.live("ConfigMap", "settings") or {})["data"] == {"level": "theirs"}
    assert kube.read().running is None


def test_what_is_there_already_is_taken_over_and_given_up_by_a_rollback(kube: World) -> None:
    kube.by_hand(config_map(level="info"))
    before = kube.read()
    wanted = config_map(level="info", more="ours")
    preview = kube.preview(wanted)
    assert "is there already: it is taken over" in preview.notes[0]
    assert preview.differences[0].detail == "data.more: (none) → ours"
    kube.apply(wanted)
    assert kube.restore(before, wanted).outcome is Outcome.DONE
    found = kube.live("ConfigMap", "settings") or {}
    assert found["data"] == {"level": "info"}
    assert [e["manager"] for e in found["metadata"]["managedFields"]] == ["kubectl-edit"]


def test_pruning_gives_up_what_was_taken_over(kube: World) -> None:
    kube.by_hand(config_map(level="info"))
    kube.apply(config_map(level="info"), config_map("own"))
    kube.apply(config_map("own"), token=AGAIN)
    assert kube.there("ConfigMap/settings", "ConfigMap/own") == [True, True]


def test_what_was_made_anew_by_somebody_else_is_not_deleted(kube: World) -> None:
    kube.apply(config_map(level="info"), config_map("own"))
    kube.delete("ConfigMap", "settings")
    kube.by_hand(config_map(level="theirs"))
    kube.apply(config_map("own"), token=AGAIN)
    assert (kube.live("ConfigMap", "settings") or {})["data"] == {"level": "theirs"}


def test_fields_that_the_change_has_no_more_are_taken_out(kube: World) -> None:
    kube.apply(config_map(level="info", more="x"))
    kube.by_hand(config_map(theirs="kept"))
    kube.apply(config_map(level="info"), token=AGAIN)
    found = kube.live("ConfigMap", "settings") or {}
    assert found["data"] == {"level": "info", "theirs": "kept"}


@pytest.mark.parametrize("how", ["changed", "deleted"])
def test_what_somebody_changed_reads_as_something_else_and_comes_back_so(
    kube: World, how: str
) -> None:
    kube.apply(config_map(level="info", more="x"), config_map("other", a="b"))
    if how == "changed":
        kube.by_hand(config_map(level="theirs"))
    else:
        kube.delete("ConfigMap", "settings")
    before = kube.read()
    assert before.digest != kube.artifact(config_map(level="info", more="x")).digest
    assert not before.healthy
    assert ("perhaps by 'kubectl-edit'" if how == "changed" else "is gone") in before.detail
    wanted = (config_map(more="y"), config_map("other", a="c"), config_map("third"))
    kube.apply(*wanted, token=AGAIN)
    assert kube.restore(before, *wanted).outcome is Outcome.DONE
    assert kube.read().digest == before.digest
    found = kube.live("ConfigMap", "settings")
    expected = {"level": "theirs", "more": "x"} if how == "changed" else None
    assert (found or {}).get("data") == expected
    assert (kube.live("ConfigMap", "other") or {})["data"] == {"a": "b"}
    assert kube.there("ConfigMap/third") == [False]


def test_another_rollout_s_attempt_is_left_alone(kube: World) -> None:
    before = kube.read()
    with pytest.raises(RefusedError):
        kube.apply(workload("Job", image="web:crash"), token="fedcba9876543210-1")
    left = kube.restore(before, config_map())
    assert left.outcome is Outcome.LEFT_ALONE
    assert "an attempt of another rollout" in left.reason


def test_a_retry_prunes_what_a_failed_attempt_created(kube: World) -> None:
    with pytest.raises(RefusedError):
        kube.apply(workload("Job", image="web:crash"), config_map("left"))
    assert kube.apply(config_map(level="info"), token=AGAIN).outcome is Outcome.DONE
    assert kube.there("ConfigMap/left", "Job/web") == [False, False]


def test_two_records_of_a_cluster_do_not_meet(kube: World) -> None:
    kube.apply(config_map(level="info"))
    kube.options["record"] = "second"
    assert kube.read().running is None
    kube.apply(config_map("other"))
    assert kube.there("ConfigMap/settings", "ConfigMap/other") == [True, True]
    with pytest.raises(RefusedError, match='conflicts with "phased-rollout-default-app"'):
        kube.preview(config_map(level="debug"))


def test_a_damaged_record_says_so(kube: World) -> None:
    kube.apply(config_map(level="info"))
    kube.by_hand(config_map("phased-rollout-app", inventory="{"))
    with pytest.raises(RefusedError, match="the ConfigMap phased-rollout-app is damaged"):
        kube.read()


# previews


def test_a_preview_tells_each_field(kube: World) -> None:
    kube.apply(workload(replicas=2), config_map(level="info"))
    found = kube.preview(workload(replicas=3, image="web:2"), config_map("new"))
    assert sorted(found.differences, key=lambda d: d.action) == [
        Difference("Add", "default/new", "v1 ConfigMap"),
        Difference(
            "Modify",
            "default/web",
            "apps/v1 Deployment",
            detail="spec.replicas: 2 → 3; spec.template.spec.containers[web].image: web:1 → web:2",
        ),
        Difference("Remove", "default/settings", "v1 ConfigMap", destructive=True),
    ]


def test_an_api_version_that_the_cluster_has_no_more_is_caught_in_the_preview(kube: World) -> None:
    budget = {
        "apiVersion": "policy/v1beta1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
    }
    strange = {"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": {"name": "g"}}
    with pytest.raises(RefusedError) as refused:
        kube.preview(budget, strange, config_map())
    text = str(refused.value)
    assert "PodDisruptionBudget web: v1.33.0 does not serve policy/v1beta1" in text
    assert "it serves policy/v1: write that" in text
    assert "Gadget g: v1.33.0 does not serve example.org/v1, nor the kind in any version" in text


def test_all_that_the_server_refuses_is_told_at_once(kube: World) -> None:
    unknown = {**workload(), "spec": {**workload()["spec"], "replcas": 2}}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 70000}]},
    }
    with pytest.raises(RefusedError) as refused:
        kube.preview(unknown, service)
    assert ".spec.replcas: field not declared in schema" in str(refused.value)
    assert "must be between 1 and 65535" in str(refused.value)


def test_what_cannot_be_changed_says_what_to_do(kube: World) -> None:
    kube.apply(workload())
    other: Any = workload()
    other["spec"]["selector"] = {"matchLabels": {"app": "web", "tier": "x"}}
    other["spec"]["template"]["metadata"]["labels"]["tier"] = "x"
    with pytest.raises(RefusedError, match="field is immutable: give the object another name"):
        kube.preview(other)


def test_a_refusal_in_the_midst_is_remembered_and_taken_back(kube: World) -> None:
    kube.apply(config_map(level="info"))
    before, wanted = kube.read(), (config_map(level="debug"), config_map("zz"))
    kube.api.fault(
        "error", cluster=kube.name, verb="apply", resource="configmaps", skip=4, code=422,
        reason="Invalid", message="not today",
    )  # fmt: skip
    guard = Guard()
    with pytest.raises(RefusedError, match="not today"):
        kube.apply(*wanted, token=AGAIN, guard=guard)
    kube.api.clear_faults()
    sent = guard.entered
    with pytest.raises(RefusedError, match="not today"):
        kube.apply(*wanted, token=AGAIN, guard=guard)
    assert guard.entered == sent
    assert kube.restore(before, *wanted).outcome is Outcome.DONE
    assert kube.read() == before


# errors


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        (403, 'User "x" cannot patch resource "configmaps" in API group ""', UnreachableError),
        (403, 'admission webhook "policy" denied the request: no', RefusedError),
        (403, 'configmaps "x" is forbidden: exceeded quota: few', RefusedError),
        (403, "unable to create x because it is being terminated", UnreachableError),
        (409, "Apply failed with 1 conflict: conflict with x", RefusedError),
        (422, "is invalid", RefusedError),
        (429, "too many requests", UnreachableError),
        (500, 'Internal error occurred: failed calling webhook "x"', UnreachableError),
        (500, "failed to create typed patch object (x): .y: field not declared", RefusedError),
        (503, "etcdserver: leader changed", UnreachableError),
    ],
)
def test_what_an_answer_means(kube: World, code: int, message: str, error: type[Exception]) -> None:
    kube.api.fault("error", cluster=kube.name, verb="apply", code=code, message=message)
    with pytest.raises(error) as raised:
        kube.preview(config_map())
    assert type(raised.value) in (error, *error.__subclasses__())
    assert message[:20] in str(raised.value)


def test_a_cluster_tells_the_version_of_its_api_server(kube: World) -> None:
    assert kube.substrate().platform(kube.target) == "v1.33.0"
    away = Target("away", {"context": "nowhere"})
    with pytest.raises(RolloutError):
        kube.substrate().platform(away)


def test_a_record_holds_so_much_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [{"text": "x" * 1000}]
    size = len(canonical_json(objects).encode())
    text = base64.b64encode(record.packed(objects)).decode()
    monkeypatch.setattr(record, "MAX_UNPACKED", size)
    assert record._unpacked(text) == canonical_json(objects).encode()
    assert base64.b64encode(record.packed(objects)).decode() == text
    monkeypatch.setattr(record, "MAX_UNPACKED", size - 1)
    with pytest.raises(ValueError, match="unpacks to too much"):
        record._unpacked(text)
    with pytest.raises(ChangeError, match="split them into several definitions"):
        record.packed(objects)
