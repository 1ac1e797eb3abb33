"""Ways into a JSON value."""

from __future__ import annotations

from typing import Any

import pytest

from phased_rollout.pointers import ABSENT, at, parts_of, placed


@pytest.mark.parametrize(
    ("pointer", "parts"),
    [
        (None, ()),
        ("version", ("version",)),
        ("settings.theme", ("settings", "theme")),
        ("/settings/theme", ("settings", "theme")),
        ("/a.b/0", ("a.b", "0")),
        ("/a~1b/m~0n", ("a/b", "m~n")),
        ("/~01", ("~1",)),
        ("/", ("",)),
    ],
)
def test_a_way_is_written_with_dots_or_as_a_json_pointer(
    pointer: str | None, parts: tuple[str, ...]
) -> None:
    assert parts_of(pointer) == parts


def test_what_is_off_the_way_is_absent_and_null_is_not() -> None:
    value = {"a": [{"b": None}], "": 1}
    assert at(value, ("a", "0", "b")) is None
    assert at(value, ("",)) == 1
    for parts in (("a", "1"), ("a", "b"), ("c",), ("a", "0", "b", "c"), ("a", "-1"), ("a", "²")):
        assert at(value, parts) is ABSENT


@pytest.mark.parametrize(
    ("document", "way", "value", "found"),
    [
        ({"a": 1}, "b.c", 2, {"a": 1, "b": {"c": 2}}),
        ({"a": {"b": 1, "c": 2}}, "a.b", ABSENT, {"a": {"c": 2}}),
        ({"a": 1}, "b.c", ABSENT, {"a": 1}),
        ({"a": None}, "a.b", 1, {"a": {"b": 1}}),
        ({"a": [1, 2]}, "/a/1", 3, {"a": [1, 3]}),
        ({"a": [1, 2]}, "/a/0", ABSENT, {"a": [2]}),
        (ABSENT, "a", 1, {"a": 1}),
        ({"a": 1}, "a", None, {"a": None}),
    ],
)
def test_a_value_is_placed_in_a_copy(document: Any, way: str, value: Any, found: Any) -> None:
    before = repr(document)
    assert placed(document, parts_of(way), value) == found
    assert repr(document) == before


@pytest.mark.parametrize(("document", "way"), [({"a": 1}, "a.b"), ({"a": [1]}, "a.1"), ([], "x")])
def test_nothing_is_placed_where_something_else_is(document: Any, way: str) -> None:
    with pytest.raises(ValueError, match="cannot be set in"):
        placed(document, parts_of(way), 2)
