"""Plotly's script, as the Python package of that name installs it: nothing comes from outside."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_LASTS = 7 * 24 * 3600

CACHED = {"Cache-Control": f"private, max-age={_LASTS}, immutable"}
"""A page asks for the script by its version."""


@lru_cache(maxsize=1)
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


def name() -> str:
    """Name the script as a page asks for it."""
    return f"plotly.js?v={version('plotly')}"
