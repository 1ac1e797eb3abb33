"""The side effects that a rollout was seen to have, and where processes are killed at them."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.stack import PROJECT

HOOK = Path(__file__).parent / "hook"
KILLS_OF_A_TASK = 3
"""Of one task in one run: Airflow tries again five times."""
IN_SCOPE = re.compile(r"^(?P<channel>\w+)\.(?P<task>apply|soak|health|gate)$|^rollback\.\w+$")
OF_A_CHANNEL = re.compile(r"^rollback\.(playground|production)$")


@dataclass(frozen=True, order=True)
class Effect:
    """One moment of a side effect: what is done for the how manieth time, by what, in which task.

    :param part: the task without its channel: ``apply``, ``rollback``, ``rollback.armed``
    """

    part: str
    effect: str
    number: int
    moment: str
    process: str

    def __str__(self) -> str:
        times = "" if self.number == 1 else f" ({self.number}.)"
        return f"{self.moment} {self.effect}{times} of {self.part}"


@dataclass(frozen=True)
class Place:
    """Where an effect was seen: the story and its task."""

    story: str
    task: str


@dataclass(frozen=True)
class Kill:
    """Who is killed in one run, when a task comes to an effect."""

    effect: Effect
    task: str
    kills: str


def part_of(task: str) -> str:
    """Name a task without its channel; empty when it is out of scope."""
    if task == "a trigger":
        return task
    if OF_A_CHANNEL.match(task):
        return "rollback"
    found = IN_SCOPE.match(task)
    return (found["task"] or task) if found else ""


class Effects:
    """What the hook writes, and what it is told, in one folder."""

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.gettempdir()) / f"effects-{name}-{os.getpid()}"

    def listen(self) -> dict[str, str]:
        """Make the folder; gives the environment of an Airflow that is watched."""
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("log", "points", "hits"):
            (self.folder / name).mkdir(parents=True)
        return {"EFFECTS": str(self.folder), "PYTHONPATH": f"{HOOK}:{PROJECT}"}

    def seen(self, definition: str, *, story: str) -> dict[Effect, list[Place]]:
        """Give the effects that a rollout has had, in order."""
        path = self.folder / "log" / f"{definition}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        found: dict[Effect, list[Place]] = {}
        for each in map(json.loads, lines):
            if part := part_of(each["task"]):
                key = Effect(part, each["effect"], each["number"], each["moment"], each["process"])
                found.setdefault(key, []).append(Place(story, each["task"]))
        return found

    def plan(self, definition: str, kills: Iterable[Kill]) -> None:
        """Let the processes of a rollout die."""
        points = [asdict(k.effect) | {"task": k.task, "kills": k.kills} for k in kills]
        for point in points:
            del point["part"]
        path = self.folder / "points" / f"{definition}.json"
        path.write_text(json.dumps(points), encoding="utf-8")

    def hits(self, definition: str) -> dict[int, float]:
        """Give which of the planned kills came to be, and when."""
        found = {}
        for path in (self.folder / "hits").glob(f"{definition}~*"):
            if path.suffix != ".go" and (text := path.read_text(encoding="utf-8")):
                found[int(path.name.rpartition("~")[2])] = float(json.loads(text)["at"])
        return found

    def waiting(self) -> dict[Path, str]:
        """Give the hits of processes that stand at their point, and who is to be killed there."""
        found = {}
        for path in sorted((self.folder / "hits").iterdir()):
            text = "" if path.suffix == ".go" else path.read_text(encoding="utf-8")
            kills = json.loads(text)["kills"] if text else "task"
            if kills != "task" and not Path(f"{path}.go").exists():
                found[path] = kills
        return found

    def came_back(self, definition: str, task: str, *, after: float) -> float | None:
        """Give when a task, or else the run, had its next side effect."""
        path = self.folder / "log" / f"{definition}.jsonl"
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        later = [e for e in lines if e["at"] > after]
        same = [e for e in later if e["task"] == task]
        return min((e["at"] for e in same or later), default=None)


Runs = dict[str, list[dict[str, list[Kill]]]]
"""Story to its runs; each run: task to its kills."""


def distribute(
    seen: Mapping[Effect, list[Place]],
    runs: Runs,
    *,
    kills: str,
    most: int,
    of_a_task: int = KILLS_OF_A_TASK,
) -> None:
    """Add runs to the stories until each effect is in one: a few kills of each task.

    :param most: how many runs each story may get; what does not fit is left out
    :param of_a_task: how often each task of a run may be killed
    """
    order = list(seen)
    mine: Runs = {}
    for effect in sorted(order, key=lambda e: not _is_lock(e)):
        places = list(dict.fromkeys(seen[effect]))
        fits = [
            (len(run.get(place.task, [])), n, place)
            for place in places
            for n, run in enumerate(mine.get(place.story, []))
            if len(run.get(place.task, [])) < of_a_task
            and _fits(effect, run.get(place.task, []), order)
        ]
        if fits:
            _, n, place = min(fits, key=lambda each: each[:2])
            mine[place.story][n].setdefault(place.task, []).append(Kill(effect, place.task, kills))
            continue
        place = min(places, key=lambda each: len(mine.get(each.story, [])))
        if len(mine.get(place.story, [])) < most:
            mine.setdefault(place.story, []).append({place.task: [Kill(effect, place.task, kills)]})
    for story, more in mine.items():
        runs.setdefault(story, []).extend(more)


def telling(seen: Mapping[Effect, list[Place]]) -> dict[Effect, list[Place]]:
    """Order the effects for a sample: first after calls to AWS, then after records; no locks."""
    kept = [e for e in seen if not _is_lock(e)]
    kept.sort(key=lambda e: (e.moment == "before", e.effect.startswith("record")))
    return {effect: seen[effect] for effect in kept}


def _is_lock(effect: Effect) -> bool:
    return effect.effect.startswith("lock")


def _fits(effect: Effect, kills: list[Kill], order: list[Effect]) -> bool:
    """Say whether one more kill of a task leaves the others where they are.

    A task that was killed takes its locks anew, so the how manieth lock is known only before.
    """
    others = [kill.effect for kill in kills]
    if any(_is_lock(e) for e in others) and _is_lock(effect):
        return False
    locks = [e for e in (*others, effect) if _is_lock(e)]
    if not locks:
        return True
    first = min(order.index(e) for e in order if _is_lock(e) and e.part == effect.part)
    rest = [order.index(e) for e in (*others, effect) if not _is_lock(e)]
    return all(at < first or at > order.index(locks[0]) for at in rest)
