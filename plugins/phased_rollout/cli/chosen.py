"""The rollout and the change that a command line names."""

from __future__ import annotations

import argparse
from pathlib import Path

from phased_rollout import changes, sources
from phased_rollout.config.problems import did_you_mean
from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Config, Definition


def definition_named(found: Config, arguments: argparse.Namespace) -> Definition:
    """Give the rollout that is named; exits when there is none of that name."""
    if arguments.rollout not in found.definitions:
        known = list(found.definitions)
        close = did_you_mean(arguments.rollout, known) or f": there is {', '.join(known)}"
        arguments.refuse(f"no rollout {arguments.rollout!r}{close}")
    return found.definitions[arguments.rollout]


def change_named(found: Config, definition: Definition, arguments: argparse.Namespace) -> Change:
    """Read the change that is named, seen from here, or else the configured one."""
    source = arguments.change or definition.change
    if arguments.change and "://" not in arguments.change:
        source = str(Path(arguments.change).absolute())
    if source is None:
        arguments.refuse(f"{definition.name} has no change of its own: name one with --change")
    return change_of(found, definition, str(source))


def change_of(found: Config, definition: Definition, source: str) -> Change:
    """Read a change and check it against the definition; raises ChangeError with all problems."""
    with sources.opened(source, base=Path(found.source).parent) as folder:
        change = changes.load(
            str(folder), base=folder, given={}, templates=changes.templates_of(definition)
        )
    if problems := changes.check_against(change, definition):
        raise ChangeError("\n".join(problems))
    return change
