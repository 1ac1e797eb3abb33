"""Values of a change, and how they get into requests."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.pointers import ABSENT
from phased_rollout.substrates.http.content import normalised, values_of
from phased_rollout.substrates.http.filling import filled_body, filled_path, merge_patch
from phased_rollout.substrates.http.spec import Standing, Status

FIELDS = {"version": ("version",), "replicas": ("spec", "replicas"), "flags": ("flags",)}


def values(text: str, file: str = "tenant.yaml", **more: Any) -> dict[str, Any]:
    return values_of(Change("upgrade", {file: text}, **more), FIELDS)


def test_values_keep_their_types() -> None:
    text = 'version: "2.10"\nreplicas: 3\nflags: {dark: true, weights: [0.5, 1], note: "NO"}\n'
    found = {
        "version": "2.10",
        "replicas": 3,
        "flags": {"dark": True, "weights": [0.5, 1], "note": "NO"},
    }
    assert values(text) == found
    assert values('{"version": "2.10", "replicas": 3}', "tenant.json") == {
        "version": "2.10",
        "replicas": 3,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version: 2.10", "tenant.yaml:1: version: YAML reads 2.10 as 2.1: quote it, or write 2.1"),
        ("flags:\n  country: NO", "tenant.yaml:2: flags.country: YAML reads NO as false"),
        ("version: x\nreplicas: 1_000", "tenant.yaml:2: replicas: YAML reads 1_000 as 1000"),
        ("version: 2026-11-23", "tenant.yaml:1: version: YAML may read 2026-11-23 as a date"),
        ("version: x\nversoin: y", "tenant.yaml:2: versoin: the substrate has no such field, did"),
        ("version: x\nflags:", "tenant.yaml:2: flags: has no value: give it one, or remove the"),
        ("- version", "tenant.yaml:1: must be a mapping of fields"),
        ("{}", "tenant.yaml:1: holds no value"),
        ("", "tenant.yaml:1: the file is empty"),
        ("version: [", "tenant.yaml:2: not valid YAML"),
        ("version: !!python/name:os.system x", "tag"),
    ],
)
def test_what_is_wrong_with_a_value_is_told_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ChangeError) as raised:
        values(text)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"version": "x",\n "versoin": 1}', "tenant.json:2: versoin: the substrate has no such"),
        ('{"version": NaN}', "tenant.json:1: not usable: NaN is no JSON value"),
        ('{"version": 1, "version": 2}', "a key stands there twice"),
        ('{"version":\n 1,}', "tenant.json:2: not valid JSON"),
        ("[1]", "must be a mapping"),
    ],
)
def test_what_is_wrong_with_json_is_told_with_its_line(text: str, words: str) -> None:
    with pytest.raises(ChangeError) as raised:
        values(text, "tenant.json")
    assert words in str(raised.value)


def test_what_a_change_of_settings_has_not_is_refused() -> None:
    with pytest.raises(ChangeError) as raised:
        values_of(
            Change(
                "two", {"a.yaml": "version: x", "b.txt": "y"}, given={"a": "b"}, tags={"c": "d"}
            ),
            FIELDS,
        )
    assert str(raised.value).splitlines() == [
        "change 'two': settings take no parameters: write the values into the file",
        "change 'two': settings have no tags and no capabilities: remove them",
        "change 'two': keep one file of values, not a.yaml, b.txt",
        "b.txt:1: unknown file: values are in a file that ends with .yaml, .yml, .json",
    ]


def test_values_are_compared_as_json_has_them() -> None:
    assert normalised({"a": 2.0, "b": None, "c": [1.5, {"d": None}]}) == {"a": 2, "c": [1.5, {}]}
    assert (repr(normalised(2.0)), repr(normalised(1e300))) == ("2", "1e+300")


# filling


def test_a_placeholder_of_a_path_is_quoted_whole() -> None:
    found = filled_path("/t/{id}/v/{version}?q={id}", {"id": "a/b?c#d%", "version": 2})
    assert found == "/t/a%2Fb%3Fc%23d%25/v/2?q=a%2Fb%3Fc%23d%25"
    assert filled_path("/{on}", {"on": True}) == "/true"


@pytest.mark.parametrize(
    ("path", "value"),
    [("/t/{x}", ".."), ("/t/.{x}", "."), ("/t/{x}", ""), ("/t/{x}", {}), ("/t/{x}", None),
     ("/t/{y}", "z"), ("/t/{x}", "\ud800")],
)  # fmt: skip
def test_a_value_that_leads_elsewhere_is_no_value_of_a_path(path: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        filled_path(path, {"x": value})


def test_a_placeholder_of_a_body_is_a_value_and_its_key_goes_with_it() -> None:
    template = {"to": "{version}", "of": ["{flags}", "{none}", "plain"], "x": {"y": "{none}"}}
    found = filled_body(template, {"version": '1","z":"', "flags": {"a": 1}})
    assert found == {"to": '1","z":"', "of": [{"a": 1}, "plain"], "x": {}}


@pytest.mark.parametrize(
    ("current", "wanted", "patch"),
    [
        ("a", "b", "b"),
        ("a", ABSENT, None),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": None, "a": 1}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 3}}, {"a": {"y": None, "x": 3}}),
        ("a", {"b": 1}, {"b": 1}),
        (["a", "b"], ["c"], ["c"]),
    ],
)
def test_a_merge_patch_takes_away_what_is_wanted_no_more(
    current: Any, wanted: Any, patch: Any
) -> None:
    assert merge_patch(current, wanted) == patch


@pytest.mark.parametrize(
    ("document", "standing"),
    [
        ({"ok": True}, Standing.GOOD),
        ({"ok": 1}, Standing.FAILED),
        ({"ok": "waiting"}, Standing.PENDING),
        ({"ok": "else"}, Standing.FAILED),
        ({"ok": None}, Standing.UNKNOWN),
        ({}, Standing.UNKNOWN),
    ],
)
def test_a_status_is_compared_as_json(document: Any, standing: Standing) -> None:
    status = Status.parsed({"at": "ok", "good": [True], "pending": ["waiting"]})
    assert status.read(document)[0] is standing


def test_a_status_that_is_in_no_list_is_unknown_once_failures_are_listed() -> None:
    status = Status.parsed({"at": "ok", "good": ["a"], "failed": ["f"]})
    assert [status.read({"ok": said})[0] for said in ("a", "f", "b")] == [
        Standing.GOOD,
        Standing.FAILED,
        Standing.UNKNOWN,
    ]
