"""What every Airflow process loads of the desk, and what only the API server does."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from airflow import plugins_manager
from fastapi import FastAPI

from phased_rollout.ui.app import STATIC
from phased_rollout.ui.chart_library import Charts
from phased_rollout.ui.mount import PREFIX
from phased_rollout.ui.page import page

ROOT = Path(__file__).parents[3]
NASTY = '"><script>alert(1)</script>'


def test_airflow_loads_the_plugin_and_its_two_views(airflow: FastAPI) -> None:
    assert plugins_manager.get_import_errors() == {}
    views = {view["name"]: view for view in plugins_manager._get_ui_plugins()[0]}
    assert (views["Rollout"]["destination"], views["Rollouts"]["destination"]) == ("dag_run", "nav")
    assert PREFIX in [getattr(route, "path", None) for route in airflow.routes]


def test_a_process_that_serves_no_page_loads_no_web_application(tmp_path: Path) -> None:
    code = (
        "import sys; import airflow.sdk; before = set(sys.modules); import phased_rollout_plugin; "
        "print(sorted(m for m in set(sys.modules) - before "
        "if m.split('.')[0] in ('fastapi', 'starlette') or m.startswith('phased_rollout.records')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"AIRFLOW_HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "plugins")},
    )
    assert done.stdout.splitlines()[-1] == "[]"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)


def test_a_name_in_a_page_stays_text() -> None:
    usual, nasty = Tags(), Tags()
    usual.feed(page("run", title="a", root=PREFIX, view="/b", charts=Charts("c", ())))
    nasty.feed(page("run", title=NASTY, root=PREFIX, view=NASTY, charts=Charts(NASTY, (NASTY,))))
    assert nasty.found == usual.found


@pytest.mark.parametrize("path", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_no_script_parses_html_or_reaches_outside(path: Path) -> None:
    code = path.read_text()
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "http"):
        assert word not in code
