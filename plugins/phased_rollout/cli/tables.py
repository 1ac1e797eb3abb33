"""What the command line shows to people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_SHOWN = 6


def write_held(held: list[Json]) -> None:
    """Show where a target is held, as ``show --json`` gives it."""
    rows = [
        [
            one["rollout"],
            f"{one['channel']} ({_position(one)} of {len(one['channels'])})",
            one["target"],
            " ".join(one["address"].values()),
        ]
        for one in held
    ]
    write_table(["rollout", "channel", "target", "address"], rows)
    write(*(f"on hold in {one['rollout']}: {one['hold']}" for one in held if one["hold"]))


def _position(one: Json) -> int:
    position: int = one["channels"].index(one["channel"]) + 1
    return position


def write_plan(plan: Json) -> None:
    """Show a plan as ``plan --json`` gives it."""
    change, schedule = plan["change"], plan["schedule"]
    runs = f"runs {schedule} ({plan['timezone']})" if schedule else "runs when triggered"
    rows = [
        [
            f"{number}. {channel['name']}",
            "\n".join([*_few([target["name"] for target in channel["targets"]]), *_later(channel)]),
            _waves(channel),
            duration(channel["soak_seconds"]),
            " + ".join(channel["gate"]),
            "\n".join(_few(list(_parameters(channel)))),
        ]
        for number, channel in enumerate(plan["channels"], start=1)
    ]
    write(
        f"{plan['rollout']}: {plan['description'] or 'no description'}",
        f"change {change['name']} ({change['digest'][:12]}): {change['about']}",
        *(f"provides {name} {', '.join(found)}" for name, found in change["provides"].items()),
        *(f"requires {name} {found}" for name, found in change["requires"].items()),
        f"{runs}, takes at least {duration(plan['shortest_seconds'])} (the sum of the soaks)",
        *([f"policy {plan['policy']}"] if plan["policy"] else []),
        f"on failure: {plan['on_failure']}, {plan['rollback']}",
    )
    write_table(["channel", "targets", "waves", "soak", "gate", "parameters"], rows)
    for channel in plan["channels"]:
        write(*(f"{channel['name']} is frozen in {window}" for window in channel["freeze"]))
        write(*(f"{channel['name']} {metric['text']}" for metric in channel["judged"]))
        write(*(f"on hold in {channel['name']}: {target}" for target in channel["on_hold"]))
    write(*plan["unlike"])
    if any(_later(channel) for channel in plan["channels"]):
        write("Selected targets are found when a run makes its plan: nothing was asked for this.")


def _waves(channel: Json) -> str:
    more = " and more" if _later(channel) else ""
    return f"{len(channel['waves'])}{more}, {channel['at_once']} at once"


def _later(channel: Json) -> list[str]:
    return [f"selected: {channel['select']}"] if "select" in channel else []


def _parameters(channel: Json) -> Iterator[str]:
    for name, value in channel["parameters"].items():
        yield f"{name}={value}"
    for target in channel["targets"]:
        for name, value in target["parameters"].items():
            yield f"{target['name']}: {name}={value}"


def write(*lines: str) -> None:
    """Show lines of text."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def write_json(value: Any) -> None:
    """Write JSON, for programs."""
    write(json.dumps(value, indent=2, ensure_ascii=False))


def write_table(columns: list[str], rows: list[list[str]]) -> None:
    """Show rows of text, as wide as the terminal."""
    # rich takes 0.1 s to import, and programs do not need it.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def _few(names: list[str]) -> list[str]:
    more = len(names) - _SHOWN
    return names if more <= 1 else [*names[:_SHOWN], f"and {more} more"]


def duration(seconds: int) -> str:
    """Write seconds as people do: 1h30m."""
    words = ""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, length)
        words += f"{count}{unit}" if count else ""
    return words or "0s"
