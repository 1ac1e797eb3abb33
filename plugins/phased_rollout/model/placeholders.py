"""Texts of channels.yaml in which ``{key}`` stands for a part of a target's own address."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import Target

TARGETS = "targets"
"""In a PromQL regular expression, ``{targets}`` stands for all of them."""

_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
_STRING = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<regex>[=!]~)?\s*
        (?P<whole>(?P<quote>["'])(?:\\.|(?!(?P=quote))[^\\])*(?P=quote) | `[^`]*`)""",
    re.DOTALL | re.VERBOSE,
)
_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


def keys_in(text: str) -> set[str]:
    """Name the keys that a text refers to."""
    return set(_PLACE.findall(text))


def known_of(target: Target) -> dict[str, str]:
    """Give what may be referred to: the target's name and its address."""
    return {**target.address, "name": target.name}


def filled(text: str, target: Target, *, quote: Callable[[str], str] = str) -> str:
    """Put a target's own values into a text; raises ConfigError when it lacks one."""
    known = known_of(target)
    if missing := sorted(keys_in(text) - known.keys()):
        raise ConfigError([f"{target.name} has no {', '.join(missing)} in its address, for {text}"])
    return _PLACE.sub(lambda match: quote(known[match[1]]), text)


def promql_problem(query: str) -> str:
    """Say why a query's placeholders could not be filled safely; nothing when they can."""
    if keys_in(_STRING.sub('""', query)):
        return "has a placeholder outside of quotes: write it as a label's value, in double quotes"
    for match in _STRING.finditer(query):
        if match["comment"]:
            continue
        if match["whole"].startswith("`") and keys_in(match["whole"]):
            return "has a placeholder in backticks, where nothing can be escaped: use double quotes"
        if TARGETS in keys_in(match["whole"]) and not match["regex"]:
            return 'has {targets} outside of a regular expression: write label=~"{targets}"'
    return ""


def promql(query: str, values: Mapping[str, str | list[str]]) -> str:
    """Put values into a query as label values: escaped for the quotes, and in ``=~`` as literals.

    :param values: key to value; a list becomes an alternative of all, in regular expressions only
    """

    def string(match: re.Match[str]) -> str:
        if match["comment"]:
            return ""

        def value(place: re.Match[str]) -> str:
            given = values[place[1]]
            listed = given if isinstance(given, list) else [given]
            if match["regex"]:
                listed = [_SPECIAL.sub(r"\\\g<0>", one) for one in listed]
            return _escaped("|".join(listed), match["quote"])

        return _PLACE.sub(value, match[0])

    return _STRING.sub(string, query)


def _escaped(text: str, quote: str) -> str:
    return text.replace("\\", "\\\\").replace(quote, f"\\{quote}").replace("\n", "\\n")
