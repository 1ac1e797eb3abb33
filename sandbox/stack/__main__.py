"""Commands of the local stack: `python -m sandbox.stack up | down | rollout`."""

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

import requests
from rich.console import Console

from sandbox.stack.api import ApiError
from sandbox.stack.demo import print_access, renew, roll_out, seed_sandbox
from sandbox.stack.environment import DEFAULT_STATE
from sandbox.stack.launcher import StackError
from sandbox.stack.processes import ProcessesLeftError
from sandbox.stack.registry import stop_recorded
from sandbox.stack.stack import Stack

_UP = DEFAULT_STATE / "up"
_ROLLOUT = DEFAULT_STATE / "rollout"


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    given = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    console = Console()
    try:
        return _run(given, console)
    except (StackError, ApiError, ProcessesLeftError, requests.RequestException) as error:
        Console(stderr=True).print(
            str(error), style="red", markup=False, highlight=False, soft_wrap=True
        )
        return 1
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted; everything was stopped")
        return 130


def _run(given: argparse.Namespace, console: Console) -> int:
    if given.command == "rollout":
        state = given.state or _ROLLOUT
        return roll_out(
            given.rollout, change=given.change, state=state, console=console, dags=given.dags
        )
    if given.command == "up":
        return _up(given.state or _UP, dags=given.dags, console=console)
    return _down([given.state] if given.state else [_UP, _ROLLOUT], console=console)


def _up(state: Path, *, dags: Path | None, console: Console) -> int:
    renew(state)
    with console.status("starting Airflow and the sandbox …"):
        stack = Stack(state, dags=dags, detach=True).start()
    try:
        seed_sandbox(stack)
    except BaseException:
        stack.stop()
        raise
    print_access(stack, console=console)
    return 0


def _down(states: list[Path], *, console: Console) -> int:
    ended = [name for state in states for name in stop_recorded(state)]
    console.print(f"stopped: {', '.join(ended)}" if ended else "nothing was running")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("rollout", "roll one change out on a stack of its own, and stop it"),
        ("up", "start a stack and leave it running"),
        ("down", "stop it"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--state", type=Path, help="folder for everything it writes")
        if name != "down":
            command.add_argument("--dags", type=Path, help="folder of other Dags")
        if name == "rollout":
            command.add_argument("rollout", help="name of the rollout definition")
            command.add_argument("--change", help="folder of the change to roll out")
    return parser


def _leave(number: int, frame: FrameType | None) -> None:
    del frame
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
