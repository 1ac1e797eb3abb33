"""An example of a substrate of another package, with its harness: see docs/extend.md.

A target is a folder, and a change is its files. What runs is noted in a file ``.running``, last.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phased_rollout.errors import DriftedError, RefusedError, UnreachableError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.digest import digest_of
from phased_rollout.model.target_state import (
    Artifact,
    Difference,
    Outcome,
    Preview,
    Progress,
    TargetState,
)
from phased_rollout.substrates import Mutation, Substrate

NOTE = ".running"


class Folders:
    """Rolls files out to folders.

    :param options: ``longest``, the length of a file that a folder takes
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._longest = int(options.get("longest", 1000))

    def render(self, change: Change, *, channel: str, target: Target) -> Artifact:
        files = dict(change.files)
        return Artifact(digest_of(files), {"files": files})

    def check(self, change: Change, targets: Sequence[Target]) -> list[str]:
        return []

    def read(self, target: Target) -> TargetState:
        folder = self._folder(target)
        files = {p.name: p.read_text() for p in sorted(folder.iterdir()) if p.name != NOTE}
        note = folder / NOTE
        if not note.exists() and not files:
            return TargetState(None)
        found = Artifact(digest_of(files), {"files": files})
        noted = json.loads(note.read_text()) if note.exists() else {}
        under_way = "token" in noted or noted.get("digest") != found.digest
        return TargetState(found, healthy=not under_way, detail="as applied" * (not under_way))

    def preview(self, target: Target, artifact: Artifact, *, token: str) -> Preview:
        state = self.read(target)
        before = state.running.body["files"] if state.running else {}
        after = artifact.body["files"]
        return Preview(
            tuple(
                Difference(
                    "Remove" if name not in after else "Modify" if name in before else "Add",
                    name,
                    "file",
                    destructive=name not in after,
                    detail=after.get(name, ""),
                )
                for name in sorted({*before, *after})
                if before.get(name) != after.get(name)
            )
        )

    def apply(
        self,
        target: Target,
        artifact: Artifact,
        *,
        token: str,
        mutation: Mutation,
        expected: str | None = None,
    ) -> Progress:
        state = self.read(target)
        if state.healthy and state.digest == artifact.digest:
            return Progress(Outcome.DONE, "runs it")
        begun = self._token(target) == token
        if not begun and expected not in (None, self.preview(target, artifact, token=token).digest):
            raise DriftedError(f"{target.name} would change otherwise now")
        for name, text in artifact.body["files"].items():
            if len(text) > self._longest:
                raise RefusedError(f"{target.name}: {name}: File too large")
        return self._put(target, artifact, token=token, mutation=mutation)

    def settled(self, target: Target, *, token: str) -> bool:
        return True

    def verify(self, target: Target, artifact: Artifact) -> TargetState:
        state = self.read(target)
        if not state.healthy or state.digest != artifact.digest:
            raise RefusedError(f"{target.name} runs something else")
        return state

    def restore(
        self,
        target: Target,
        *,
        before: TargetState,
        applied: Artifact,
        token: str,
        mutation: Mutation,
    ) -> Progress:
        state = self.read(target)
        partial = self._token(target).partition("-")[0] == token.partition("-")[0]
        if state.digest == before.digest and not partial:
            return Progress(Outcome.DONE, "runs what it ran before")
        if not partial and not (state.healthy and state.digest == applied.digest):
            return Progress(Outcome.LEFT_ALONE, "somebody else changed it since")
        wanted = before.running or Artifact(digest_of({}), {"files": {}})
        done = self._put(target, wanted, token=token, mutation=mutation)
        if before.running is None:
            with mutation():
                (self._folder(target) / NOTE).unlink(missing_ok=True)
        return done

    def _put(
        self, target: Target, artifact: Artifact, *, token: str, mutation: Mutation
    ) -> Progress:
        folder, files = self._folder(target), artifact.body["files"]
        with mutation():
            (folder / NOTE).write_text(json.dumps({"token": token}))
        with mutation():
            for path in folder.iterdir():
                if path.name not in (*files, NOTE):
                    path.unlink()
            for name, text in files.items():
                (folder / name).write_text(text)
        with mutation():
            (folder / NOTE).write_text(json.dumps({"digest": artifact.digest}))
        return Progress(Outcome.DONE, "runs it")

    def _token(self, target: Target) -> str:
        note = self._folder(target) / NOTE
        return str(json.loads(note.read_text()).get("token", "")) if note.exists() else ""

    def _folder(self, target: Target) -> Path:
        folder = Path(target.address["folder"])
        if not folder.is_dir():
            raise UnreachableError(f"{target.name}: {folder} is not there")
        return folder


class FoldersHarness:
    """Temporary folders. A file is written or it is not: no reply of the disk is ever lost."""

    many = 300

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp())
        self._numbers = itertools.count(1)

    def close(self) -> None:
        shutil.rmtree(self._root)

    def substrate(self) -> Substrate:
        return Folders({})

    def target(self) -> Target:
        folder = self._root / f"folder-{next(self._numbers)}"
        folder.mkdir()
        return Target(folder.name, {"folder": str(folder)})

    def change(self, value: str, *, extra: bool = False) -> Change:
        return Change(value, {"shown": value, **({"extra": "there"} if extra else {})})

    def shown(self, target: Target) -> tuple[str | None, bool]:
        folder = Path(target.address["folder"])
        shown = folder / "shown"
        return shown.read_text() if shown.exists() else None, (folder / "extra").exists()

    def trace(self, target: Target) -> Hashable:
        files = sorted(Path(target.address["folder"]).iterdir())
        return tuple((p.name, p.stat().st_mtime_ns, p.read_text()) for p in files)

    def by_hand(self, target: Target, value: str) -> None:
        (Path(target.address["folder"]) / "shown").write_text(value)

    @contextmanager
    def refusal(self, target: Target) -> Iterator[tuple[Change, str]]:
        yield Change("long", {"shown": "x" * 2000}), "File too large"

    @contextmanager
    def silence(self, target: Target) -> Iterator[None]:
        folder = Path(target.address["folder"])
        away = folder.rename(folder.with_suffix(".away"))
        try:
            yield
        finally:
            away.rename(folder)

    @contextmanager
    def lost_replies(self, target: Target, *, skip: int) -> Iterator[None]:
        yield
