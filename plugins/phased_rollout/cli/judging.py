"""The commands that judge series, and say how long a soak has to be. They need no configuration."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from phased_rollout.errors import CaseError

if TYPE_CHECKING:
    from phased_rollout.judge.case import Case

PASS, FAIL, INCONCLUSIVE, BAD_INPUT = 0, 1, 2, 3
"""Exit status of ``judge``; ``soak-plan`` gives 0, 1 for impossible, and 3."""


def add_commands(commands: Any, age: Callable[[str], timedelta]) -> None:
    """Add ``judge`` and ``soak-plan``.

    :param age: reads an age such as 13d
    """
    judge = commands.add_parser(
        "judge", help="judge series: exit 0 pass, 1 fail, 2 inconclusive, 3 bad input"
    )
    judge.add_argument("file", metavar="FILE", help="JSON as docs/health.md has it; - reads stdin")
    judge.add_argument("--look", metavar="K", type=int, choices=range(1, 7), help="of six looks")
    judge.set_defaults(run=_judge, json=True)

    plan = commands.add_parser(
        "soak-plan", help="say how long a soak has to be: exit 0, 1 impossible, 3 bad input"
    )
    plan.add_argument("--effect", metavar="SD", type=_positive, required=True, help="harm to find")
    plan.add_argument("--changed", metavar="N", type=_count, help="targets of the channel")
    plan.add_argument("--controls", metavar="N", type=_count, help="targets not reached yet")
    plan.add_argument("--history", metavar="AGE", type=age, help="of the series (default: 13d)")
    plan.add_argument(
        "--interval", metavar="S", type=_positive, help="seconds between points (default: 60)"
    )
    plan.add_argument("--alpha", type=_positive, help="rate of false alarms (default: 0.01)")
    plan.add_argument("--metrics", metavar="N", type=_count, help="judged together (default: 1)")
    plan.add_argument("--series", metavar="FILE", help="measure on series, given as for judge")
    plan.add_argument("--json", action="store_true", help="write JSON, for programs")
    plan.set_defaults(run=_soak_plan, refuse=plan.error)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _judge(arguments: argparse.Namespace) -> int:
    from phased_rollout.judge.judging import judge  # noqa: PLC0415 - numpy is slow to import

    try:
        case = _read(arguments.file)
    except CaseError as error:
        return _refused(error)
    judgement = judge(case, look=arguments.look)
    _write(judgement.to_json())
    return {"pass": PASS, "fail": FAIL}.get(judgement.verdict, INCONCLUSIVE)


def _read(name: str) -> Case:
    from phased_rollout.judge.case import parse  # noqa: PLC0415 - numpy is slow to import

    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        value = json.loads(data)
    except OSError as error:
        raise CaseError([f"{name}: cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise CaseError([f"{name}: no JSON: {error}"]) from error
    return parse(value)


def _refused(error: CaseError) -> int:
    _write({"problems": error.problems})
    sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
    return BAD_INPUT


def _soak_plan(arguments: argparse.Namespace) -> int:
    from phased_rollout.judge import attainability  # noqa: PLC0415 - only these commands need it

    given = {
        key: value
        for key in ("changed", "controls", "history", "interval", "alpha", "metrics")
        if (value := getattr(arguments, key)) is not None
    }
    refuse: Callable[[str], NoReturn] = arguments.refuse
    if arguments.series:
        if given:
            refuse(f"--series holds what --{next(iter(given))} would say")
        from phased_rollout.judge.planning import soak_of  # noqa: PLC0415 - numpy is slow to import

        try:
            found = soak_of(_read(arguments.series), effect_sd=arguments.effect)
        except CaseError as error:
            return _refused(error)
    elif "changed" not in given or "controls" not in given:
        refuse("name --changed and --controls, or series with --series")
    else:
        found = attainability.soak_for(effect_sd=arguments.effect, **given)
    if arguments.json:
        _write(found.to_json())
    else:
        sys.stdout.write(f"{found}\n")
    return PASS if found.soak is not None else FAIL


def _write(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
