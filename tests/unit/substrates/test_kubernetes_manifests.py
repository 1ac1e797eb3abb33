"""What a folder of manifests may hold, without any cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from phased_rollout import changes
from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.substrates.kubernetes.manifests import in_order, render
from phased_rollout.substrates.kubernetes.owned import applied_by

ONE = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\n"


def names(**files: str) -> list[str]:
    change = Change("x", {name.replace("_", "."): text for name, text in files.items()})
    return [each["metadata"]["name"] for each in render(change).body["objects"]]


def problem(text: str, **change: object) -> str:
    with pytest.raises(ChangeError) as raised:
        render(Change("x", {"a.yaml": text}, **change))  # type: ignore[arg-type]
    return str(raised.value)


def test_documents_lists_and_json_are_all_manifests() -> None:
    items = (
        f'{{"apiVersion": "v1", "kind": "List", "items": [{{{_json("two")}}}, {{{_json("3")}}}]}}'
    )
    assert names(a_yaml=f"# nothing\n---\n{ONE}---\n", b_json=items) == ["one", "two", "3"]


def _json(name: str) -> str:
    return f'"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "{name}"}}'


def test_the_order_of_files_does_not_matter_to_the_digest_and_a_value_does() -> None:
    two = ONE.replace("one", "two")
    found = [
        render(Change("x", files)).digest
        for files in ({"a.yaml": ONE, "b.yaml": two}, {"a.yaml": two + "---\n" + ONE})
    ]
    assert found[0] == found[1]
    assert render(Change("x", {"a.yaml": ONE})).digest != found[0]


def test_keys_and_values_are_read_as_kubernetes_reads_them() -> None:
    text = ONE + "data: {1: a, true: b, at: 2024-01-01, is: =, n: 7, h: 0x10, f: 1.5, z: ~}\n"
    (found,) = render(Change("x", {"a.yaml": text})).body["objects"]
    assert found["data"] == {
        "1": "a", "true": "b", "at": "2024-01-01", "is": "=", "n": 7, "h": 16, "f": 1.5, "z": None,
    }  # fmt: skip


BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
MERGES = "a0: &a0 {x: y}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ONE + BOMB, "line 10: more than 500,000 values with all aliases expanded"),
        (ONE + MERGES, "line 10: more than 500,000 values with all aliases expanded"),
        (ONE + "spec: &a {b: *a}\n", "line 4: *a refers to itself: remove it"),
        (ONE + "spec: &a {<<: *a}\n", "line 4: *a refers to itself: remove it"),
        ("[" * 200_000, "line 1: nested more than 100 levels"),
        ("{a: " * 200_000, "line 1: nested more than 100 levels"),
        ("? [a]\n: b\n", "line 1: a key must be text"),
        ("~: b\n", "line 1: a key must be text: quote it"),
        (ONE + "spec: !!binary aGFsbG8=\n", "could not determine a constructor"),
        (ONE + "spec: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        (ONE + "spec: !!map x\n", "line 4: must be a mapping"),
        (ONE + "spec: !!int ''\n", "line 4: is no number"),
        (ONE + "spec: !!bool x\n", "line 4: is no boolean"),
        (ONE + "spec: .nan\n", "line 4: is no number that JSON and 64 bits can hold"),
        (ONE + f"spec: {'9' * 5000}\n", "line 4: is no number that can be held"),
        (ONE + f"spec: 0x{'f' * 5000}\n", "line 4: is no number that JSON and 64 bits can hold"),
        (ONE.replace("one", "one, annotations: [x]"), "metadata.annotations must be a mapping"),
    ],
    ids=range(17),
)
def test_yaml_that_is_more_than_a_manifest_is_refused_before_it_is_built(
    text: str, words: str
) -> None:
    assert words in problem(text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: one", "name: ../../secrets/admin"),
        ("name: one", "name: .."),
        ("name: one", 'name: "a?force=true"'),
        ("name: one", "name: a%2Fb"),
        ("name: one", "name: one, namespace: ../kube-system"),
        ("name: one", "name: one, namespace: [a]"),
        ("apiVersion: v1", "apiVersion: ../../v1"),
    ],
)
def test_a_name_never_leads_to_another_object(old: str, new: str) -> None:
    assert ": correct it" in (said := problem(ONE.replace(old, new))) or "write it as" in said


def test_what_others_need_comes_first_and_what_judges_them_last() -> None:
    kinds = ["ValidatingWebhookConfiguration", "Widget", "Deployment", "ConfigMap"]
    kinds += ["CustomResourceDefinition", "Namespace"]
    found = in_order({"kind": kind} for kind in kinds)
    assert [each["kind"] for each in found] == [*reversed(kinds[2:]), "Widget", kinds[0]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "a.yaml: not valid YAML"),
        (
            ONE + "metadata: {name: two}\n",
            "a.yaml: not valid YAML: line 4: the key 'metadata' stands twice",
        ),
        ("- 1\n", "a.yaml:1: is no object: write apiVersion, kind and metadata"),
        ("kind: X\nmetadata: {name: a}\n", "a.yaml:1: apiVersion is missing"),
        ("apiVersion: v1\nkind: X\nmetadata: {generateName: a-}\n", "another object each time"),
        (ONE + "---\n" + ONE, "a.yaml:5: the same object is in a.yaml:1: remove one"),
        (ONE.replace("one", "one, uid: x"), "metadata has uid, which the server sets"),
        ("# nothing\n", "no manifest is in it: nothing would be rolled out"),
        (
            ONE.replace("one", "one, annotations: {helm.sh/hook: pre-install}"),
            "is a hook of Helm (pre-install), which nothing would run",
        ),
    ],
)
def test_what_is_no_manifest_is_told_with_its_place(text: str, words: str) -> None:
    assert words in problem(text)


@pytest.mark.parametrize("key", ["data", "stringData"])
def test_secrets_are_refused_and_never_repeated(key: str) -> None:
    found = problem(ONE.replace("ConfigMap", "Secret") + f"{key}: {{password: aGVsbG8=}}\n")
    assert "a.yaml:1: is a Secret with its data, which would be kept in the records" in found
    assert "aGVsbG8" not in found


def test_a_secret_without_data_is_fine() -> None:
    text = ONE.replace("ConfigMap", "Secret") + "type: kubernetes.io/service-account-token\n"
    assert names(a_yaml=text) == ["one"]


def test_what_generators_write_as_nothing_is_left_out() -> None:
    plain = render(Change("x", {"a.yaml": ONE}))
    text = ONE.replace("one", "one, creationTimestamp: null")
    assert render(Change("x", {"a.yaml": text})) == plain


def test_parameters_are_refused() -> None:
    assert "take no parameters: render them before" in problem(ONE, given={"a": "b"})


def test_a_folder_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "change.yaml").write_text("description: What it does\n")
    (tmp_path / "a.yaml").write_text(ONE)
    (tmp_path / "README.md").write_text("not of it")
    change = changes.load(str(tmp_path), base=tmp_path, given={}, templates=None)
    assert (change.description, dict(change.files)) == ("What it does", {"a.yaml": ONE})


def test_a_folder_in_it_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(ONE)
    (tmp_path / "templates").mkdir()
    with pytest.raises(ChangeError, match="templates: is a folder: put its files here"):
        changes.load(str(tmp_path), base=tmp_path, given={}, templates=None)


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChangeError, match="holds no file"):
        changes.load(str(tmp_path), base=tmp_path, given={}, templates=None)


def test_a_strange_file_is_refused() -> None:
    with pytest.raises(ChangeError, match=r"values\.txt: unknown file: manifests end with \.yaml"):
        render(Change("x", {"a.yaml": ONE, "values.txt": "x"}))


def test_what_a_manager_owns_is_read_as_the_server_keeps_it() -> None:
    live = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "1",
            "labels": {"a": "b", "c": "d"},
            "finalizers": ["x/y", "z"],
            "managedFields": [
                {
                    "manager": "us",
                    "operation": "Apply",
                    "fieldsV1": {
                        "f:metadata": {
                            "f:labels": {"f:a": {}},
                            "f:finalizers": {'v:"x/y"': {}},
                        },
                        "f:spec": {
                            "f:replicas": {},
                            "f:containers": {
                                'k:{"name":"web"}': {
                                    ".": {},
                                    "f:name": {},
                                    "f:ports": {
                                        'k:{"containerPort":80,"protocol":"TCP"}': {
                                            ".": {},
                                            "f:containerPort": {},
                                        }
                                    },
                                }
                            },
                            "f:args": {},
                            "f:empty": {},
                        },
                    },
                },
                {"manager": "us", "operation": "Apply", "subresource": "status", "fieldsV1": {}},
            ],
        },
        "spec": {
            "replicas": 3,
            "paused": False,
            "args": ["a", "b"],
            "empty": {},
            "containers": [
                {"name": "sidecar", "image": "s"},
                {"name": "web", "image": "w", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
            ],
        },
    }
    assert applied_by(live, "us") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"a": "b"},
            "finalizers": ["x/y"],
        },
        "spec": {
            "replicas": 3,
            "args": ["a", "b"],
            "empty": {},
            "containers": [
                {"name": "web", "ports": [{"containerPort": 80, "protocol": "TCP"}]},
            ],
        },
    }
    assert applied_by(live, "them") is None
