"""A target's own values in texts: only its own, and in PromQL only as values."""

from __future__ import annotations

import pytest

from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import Target
from phased_rollout.model.placeholders import filled, promql, promql_problem

TARGET = Target("one", {"account": "1", "zone": 'a"b\\c\nd'})


def test_a_text_is_filled_with_the_targets_own_values() -> None:
    assert filled("{name}/{account}/{ name }", TARGET) == "one/1/{ name }"
    with pytest.raises(ConfigError, match="one has no region in its address"):
        filled("{region}", TARGET)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('x{a="{zone}"}', 'x{a="a\\"b\\\\c\\nd"}'),
        ("x{a='{zone}'}", "x{a='a\"b\\\\c\\nd'}"),
        ('x{a=~"{host}.*"}', 'x{a=~"1\\\\.2.*"}'),
        ('x{a!~ "{host}"}', 'x{a!~ "1\\\\.2"}'),
        ('x{a=~"{targets}"}', 'x{a=~"a\\\\.b|c\\"\\\\|d"}'),
        ('x{a="\\"{host}"} # it\'s "{host}"\n+ y{a="{host}"}', 'x{a="\\"1.2"} \n+ y{a="1.2"}'),
        (
            "sum by (host) (x{host=\"{host}\", job='{job}'})",
            "sum by (host) (x{host=\"1.2\", job='j'})",
        ),
    ],
)
def test_values_are_escaped_for_their_quotes_and_literal_in_regular_expressions(
    query: str, expected: str
) -> None:
    values = {
        "zone": TARGET.address["zone"],
        "host": "1.2",
        "job": "j",
        "targets": ["a.b", 'c"|d'],
    }
    assert promql(query, values) == expected
    assert promql_problem(query) == ""


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("x > {limit}", "outside of quotes"),
        ('{name}{a="b"}', "outside of quotes"),
        ("x{a=`{name}`}", "backticks"),
        ('x{a="{targets}"}', "outside of a regular expression"),
    ],
)
def test_a_placeholder_that_could_change_the_query_is_refused(query: str, said: str) -> None:
    assert said in promql_problem(query)
