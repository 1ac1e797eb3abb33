"""The command that checks the certificates of a run. Reads the record store, and nothing else."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from phased_rollout.cli.tables import Json, write, write_json, write_table
from phased_rollout.errors import RecordError

if TYPE_CHECKING:
    from phased_rollout.model.verification import Verification
    from phased_rollout.records import RecordStore

OK, FOUND = 0, 1


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add ``verify``."""
    verify = commands.add_parser(
        "verify", parents=[common], help="check the certificates of a run: exit 0, 1 not as it was"
    )
    verify.add_argument("run_id", metavar="RUN", help="run id, as history lists it")
    verify.add_argument("--rollout", metavar="NAME", help="of this one, if several have such a run")
    verify.add_argument(
        "--head", metavar="DIGEST", type=_digest, help="a certificate as it was logged or told"
    )
    verify.set_defaults(run=_verify)


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no digest: write all of its 64 digits")
    return text


def _verify(arguments: argparse.Namespace) -> int:
    # Reading records takes Airflow, which is slow to import.
    from phased_rollout.certificates import kept  # noqa: PLC0415
    from phased_rollout.model.verification import verify  # noqa: PLC0415
    from phased_rollout.records import RecordStore  # noqa: PLC0415

    store = RecordStore.from_environment()
    rollout = _rollout_of(store, arguments.run_id, arguments.rollout)
    found = verify(kept(store.rollout(rollout, arguments.run_id)), head=arguments.head or "")
    if arguments.json:
        write_json(_as_json(found, rollout=rollout, run=arguments.run_id))
    else:
        _write(found, rollout=rollout, run=arguments.run_id)
    return FOUND if found.findings else OK


def _rollout_of(store: RecordStore, run: str, rollout: str | None) -> str:
    wanted = store.definitions() if rollout is None else [rollout]
    found = [name for name in wanted if run in store.rollout(name, "").begun()]
    if not found:
        of = f" of {rollout}" if rollout else ""
        raise RecordError(f"no run {run!r}{of} is recorded: phased-rollout history lists them")
    if len(found) > 1:
        raise RecordError(f"{', '.join(found)} have a run {run!r}: name one with --rollout")
    return found[0]


def _as_json(found: Verification, *, rollout: str, run: str) -> Json:
    return {"rollout": rollout, "run": run, **asdict(found)}


def _write(found: Verification, *, rollout: str, run: str) -> None:
    rows = [
        [
            f"{one.channel}\n{one.at[:19].replace('T', ' ')}",
            one.digest or "not certified",
            one.since or "stands",
        ]
        for one in found.graduations
    ]
    write(f"{rollout}, {run}: {len(rows)} graduation{'' if len(rows) == 1 else 's'}")
    if rows:
        write_table(["channel, at (UTC)", "certificate", "since"], rows)
    write(*(f"remark: {one.what}: {one.why}" for one in found.remarks))
    write(*(f"NOT AS IT WAS: {one.what}: {one.why}" for one in found.findings))
    count = len(found.findings)
    if count:
        write(f"{count} finding{'' if count == 1 else 's'}")
    elif any(one.digest for one in found.graduations):
        write(f"all as it was; {found.open} records are newer than the last certificate")
        write(f"head {found.head}: compare it with what was logged, see docs/operate.md")
    else:
        write("nothing is certified yet; what is on record contradicts nothing")
