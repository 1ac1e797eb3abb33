"""Looks templates over with cfn-lint, offline. Takes seconds to import: for the task ``plan`` only.

What cfn-lint cannot know never blocks: templates that macros rewrite, types of private registries,
regions newer than it is, and its own crashes. It reads no configuration but ours: a ``.cfnlintrc``
could switch checks off, or name code to load as rules. What a template's own Metadata switches off
stays off, and is said.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from textwrap import shorten
from typing import Any

from cfnlint.config import ConfigMixIn  # type: ignore[import-untyped]
from cfnlint.decode import decode_str  # type: ignore[import-untyped]
from cfnlint.helpers import REGION_PRIMARY, REGIONS  # type: ignore[import-untyped]
from cfnlint.rules import Match, Rules  # type: ignore[import-untyped]
from cfnlint.runner import Runner, run_template_by_data  # type: ignore[import-untyped]

from phased_rollout.config.problems import Problems
from phased_rollout.model.change import Change

log = logging.getLogger(__name__)
logging.getLogger("cfnlint").setLevel(logging.WARNING)  # it tells of each run as information

SUFFIXES = (".yaml", ".yml", ".json", ".template")
_EXPANDED = {"AWS::Serverless-2016-10-31", "AWS::LanguageExtensions"}
"""The transforms that cfn-lint applies itself; any other may make anything of a template."""
_OF_ITSELF = {"E0001", "E0002", "E0003"}
"""A transform, a rule or a setting of cfn-lint failed, which says nothing about the template."""
_UNKNOWABLE = re.compile(r"Resource type '(?!AWS::|Alexa::)|Exception \"")
_LENGTH = 300


def check(change: Change, *, regions: Collection[str], ignore: Sequence[str]) -> list[str]:
    """Give what is wrong with the change's templates, with file and line; log what is doubtful.

    :param regions: where the targets are
    :param ignore: beginnings of the ids of rules that are not heeded, such as ``E3002``
    """
    known = sorted(set(regions) & set(REGIONS)) or [REGION_PRIMARY]
    strangers = [i for i in ignore if not any(rule.startswith(i) for rule in _rules())]
    problems = [
        f"substrate.lint.ignore: cfn-lint {version('cfn-lint')} has no rule {stranger}: remove it"
        for stranger in strangers
    ]
    for name, text in sorted(change.files.items()):
        if Path(name).suffix in SUFFIXES:
            wrong, doubtful = Problems(f"{change.name}/{name}"), Problems(f"{change.name}/{name}")
            _look(text, regions=known, ignore=ignore, wrong=wrong, doubtful=doubtful)
            problems.extend(wrong.texts())
            if doubtful:
                log.warning("cfn-lint is in doubt:\n%s", "\n".join(doubtful.texts()))
    return problems


@cache
def _rules() -> Rules:
    return Runner(_settings([REGION_PRIMARY])).rules


def _settings(regions: list[str]) -> ConfigMixIn:
    return ConfigMixIn(["--config-file", os.devnull], regions=regions)


def _look(
    text: str,
    *,
    regions: list[str],
    ignore: Sequence[str],
    wrong: Problems,
    doubtful: Problems,
) -> None:
    settings = _settings(regions)
    template, unreadable = decode_str(text)
    macros = sorted(set(_transforms(template)) - _EXPANDED)
    if macros:
        what = f"rewritten by {', '.join(macros)}, so what is found here need not be wrong"
        doubtful.add(what)
    for match in unreadable or _matches(template, settings, doubtful):
        if match.rule.id.startswith(tuple(ignore)):
            continue
        blocks = match.rule.id.startswith("E") and not _is_doubtful(match, macros)
        said = f"{match.rule.id}: {shorten(match.message, _LENGTH)}"
        mend = ": correct it, or add the rule to substrate.lint.ignore" if blocks else ""
        path = tuple(getattr(match, "path", None) or ())
        (wrong if blocks else doubtful).add(said + mend, line=match.linenumber, path=path)
    if off := settings.ignore_checks:
        doubtful.add(f"the template switches these checks off itself: {', '.join(map(str, off))}")


def _matches(template: Any, settings: ConfigMixIn, doubtful: Problems) -> list[Match]:
    try:
        return list(run_template_by_data(template, settings, _rules()))
    except Exception as error:  # whatever a template leads cfn-lint to
        log.warning("cfn-lint failed", exc_info=True)
        doubtful.add(f"not looked over: cfn-lint failed ({type(error).__name__})")
        return []


def _is_doubtful(match: Match, macros: Collection[str]) -> bool:
    rewritten = bool(macros) and match.rule.id != "E0000"
    return rewritten or match.rule.id in _OF_ITSELF or bool(_UNKNOWABLE.match(match.message))


def _transforms(template: Any) -> Iterator[str]:
    """Name what rewrites the template: its ``Transform``, and each ``Fn::Transform`` in it."""
    if isinstance(template, Mapping):
        declared = template.get("Transform") or []
        yield from map(_name, declared if isinstance(declared, list) else [declared])
    inside = [template]
    while inside:
        value = inside.pop()
        if isinstance(value, Mapping):
            if "Fn::Transform" in value:
                yield _name(value["Fn::Transform"])
            inside.extend(value.values())
        elif isinstance(value, list):
            inside.extend(value)


def _name(transform: Any) -> str:
    return str(transform.get("Name") if isinstance(transform, Mapping) else transform)
