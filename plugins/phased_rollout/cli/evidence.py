"""The command `evidence`: what the verdicts over a channel rest on, to be judged again."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from phased_rollout.errors import RecordError


def add_command(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    found = commands.add_parser(
        "evidence",
        parents=[common],
        help="show how a channel was judged, or write what `judge` recomputes a verdict from",
    )
    found.add_argument("rollout", metavar="NAME")
    found.add_argument("run_id", metavar="RUN", help="of Airflow; `history` names them")
    found.add_argument("channel", metavar="CHANNEL")
    found.add_argument(
        "--case",
        action="store_true",
        help="write the series of the last verdict, for `phased-rollout judge -`",
    )
    found.set_defaults(run=_evidence)


def _evidence(arguments: argparse.Namespace) -> int:
    # Reading records takes Airflow, which is slow to import.
    from phased_rollout.model.ledger import Kind  # noqa: PLC0415
    from phased_rollout.records import RecordStore  # noqa: PLC0415

    records = RecordStore.from_environment().rollout(arguments.rollout, arguments.run_id)
    if arguments.channel not in records.plan().names:
        known = ", ".join(records.plan().names)
        raise RecordError(f"no channel {arguments.channel!r} in this run: it has {known}")
    found = records.details(Kind.JUDGED, channel=arguments.channel)
    if arguments.case:
        digest = next((r["case"] for r in reversed(found) if r["case"]), None)
        if digest is None:
            raise RecordError(f"no verdict over the metrics of {arguments.channel} is recorded")
        _write(records.store.get(digest))
    elif arguments.json:
        judged = [r | {"judgement": records.store.get(r["judgement"])} for r in found]
        _write({"judged": judged})
    else:
        for record in found:
            sys.stdout.write(_shown(record))
        if not found:
            sys.stdout.write(f"the metrics of {arguments.channel} were not judged\n")
    return 0


def _shown(record: Any) -> str:
    look = "the whole soak" if record["final"] else f"look {record['look']}"
    by = f", by {record['by']}" if record["by"] != record["channel"] else ""
    lines = [f"{record['at'][:19].replace('T', ' ')} UTC, {look}{by}: {record['verdict']}"]
    lines += [f"  {line}" for line in record["lines"]]
    lines += [f"  on no side: {name}: {why}" for name, why in record["left_out"].items()]
    return "".join(f"{line}\n" for line in lines)


def _write(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
