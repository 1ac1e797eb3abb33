"""What people read in the UI."""

from __future__ import annotations

from dataclasses import replace

import pytest

from phased_rollout.model.definition import OnFailure
from phased_rollout.model.selection import Select
from phased_rollout.operators.about import about_channel, about_rollout, fenced, summary
from tests.builders import a_channel, a_definition


@pytest.mark.parametrize(
    "text", ["**bold** <b>b</b> [l](http://x) {{ 1 }}", "- item", "# head", ""]
)
def test_text_of_people_stands_in_a_block_as_it_is(text: str) -> None:
    assert fenced([text]) == f"```text\n{text}\n```"


def test_no_text_can_end_the_block_that_it_stands_in() -> None:
    assert fenced(["a ```` b", "```"]) == "`````text\na ```` b\n```\n`````"


def test_characters_that_hide_or_reorder_text_are_made_visible() -> None:
    assert fenced(["a\rb\u202ec\x1b[31m"]) == "```text\na\ufffdb\ufffdc\ufffd[31m\n```"


def test_long_lines_go_on_indented() -> None:
    assert fenced(["word " * 20]).split("\n")[2].startswith("    word")


def test_the_documentation_names_channels_in_order_and_what_a_failure_does() -> None:
    definition = a_definition(a_channel("first"), a_channel("second"), on_failure=OnFailure.HOLD)
    text = about_rollout(definition)
    assert text.index("1. first: ") < text.index("2. second: ")
    assert "unless a person who is asked first says no" in text


def test_the_documentation_of_a_channel_names_its_targets() -> None:
    channel = a_channel("only")
    assert all(target.name in about_channel(channel) for target in channel.targets)


def test_a_channel_that_selects_its_targets_says_when_they_are_found() -> None:
    select = Select(ou=("Prod",), labels={"tier": "a"}, at_least=3)
    only = replace(a_channel("prod", targets=0), select=select)
    assert summary(only).startswith("targets found when the plan is made, soak")
    assert "found when the plan is made: ou Prod, tier=a, at least 3" in about_channel(only)
    both = replace(a_channel("prod"), select=select)
    assert summary(both).startswith("2 targets, and those found when the plan is made, soak")
    assert "targets: prod-1, prod-2" in about_channel(both)
