"""The frame of each page. All it shows is fetched by its script, which builds text, never HTML."""

from __future__ import annotations

from html import escape
from string import Template

from phased_rollout.ui.chart_library import Charts
from phased_rollout.ui.mount import PREFIX

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-cache",
}

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link id="plotly.js-style-global" rel="stylesheet" href="$root/static/desk.css">
<script type="module" src="$root/static/$script.js"></script>
</head>
<body data-airflow="$airflow" data-view="$view" data-charts="$charts" data-styles="$styles">
<main id="desk" aria-busy="true"><p class="quiet">Loading …</p></main>
<noscript><p>This page needs JavaScript.</p></noscript>
</body>
</html>
""")


def page(script: str, *, title: str, root: str, view: str, charts: Charts) -> str:
    """Give a page.

    :param script: name of its module among the static files
    :param root: path of the application, as the browser sees it
    :param view: path of what it shows, below ``root``
    :param charts: the script that draws. It adds its rules to the style sheet that has the id it
        looks for, as this policy forbids styles of its own making
    """
    values = {
        "title": title,
        "script": script,
        "root": root,
        "airflow": root.removesuffix(PREFIX),
        "view": root + view,
        "charts": f"{root}/{charts.name}",
        "styles": " ".join(charts.styles),
    }
    return _PAGE.substitute({name: escape(value, quote=True) for name, value in values.items()})
