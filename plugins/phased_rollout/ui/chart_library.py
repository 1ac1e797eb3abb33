"""Plotly's script, as the Python package of that name installs it: nothing comes from outside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_LASTS = 7 * 24 * 3600
CACHED = {"Cache-Control": f"private, max-age={_LASTS}, immutable"}
"""A page asks for the script by its version."""
_STYLE = re.compile(r'getElementById\("([0-9a-f]{64})"\)')


@dataclass(frozen=True, slots=True)
class Charts:
    """What a page has to know of the script.

    :param name: under which it asks for it
    :param styles: ids of style elements that it adds, unless there are elements of these ids; they
        are for maps, which are not drawn here, and the pages' policy forbids them
    """

    name: str
    styles: tuple[str, ...]


def script() -> Path:
    """Give the script's file; the package is found, not imported, which would take a while.

    Raises FileNotFoundError when it is not installed as pyproject.toml demands.
    """
    found = find_spec("plotly")
    for folder in (found.submodule_search_locations or ()) if found else ():
        file = Path(folder) / "package_data" / "plotly.min.js"
        if file.is_file():
            return file
    raise FileNotFoundError("plotly is not installed with its script: install the package's pins")


@lru_cache(maxsize=1)
def charts() -> Charts:
    """Read what a page has to know; takes a moment, once."""
    styles = _STYLE.findall(script().read_text(encoding="utf-8"))
    return Charts(f"plotly.js?v={version('plotly')}", tuple(dict.fromkeys(styles)))
