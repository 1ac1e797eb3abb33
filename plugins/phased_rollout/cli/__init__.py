"""The command line: looks at the configuration, before Airflow does, and at the records."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from phased_rollout import config
from phased_rollout.cli import certified, evidence, judging
from phased_rollout.cli.chosen import change_named, change_of, definition_named
from phased_rollout.cli.held import held_by, in_regions, targets_of
from phased_rollout.cli.planned import plan_as_json
from phased_rollout.cli.tables import write, write_held, write_json, write_plan
from phased_rollout.cli.validated import judgeable, lint, notifiers
from phased_rollout.config.problems import did_you_mean
from phased_rollout.errors import ChangeError, RolloutError
from phased_rollout.model.definition import Definition
from phased_rollout.model.plan import refuse_expired_holds

OK, PROBLEMS, USAGE = 0, 1, 3
"""Exit status: all is well; the file, the change or the answer is not; the command line is not."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Exit with 3, because 1 and 2 are what shells and programs answer for much else."""
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and give its exit status."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except RolloutError as error:
        problems = str(error).splitlines()
        if arguments.json:
            write_json({"problems": problems})
        else:
            sys.stderr.write("".join(f"{problem}\n" for problem in problems))
        return PROBLEMS
    return status


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="phased-rollout", description="Looks at phased rollouts; starts none.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _Parser(add_help=False)
    common.add_argument("--json", action="store_true", help="write JSON, for programs")
    where = f"file to read (default: ${config.VARIABLE}, else include/channels.yaml)"

    validate = commands.add_parser(
        "validate", parents=[common], help="check channels.yaml and the changes that it names"
    )
    validate.add_argument("config", metavar="FILE", nargs="?", type=Path, help=where)
    validate.add_argument(
        "--lint",
        action="store_true",
        help="look the templates over as the task plan does, with cfn-lint; takes seconds",
    )
    validate.set_defaults(run=_validate)

    plan = commands.add_parser("plan", parents=[common], help="show what a run would do, in order")
    plan.add_argument("rollout", metavar="ROLLOUT")
    plan.add_argument("--change", metavar="PLACE", help="another change than the configured one")
    plan.add_argument("--policy", metavar="NAME", help="another policy that the file allows")
    plan.add_argument("--config", metavar="FILE", type=Path, help=where)
    plan.set_defaults(run=_plan, refuse=plan.error)

    beside = commands.add_parser(
        "boundaries", parents=[common], help="say whether a change works beside what runs now"
    )
    beside.add_argument("rollout", metavar="ROLLOUT")
    beside.add_argument("--change", metavar="PLACE", help="another change than the configured one")
    beside.add_argument("--skip", metavar="CHANNEL", action="append", help="as if it were bypassed")
    beside.add_argument("--config", metavar="FILE", type=Path, help=where)
    beside.set_defaults(run=_boundaries, refuse=beside.error)

    show = commands.add_parser("show", parents=[common], help="say which channel holds a target")
    show.add_argument("target", metavar="TARGET", help="name of a target, account id, or region")
    show.add_argument("--config", metavar="FILE", type=Path, help=where)
    show.set_defaults(run=_show)

    debt = commands.add_parser(
        "debt", parents=[common], help="list the bypasses that are not made good yet"
    )
    debt.add_argument("rollout", metavar="ROLLOUT", nargs="?", help="of one rollout only")
    debt.add_argument("--config", metavar="FILE", type=Path, help=where)
    debt.set_defaults(run=_debt, refuse=debt.error)

    history = commands.add_parser(
        "history", parents=[common], help="list past rollouts: when, what, who, how they ended"
    )
    history.add_argument("rollout", metavar="NAME", nargs="?", help="of one rollout only")
    history.add_argument(
        "--limit", metavar="N", type=_positive, default=20, help="newest N of each (default: 20)"
    )
    history.set_defaults(run=_history)

    evidence.add_command(commands, common)
    report = commands.add_parser(
        "report", parents=[common], help="say how fast and how well rollouts go"
    )
    report.add_argument("rollout", metavar="NAME", nargs="?", help="of one rollout only")
    report.add_argument(
        "--since", metavar="AGE", type=_age, default="30d", help="such as 36h or 90d (default: 30d)"
    )
    report.set_defaults(run=_report)
    certified.add_commands(commands, common)
    judging.add_commands(commands, _age)
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number: write one from 1 on")
    return int(text)


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write one such as 36h, 30d or 8w")
    unit = {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
    return timedelta(**{unit: int(found[1])})


def _validate(arguments: argparse.Namespace) -> int:
    found = config.load(arguments.config)
    problems: list[str] = []
    for definition in found.definitions.values():
        try:
            if definition.change is not None:
                change = change_of(found, definition, definition.change)
                problems.extend(lint(definition, change) if arguments.lint else [])
        except ChangeError as error:
            problems.extend(f"{definition.name}: {line}" for line in str(error).splitlines())
    problems.extend(notifiers(found))
    if problems:
        raise ChangeError("\n".join(dict.fromkeys(problems)))
    rollouts = {
        name: sum(len(channel.targets) for channel in definition.channels)
        for name, definition in found.definitions.items()
    }
    if arguments.json:
        judged = judgeable(found)
        write_json({"problems": [], "file": found.source, "targets": rollouts, "judged": judged})
    else:
        counts = ", ".join(
            f"{name} ({count} targets{in_regions(found.definitions[name])}"
            f"{_later(found.definitions[name])})"
            for name, count in rollouts.items()
        )
        sys.stdout.write(f"{found.source}: all is well: {counts}\n")
        for name, metrics in judgeable(found).items():
            write(*(f"{name}: {metric['channel']} {metric['text']}" for metric in metrics))
    return OK


def _later(definition: Definition) -> str:
    selecting = [channel.name for channel in definition.channels if channel.select]
    return f", and those found for {', '.join(selecting)} when a plan is made" if selecting else ""


def _plan(arguments: argparse.Namespace) -> int:
    found = config.load(arguments.config)
    refuse: Callable[[str], NoReturn] = arguments.refuse
    definition = definition_named(found, arguments)
    if definition.policies or arguments.policy:
        policy = arguments.policy or definition.policy
        if policy not in definition.policies:
            allowed = ", ".join(definition.policies) or "none"
            refuse(f"{definition.name} allows no policy {policy!r}: it allows {allowed}")
        definition = definition.under(policy)
    refuse_expired_holds(definition, today=datetime.now(UTC).date())
    plan = plan_as_json(definition, change_named(found, definition, arguments))
    if arguments.json:
        write_json(plan)
    else:
        write_plan(plan)
    return OK


def _boundaries(arguments: argparse.Namespace) -> int:
    # Reading records takes Airflow, which is slow to import.
    from phased_rollout.cli import beside  # noqa: PLC0415

    return PROBLEMS if beside.run(arguments) else OK


def _debt(arguments: argparse.Namespace) -> int:
    # Reading records takes Airflow, which is slow to import.
    from phased_rollout.cli.owing import debts_of, write_debts  # noqa: PLC0415

    found = config.load(arguments.config)
    if arguments.rollout:
        definition_named(found, arguments)
    debts = debts_of(found, arguments.rollout, now=datetime.now(UTC))
    if arguments.json:
        write_json({"debts": debts})
    elif debts:
        write_debts(debts)
    else:
        sys.stdout.write("nothing is owed\n")
    return PROBLEMS if debts else OK


def _history(arguments: argparse.Namespace) -> int:
    # Reading records takes Airflow, which is slow to import.
    from phased_rollout.cli import past  # noqa: PLC0415

    found = past.past_of(arguments.rollout, limit=arguments.limit)
    if arguments.json:
        write_json(past.history_as_json(found))
    else:
        past.write_history(found)
    return PROBLEMS if found.unreadable else OK


def _report(arguments: argparse.Namespace) -> int:
    # Reading records takes Airflow, which is slow to import.
    from phased_rollout.cli import past  # noqa: PLC0415

    since = datetime.now(UTC) - arguments.since
    found = past.past_of(arguments.rollout, since=since)
    if arguments.json:
        write_json(past.report_as_json(found, since=since))
    else:
        past.write_report(found, since=since)
    return PROBLEMS if found.unreadable else OK


def _show(arguments: argparse.Namespace) -> int:
    found = config.load(arguments.config)
    held = held_by(found, arguments.target)
    if arguments.json:
        write_json({"target": arguments.target, "held": held})
    elif held:
        write_held(held)
    else:
        names = {target.name for *_, target in targets_of(found)}
        close = did_you_mean(arguments.target, names) or ": no channel holds it"
        sys.stderr.write(f"no target {arguments.target!r} in {found.source}{close}\n")
        for name, definition in found.definitions.items():
            if later := _later(definition):
                what = f"not looked at: {later.removeprefix(', and ')}"
                sys.stderr.write(f"{name}: {what}: the log of its task plan names them\n")
    return OK if held else PROBLEMS
