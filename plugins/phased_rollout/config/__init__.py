"""Reads channels.yaml: the interface of this product. Imports no Airflow, so that it is quick."""

from __future__ import annotations

import os
from pathlib import Path

from phased_rollout.config.build import build
from phased_rollout.config.checks import check, check_built
from phased_rollout.config.document import parse, read_text
from phased_rollout.config.explain import validated
from phased_rollout.config.problems import Path as Way
from phased_rollout.config.problems import Problems
from phased_rollout.config.schema import File
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import Config

__all__ = ["VARIABLE", "Config", "default_path", "load", "problem_at"]

VARIABLE = "PHASED_ROLLOUT_CONFIG"
"""Environment variable that names another file than the project's include/channels.yaml."""


def default_path() -> Path:
    """Give the file that ``load`` reads when it is not told which."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else Path(__file__).parents[3] / "include" / "channels.yaml"


def load(path: Path | None = None) -> Config:
    """Read and check the whole file; what it means does not depend on anything else.

    The changes that it names are not looked at: see ``phased_rollout.changes``.

    :raises ConfigError: with every problem, each as ``file:line: path: what, how to mend it``
    """
    path = default_path() if path is None else path
    problems = Problems(str(path))
    text = read_text(path, problems)
    document = None if text is None else parse(text, problems)
    if document is None:
        raise ConfigError(problems.texts())
    file = validated(File, document, problems)
    check(document, problems)
    if problems or file is None:
        raise ConfigError(problems.texts())
    config = build(file, source=str(path.absolute()))
    check_built(config, document, problems)
    if problems:
        raise ConfigError(problems.texts())
    return config


def problem_at(what: str, *ways: Way, path: Path) -> str:
    """Word a problem that showed only after the file was read, as ``load`` words its own.

    :param ways: where in the file it may stand; the first that is there counts
    """
    problems = Problems(str(path))
    text = read_text(path, problems)
    document = None if text is None else parse(text, problems)
    if document is None:
        return what
    way = next((w for w in ways if w[-1] in document.find(w[:-1])[1].children), ways[-1])
    found = Problems(str(path))
    found.add(what, line=document.find(way)[0], path=way)
    return found.texts()[0]
