"""What a command would change: documents and parameters; what they do, no preview can tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phased_rollout.model.target_state import Artifact, Difference, Preview, TargetState
from phased_rollout.model.targets import few
from phased_rollout.substrates.ssm.command import Command
from phased_rollout.substrates.ssm.reports import NOTHING, Heard, is_digest, short

_LONGEST = 120


def preview_of(heard: Heard, state: TargetState, artifact: Artifact) -> Preview:
    """Compare the command with what the hosts report; no differences when they report it."""
    if state.digest == artifact.digest:
        return Preview(notes=tuple(heard.notes()))
    command = Command.of(artifact.body["command"])
    known = state.running.body["commands"] if state.running else {}
    earlier: Sequence[Command | None] = [
        Command.of(body) for r, body in known.items() if body and r != artifact.digest
    ]
    found: dict[Difference, None] = {}
    for before in earlier or (None,):
        found |= dict.fromkeys(_differences(before, command))
    if not found:  # some hosts run it, and others nothing that is known
        found = {Difference("Modify", command.document, "document", detail=str(command)): None}
    would = [host for host, report in heard.reports.items() if report != artifact.digest]
    reported = ", ".join(f"{n} report {short(report)}" for report, n in heard.counts.most_common())
    return Preview(
        differences=tuple(found),
        notes=(f"{len(would)} hosts would run it ({few(would)}); {reported}", *heard.notes()),
        irreversible=tuple(_irreversible(heard, known, artifact)),
    )


def _differences(before: Command | None, after: Command) -> Iterator[Difference]:
    if before is None:
        yield Difference("Add", after.document, "document", detail=str(after))
    elif (before.document, before.version) != (after.document, after.version):
        yield Difference("Modify", after.document, "document", detail=f"{before} → {after}")
    old: Mapping[str, Sequence[str]] = before.parameters if before else {}
    for name in sorted({*old, *after.parameters}):
        was, now = old.get(name), after.parameters.get(name)
        if was is None and now is not None:
            yield Difference("Add", name, "parameter", detail=_shown(now))
        elif now is None and was is not None:
            yield Difference("Remove", name, "parameter", destructive=True, detail=_shown(was))
        elif was != now and was is not None and now is not None:
            yield Difference("Modify", name, "parameter", detail=f"{_shown(was)} → {_shown(now)}")


def _shown(values: Sequence[str]) -> str:
    text = "; ".join(values)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _irreversible(heard: Heard, known: Mapping[str, Any], artifact: Artifact) -> Iterator[str]:
    for report in sorted(heard.counts):
        if report == NOTHING and not artifact.body["remove"]:
            yield (
                "hosts that report nothing: no rollback could take it away from them, for "
                "command.yaml has no `remove`"
            )
        elif report not in (NOTHING, artifact.digest) and not known.get(report):
            kept = "is not kept here any more" if is_digest(report) else "is not known"
            yield (
                f"hosts that report {short(report)}: which command did that {kept}, so no rollback "
                "could bring it back"
            )
