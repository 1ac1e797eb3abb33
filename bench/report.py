"""What was measured, beside what was promised, as a section of docs/performance.md."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median

PAGE = Path(__file__).parents[1] / "docs/performance.md"
_CAUSES = "Missed, and why"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    :param value: what was measured
    :param bound: the most that it may be; None is for figures that only stand beside others
    :param unit: unit of both; ``×`` for ratios
    :param cause: why it is as it is, for when it is missed
    """

    what: str
    value: float
    bound: float | None = None
    unit: str = "s"
    note: str = ""
    cause: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the bound is kept; None without one."""
        return None if self.bound is None else self.value <= self.bound

    def line(self) -> str:
        """Give the line of the table."""
        verdict = {None: "", True: "met", False: "**missed**"}[self.met]
        bound = "" if self.bound is None else f"≤ {figure(self.bound, self.unit)}"
        cells = (self.what, figure(self.value, self.unit), bound, verdict, self.note)
        return "| " + " | ".join(cells) + " |"


def figure(value: float, unit: str) -> str:
    """Write a figure with about three digits."""
    digits = 0 if value == int(value) else max(0, 3 - len(str(int(value))))
    return f"{value:.{digits}f} {unit}".strip()


def spread(values: Sequence[float], *, unit: str = "s") -> str:
    """Say from how many runs a median is, and how far apart they were."""
    if len(values) == 1:
        return "1 run"
    least, most = figure(min(values), unit), figure(max(values), unit)
    return f"median of {len(values)} runs, {least} to {most}"


def middle(values: Sequence[float]) -> float:
    """Give the median."""
    return float(median(values))


def rendered(rows: Sequence[Row], *, made: str) -> list[str]:
    """Give the lines of a section: the table, the causes of what is missed, how it was made."""
    lines = ["| what | measured | bound | | how |", "|---|---|---|---|---|"]
    lines += [row.line() for row in rows]
    missed = [row for row in rows if row.met is False]
    if missed:
        lines += ["", f"{_CAUSES}:", ""]
        lines += [f"- {row.what}: {row.cause or 'not yet known.'}" for row in missed]
    return [*lines, "", made]


def machine() -> str:
    """Say what the figures were measured on."""
    return (
        f"{_cpu()}, {os.cpu_count()} cores, {_memory()} GiB of memory, {platform.system()} "
        f"{platform.machine()}; Python {platform.python_version()}, Airflow "
        f"{version('apache-airflow')}"
    )


def made_by(command: str, *, day: date, more: str = "") -> str:
    """Say when, where and with which command a section was made."""
    return f"{day.isoformat()}, {machine()}{more}. Made by `{command}`."


def write(section: str, lines: Sequence[str], *, page: Path = PAGE) -> None:
    """Put lines into a section of the page, between its marks.

    :raises ValueError: when the page has no such section
    """
    begin, end = (f"<!-- bench {section}: {word} -->" for word in ("begin", "end"))
    text = page.read_text(encoding="utf-8")
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page.name}: write {begin} and {end} where the table belongs")
    page.write_text("\n".join([before + begin, *lines, end + after]), encoding="utf-8")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
