"""The steps of an apply and of a restore. Each looks first, so that a killed process may resume."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.target_state import Artifact, Outcome, Progress
from phased_rollout.substrates import Mutation
from phased_rollout.substrates.kubernetes.client import RefusedByClusterError
from phased_rollout.substrates.kubernetes.completion import Stage, has_rule
from phased_rollout.substrates.kubernetes.manifests import DEFINITION, Ref, group_of, is_first
from phased_rollout.substrates.kubernetes.owned import fingerprint
from phased_rollout.substrates.kubernetes.plan import resolved
from phased_rollout.substrates.kubernetes.record import Attempt, Entry, Keeper, Phase, Record
from phased_rollout.substrates.kubernetes.removal import is_leaving, remove
from phased_rollout.substrates.kubernetes.state import get, judged, state_of
from phased_rollout.substrates.kubernetes.trouble import words

Json = dict[str, Any]

STEP = 1.0  # seconds that one step waits for the cluster before it says WAITING
DEADLINE = timedelta(minutes=10)
"""In which a workload has to be complete whose kind has no deadline of its own."""
_PAUSE = 0.1
_BATCH = 20  # objects that are sent under one lock: few enough for its lease
_MISSING = 404


@dataclass(frozen=True, slots=True)
class Work:
    """What a target shall run, and how it is brought there.

    :param wanted: None when nothing shall be there
    :param restoring: it is the way back: what holds foreign things is kept
    :param lenient: a workload that fails is no failure: it did not run before, either
    """

    keeper: Keeper
    wanted: Artifact | None
    mutation: Mutation
    deadline: timedelta = DEADLINE
    restoring: bool = False
    lenient: bool = False

    @property
    def manifests(self) -> list[Json]:
        return list(self.wanted.body["objects"]) if self.wanted else []


def now() -> datetime:
    """Read the clock: a record tells when something was done, to whichever process asks."""
    return datetime.now(UTC)


def advance(work: Work, record: Record) -> Progress:
    """Bring the attempt of the record one step nearer to its end."""
    attempt = record.attempt
    if attempt is None:
        raise ValueError("the record has no attempt")
    if attempt.phase is Phase.REFUSED:
        raise RefusedError(attempt.reason)
    if attempt.phase is Phase.BEGUN:
        try:
            sent = _send(work, attempt)
        except RefusedError as error:
            raise _refused(work, record, attempt, str(error)) from error
        if isinstance(sent, str):
            return Progress(Outcome.WAITING, f"{work.keeper}: {sent}")
        attempt = replace(attempt, phase=Phase.SENT, entries=sent, since=now().isoformat())
        with work.mutation():
            work.keeper.write(record.with_attempt(attempt))
    entries = [entry for entry in attempt.entries if not entry.leaves]
    verdict = _awaited(work, attempt, entries)
    if verdict.failed and not work.lenient:
        raise _refused(work, record, attempt, verdict.text)
    if verdict.pending:
        return Progress(Outcome.WAITING, f"{work.keeper}: {verdict.text}")
    removed = [entry for entry in attempt.entries if entry.leaves]
    kept = _remove(work, removed)
    if _until(lambda: not any(is_leaving(work.keeper, e) for e in removed)):
        return _finish(work, entries, kept, at=attempt.since)
    return Progress(Outcome.WAITING, f"{work.keeper}: what it deletes is not gone yet")


def _refused(work: Work, record: Record, attempt: Attempt, reason: str) -> RefusedError:
    """Note that an attempt was refused, so that it is not sent again."""
    failed = replace(attempt, phase=Phase.REFUSED, reason=reason)
    with work.mutation():
        work.keeper.write(record.with_attempt(failed))
    return RefusedError(reason)


def _batches(pairs: Sequence[tuple[Json, Ref]]) -> Iterator[Sequence[tuple[Json, Ref]]]:
    for start in range(0, len(pairs), _BATCH):
        yield pairs[start : start + _BATCH]


def _send(work: Work, attempt: Attempt) -> tuple[Entry, ...] | str:
    """Send all manifests, namespaces and definitions first; a text says what is waited for."""
    found = {entry.ref: entry for entry in attempt.entries}
    first = [pair for pair in resolved(work.keeper, work.manifests) if is_first(pair[0])]
    found |= _applied(work, first, found)
    definitions = [found[ref] for _, ref in first if ref.kind == DEFINITION]
    if definitions and not _until(lambda: _are_complete(work.keeper, definitions)):
        return "kinds that it defines are not established yet"
    rest = [pair for pair in resolved(work.keeper, work.manifests) if not is_first(pair[0])]
    found |= _applied(work, rest, found)
    return tuple(found.values())


def _applied(
    work: Work, pairs: Sequence[tuple[Json, Ref]], entries: dict[Ref, Entry]
) -> dict[Ref, Entry]:
    keeper, found = work.keeper, dict[Ref, Entry]()
    for batch in _batches(pairs):
        with work.mutation():
            for manifest, ref in batch:
                live = _apply(work, manifest, ref)
                found[ref] = replace(
                    entries[ref],
                    owned=fingerprint(live, keeper.manager),
                )
    return found


def _apply(work: Work, manifest: Json, ref: Ref) -> Json:
    resource = work.keeper.cluster.resource(manifest["apiVersion"], ref.kind)
    if resource is None:  # a definition may be established before its kind is served
        raise UnreachableError(
            f"{work.keeper}: {manifest['apiVersion']} {ref.kind} is not served yet"
        )
    try:
        return work.keeper.apply(resource, manifest, ref.namespace)
    except RefusedByClusterError as error:
        if error.code == _MISSING and _is_defined(work.manifests, manifest):
            raise UnreachableError(str(error)) from error
        raise


def _is_defined(manifests: Sequence[Json], manifest: Json) -> bool:
    kind = group_of(manifest["apiVersion"]), manifest["kind"]
    return any(
        (each["spec"].get("group"), (each["spec"].get("names") or {}).get("kind")) == kind
        for each in manifests
        if each["kind"] == DEFINITION
    )


def _until(done: Callable[[], bool]) -> bool:
    """Look for a moment whether it is so."""
    give_up = time.monotonic() + STEP
    while not done():
        if time.monotonic() + _PAUSE > give_up:
            return False
        time.sleep(_PAUSE)
    return True


def _are_complete(keeper: Keeper, entries: Sequence[Entry]) -> bool:
    found = judged(keeper, entries).values()
    return all(judgement.stage is Stage.COMPLETE for judgement, _ in found)


@dataclass(frozen=True, slots=True)
class _Verdict:
    failed: bool = False
    pending: bool = False
    text: str = ""


def _awaited(work: Work, attempt: Attempt, entries: Sequence[Entry]) -> _Verdict:
    """Look for a moment whether all are complete; else say which are not, and why."""
    watched = [e for e in entries if has_rule(e.ref.group, e.ref.kind)]
    if watched:
        _until(lambda: not _is_pending(work.keeper, watched))
    found = judged(work.keeper, watched)
    bad = {ref: each for ref, each in found.items() if each[0].stage is not Stage.COMPLETE}
    if not bad:
        return _Verdict()
    overdue = is_overdue(attempt, deadline=work.deadline)
    failed = [
        ref
        for ref, (judgement, _) in bad.items()
        if judgement.stage is Stage.FAILED or (overdue and ref.kind != "Deployment")
    ]
    late = f" (not complete within {work.deadline})" if overdue else ""
    texts = []
    for ref in failed or bad:
        judgement, live = bad[ref]
        why = words(work.keeper.cluster, live) if live else ""
        texts.append(f"{ref}: {judgement.reason}{late}" + (f": {why}" if why else ""))
    text = "; ".join(texts)
    if failed:
        return _Verdict(failed=True, text=f"{work.keeper} does not run the change: {text}")
    return _Verdict(pending=True, text=text)


def _is_pending(keeper: Keeper, watched: Sequence[Entry]) -> bool:
    stages = {judgement.stage for judgement, _ in judged(keeper, watched).values()}
    return Stage.PROGRESSING in stages and Stage.FAILED not in stages


def is_overdue(attempt: Attempt, *, deadline: timedelta) -> bool:
    """Say whether what was sent should be complete by now."""
    return bool(attempt.since) and now() > datetime.fromisoformat(attempt.since) + deadline


def _remove(work: Work, removed: Sequence[Entry]) -> list[str]:
    """Take away what is wanted no more, in the reverse order; gives what was kept, and why."""
    gone = {entry.ref for entry in removed}
    left = [entry for entry in reversed(removed) if get(work.keeper, entry) is not None]
    kept = []
    for start in range(0, len(left), _BATCH):
        with work.mutation():
            for entry in left[start : start + _BATCH]:
                kept.append(remove(work.keeper, entry, gone=gone, restoring=work.restoring))
    return [why for why in kept if why]


def _finish(work: Work, entries: Sequence[Entry], kept: Sequence[str], *, at: str) -> Progress:
    """Write what runs now, and read it back."""
    keeper, wanted = work.keeper, work.wanted
    also = f"; kept: {'; '.join(kept)}" if kept else ""
    if wanted is None:
        with work.mutation():
            keeper.delete()
        return Progress(Outcome.DONE, f"{keeper}: runs nothing, as before{also}")
    with work.mutation():
        keeper.write(Record(wanted.digest, tuple(work.manifests), tuple(entries), at))
    state = state_of(keeper, keeper.read())
    if state.digest != wanted.digest:
        raise RefusedError(f"{keeper} does not run what was applied: {state.detail}")
    return Progress(Outcome.DONE, f"{keeper} runs it: {state.detail}{also}")
