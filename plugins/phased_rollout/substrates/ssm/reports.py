"""What the hosts of a slice say they run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phased_rollout.errors import UnreachableError
from phased_rollout.model.digest import digest_of
from phased_rollout.model.target_state import Artifact, TargetState
from phased_rollout.model.targets import few
from phased_rollout.substrates.ssm.fleet import HOSTS, ONLINE, Fleet, Outcome, chunks, until

PATIENCE = 60.0
"""Seconds in which a host has to say what it runs."""

NOTHING = ""
_COMMANDS_AT_ONCE = 10
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_LONGEST = 200
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Heard:
    """The answers of hosts.

    :param reports: what each host that answered says it runs; empty for nothing
    :param silent: why each other one of those that were asked did not answer
    :param new: hosts that have the tags and were not there when the plan was made
    """

    reports: Mapping[str, str]
    silent: Mapping[str, str]
    new: tuple[str, ...] = ()

    @property
    def counts(self) -> Counter[str]:
        """How many hosts report each."""
        return Counter(self.reports.values())

    def notes(self) -> list[str]:
        """Name the hosts that are not as the plan has them."""
        found = [f"does not answer: {named(self.silent)}"] if self.silent else []
        if self.new:
            found.append(f"new since the plan, and left out: {few(self.new)}")
        return found


def named(hosts: Mapping[str, object], shown: int = _SHOWN) -> str:
    """Name hosts, each with what is to be said of it."""
    return few([f"{host} ({what})" for host, what in hosts.items()], shown)


def short(report: str) -> str:
    """Write a report so that a person can read it."""
    if report == NOTHING:
        return "nothing"
    return report[:12] if is_digest(report) else repr(report)


def is_digest(report: str) -> bool:
    """Say whether a report may be one of ours."""
    return _DIGEST.fullmatch(report) is not None


def hear(fleet: Fleet, hosts: Sequence[str] | None = None) -> Heard:
    """Ask hosts what they run, all of the plan's or some; sends them the command for it.

    Hosts that are gone, or whose agent does not answer, are not asked.
    """
    wanted = fleet.hosts if hosts is None else hosts
    nodes = fleet.nodes()
    silent = {host: _absence(nodes.get(host)) for host in wanted if nodes.get(host) != ONLINE}
    reports: dict[str, str] = {}
    asked = [host for host in wanted if host not in silent]
    for batch in chunks(chunks(asked, HOSTS), _COMMANDS_AT_ONCE):
        for host, outcome in _answers(fleet, batch).items():
            if outcome.is_success:
                reports[host] = _last_line(outcome.output)
            else:
                silent[host] = f"its report: {outcome}"
    silent |= {host: "its report is missing" for host in asked if host not in {*reports, *silent}}
    in_order = {host: reports[host] for host in wanted if host in reports}
    return Heard(in_order, silent, tuple(sorted(nodes.keys() - set(fleet.hosts))))


def _absence(ping: str | None) -> str:
    return "gone, or without its tags" if ping is None else ping


def _answers(fleet: Fleet, batch: Iterable[Sequence[str]]) -> dict[str, Outcome]:
    comment = f"phased-rollout reads {fleet.record}"
    commands = [
        fleet.send(fleet.reports, hosts, comment=comment, errors="100%", at_once="100%")
        for hosts in batch
    ]
    pending = set(commands)

    def look() -> set[str]:
        pending.difference_update([each for each in pending if not fleet.is_open(each)])
        return pending

    until(look, lambda left: not left, seconds=PATIENCE)
    return {host: told for each in commands for host, told in fleet.outcomes(each).items()}


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1][:_LONGEST] if lines else NOTHING


def state_of(fleet: Fleet, heard: Heard, *, busy: bool = False) -> TargetState:
    """Say what the slice runs: what all hosts within the budget report, and most of them.

    Hosts that report different things are an artifact of their own, named by how many report each.
    Raises UnreachableError when more hosts than the budget has do not answer.

    :param busy: commands of ours are under way
    """
    if len(heard.silent) > fleet.budget:
        raise UnreachableError(
            f"{fleet}: {len(heard.silent)} hosts do not say what they run, and at most "
            f"{fleet.budget} may fail: {named(heard.silent)}"
        )
    counts = heard.counts
    said = ", ".join(f"{n} report {short(report)}" for report, n in counts.most_common(_SHOWN))
    detail = "; ".join([said, *heard.notes()])
    if set(counts) == {NOTHING}:
        return TargetState(None, settled=not busy, detail=detail)
    report, count = counts.most_common(1)[0]
    enough = len(fleet.hosts) - count <= fleet.budget and 2 * count > len(fleet.hosts)
    if not enough or report == NOTHING:
        digest = digest_of({"mixed": sorted(counts.items())})
    else:
        digest = report if is_digest(report) else digest_of({"reported": report})
    body = {"hosts": _by_report(heard), "commands": {r: _known(fleet, r) for r in sorted(counts)}}
    return TargetState(
        Artifact(digest, body),
        settled=not busy,
        healthy=enough and report != NOTHING,
        detail=detail,
    )


def _by_report(heard: Heard) -> dict[str, list[str]]:
    return {r: [h for h, said in heard.reports.items() if said == r] for r in sorted(heard.counts)}


def _known(fleet: Fleet, report: str) -> Any:
    """Give the command that lets a host report this; None when it is not known."""
    return fleet.kept(report) if is_digest(report) else None
