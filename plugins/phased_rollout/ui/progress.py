"""Where a run is, why it waits there, and when it can end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from phased_rollout.model.definition import Channel
from phased_rollout.model.ledger import NEVER, Kind, Ledger
from phased_rollout.model.plan import Plan
from phased_rollout.ui.cells import Cell, Stage, State, verified_at
from phased_rollout.ui.facts import Facts

ENDED = ("success", "failed")
AWAITS = "awaiting_input"
RETRIES = "up_for_retry"
_WORKING = ("running", "deferred")


@dataclass(frozen=True, slots=True)
class AirflowRun:
    """What Airflow knows of the run.

    :param state: queued, running, success or failed
    :param tasks: how many task instances are in a state: ``(task id, state, count)``
    """

    dag_id: str
    run_id: str
    state: str
    paused: bool = False
    tasks: tuple[tuple[str, str, int], ...] = ()
    began: datetime | None = None
    ended: datetime | None = None

    def tasks_in(self, *states: str) -> list[str]:
        """Name the tasks that have an instance in one of these states."""
        return [task for task, state, _ in self.tasks if state in states]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the run is, and why, for people.

    :param tone: done, bad, busy, or waits (for a person or for something to happen)
    :param task: where Airflow shows more
    :param since: since when
    """

    title: str
    detail: str = ""
    tone: str = "busy"
    task: str = ""
    since: datetime | None = None


def standing(
    facts: Facts,
    run: AirflowRun,
    *,
    stages: Mapping[str, Stage],
    cells: Mapping[str, Mapping[str, Cell]],
) -> Standing:
    """Say where the run is."""
    if run.state in ENDED:
        states = [cell.state for of_channel in cells.values() for cell in of_channel.values()]
        return (_succeeded if run.state == "success" else _failed)(facts, states)
    again = run.tasks_in(RETRIES)
    detail = f"{', '.join(again)} is tried again" if again else ""
    return (
        _waiting(facts, run)
        or _rolling_back(facts, stages)
        or _in_channel(facts, run, stages, cells, detail)
        or _between(facts, stages, detail)
    )


def _waiting(facts: Facts, run: AirflowRun) -> Standing | None:
    held = "; ".join(_held(facts))
    if asked := run.tasks_in(AWAITS):
        when = facts.ledger.last(Kind.ASKED, channel=asked[0])
        return Standing(f"Waits for a person: {asked[0]}", held, "waits", asked[0], _known(when))
    if run.paused and all(state not in _WORKING for _, state, _ in run.tasks):
        return Standing("Paused", "The Dag is paused: nothing new is started.", "waits")
    if run.state == "queued":
        return Standing("Queued", "Another run of this Dag has to end first.", "waits")
    return Standing("Holds", held, "waits") if held else None


def _succeeded(facts: Facts, states: list[State]) -> Standing:
    if facts.ledger.happened(Kind.NOTHING_TO_CHANGE) and facts.ledger.last_entered() is None:
        return Standing("Nothing to change", "Every target already runs this change.", "done")
    if not facts.ledger.happened(Kind.FINISHED):
        why = "Airflow calls it a success, but that it graduated is not recorded."
        return Standing("Success without a record", why, "waits", "rollback.verdict")
    excepted = states.count(State.EXCEPTED)
    detail = f"{excepted} failed within the tolerance and were restored" if excepted else ""
    return Standing("Graduated from every channel", detail, "done")


def _failed(facts: Facts, states: list[State]) -> Standing:
    failures = facts.records(Kind.FAILED)
    detail = str(failures[0]["reason"]) if failures else "A task was marked failed, or was lost."
    task = str(failures[0]["task"]) if failures else "rollback.verdict"
    kept = facts.records(Kind.KEPT)
    if facts.ledger.last_entered() is None:
        title = "Failed; no target was touched"
    elif kept and facts.ledger.last(Kind.KEPT) > facts.ledger.last_of_any(Kind.ROLLED_BACK):
        title = f"Failed; {kept[-1]['user']} decided to keep everything as it is"
    elif left := states.count(State.NOT_RESTORED) + states.count(State.RESTORING):
        title = f"Failed; {left} targets are not restored"
    else:
        title = "Failed, and rolled back"
    return Standing(title, detail, "bad", task)


def _held(facts: Facts) -> list[str]:
    """Give why the run holds, unless something has happened since."""
    held = facts.records(Kind.HELD)
    silent = (Kind.HELD, Kind.ASKED, Kind.CLOSED)
    others = facts.ledger.last_of_any(*(k for k in Kind if k not in silent))
    of_targets = (ledger.last_of_any(*Kind) for ledger in facts.targets.values())
    newest = max([others, *of_targets])
    return [str(r["reason"]) for r in held if datetime.fromisoformat(r["at"]) > newest][-1:]


def _rolling_back(facts: Facts, stages: Mapping[str, Stage]) -> Standing | None:
    entered = facts.ledger.last_of_any(Kind.ENTERED)
    if facts.ledger.last_of_any(Kind.ARMED, Kind.ROLLING_BACK, Kind.ROLLED_BACK) <= entered:
        return None
    back = [name for name, stage in stages.items() if stage is Stage.ROLLING_BACK][-1:]
    failures = facts.records(Kind.FAILED)
    why = str(failures[0]["reason"]) if failures else ""
    task = f"rollback.{back[0]}" if back else "rollback.verdict"
    return Standing(" ".join(["Rolls back", *back]), why, "bad", task)


def _in_channel(
    facts: Facts,
    run: AirflowRun,
    stages: Mapping[str, Stage],
    cells: Mapping[str, Mapping[str, Cell]],
    detail: str,
) -> Standing | None:
    at = (Stage.APPLYING, Stage.SOAKING, Stage.APPROVAL, Stage.FAILED)
    name = next((name for name, stage in stages.items() if stage in at), None)
    if name is None:
        return None
    entered, stage = facts.ledger.last(Kind.ENTERED, channel=name), stages[name]
    if stage is Stage.FAILED:
        failed = facts.records(Kind.FAILED)[-1]
        return Standing(f"{name} has failed", failed["reason"], "bad", failed["task"])
    if stage is Stage.APPROVAL:
        return Standing(f"{name} is healthy, its gate is next", detail, task=f"{name}.gate")
    if stage is Stage.SOAKING:
        over = (f"{name}.soak", "success") in {(task, state) for task, state, _ in run.tasks}
        title, word = (f"Judges {name}", "health") if over else (f"Soaks in {name}", "soak")
        return Standing(title, detail, task=f"{name}.{word}", since=verified_at(facts, name))
    of_channel = [cell.state for cell in cells[name].values() if cell.state is not State.HELD]
    done = of_channel.count(State.VERIFIED) + of_channel.count(State.EXCEPTED)
    title = f"Applies to {name}: {done} of {len(of_channel)} targets are verified"
    return Standing(title, detail, task=f"{name}.apply", since=entered)


def _between(facts: Facts, stages: Mapping[str, Stage], detail: str) -> Standing:
    if facts.plan is None:
        return Standing("Plans what to roll out", detail, task="plan")
    if not facts.ledger.happened(Kind.PREVIEWED):
        return Standing("Asks every target what would change", detail, task="preview")
    left = [name for name, stage in stages.items() if stage is Stage.WAITING]
    if left:
        return Standing(f"{left[0]} is entered next", detail, task=f"{left[0]}.enter")
    return Standing("Every channel is passed; the outcome is next", detail, task="outcome")


@dataclass(frozen=True, slots=True)
class End:
    """When a run can end: ``seconds`` after ``since``, or after now when that is later or None.

    :param seconds: soaks that are left; no rollout ends sooner
    :param work: seconds of work on targets that are expected on top; None when nothing tells
    :param people: channels where a person has to say yes, which takes as long as it takes
    """

    since: datetime | None
    seconds: float
    work: float | None
    people: tuple[str, ...] = ()


def end_of(
    facts: Facts,
    *,
    stages: Mapping[str, Stage],
    cells: Mapping[str, Mapping[str, Cell]],
    pace: float | None,
) -> End | None:
    """Say when the run can end; None when it has no way to go any more.

    :param pace: seconds that a target took
    """
    on_the_way = (Stage.WAITING, Stage.APPLYING, Stage.SOAKING, Stage.APPROVAL)
    off = (Stage.FAILED, Stage.ROLLING_BACK, Stage.ROLLED_BACK)
    if facts.plan is None or any(stage in off for stage in stages.values()):
        return None
    since, seconds, targets, people = None, 0.0, 0, []
    for channel in facts.plan.channels:
        stage = stages[channel.name]
        if stage not in on_the_way:
            continue
        if stage is Stage.SOAKING:
            since = verified_at(facts, channel.name) + channel.soak
        elif stage is not Stage.APPROVAL:
            seconds += channel.soak.total_seconds()
            waiting = (State.WAITING, State.APPLYING)
            targets += sum(1 for c in cells[channel.name].values() if c.state in waiting)
        if channel.needs_approval:
            people.append(channel.name)
    return End(since, seconds, None if pace is None else round(pace * targets), tuple(people))


def pace_of(plan: Plan, ledger: Ledger) -> float | None:
    """Say how many seconds a target took in the channels that were judged healthy, soaks apart."""
    took, targets = timedelta(), 0
    for channel in plan.channels:
        if (spent := _spent(ledger, channel)) is not None:
            took += spent
            targets += len(channel.targets)
    return took.total_seconds() / targets if targets else None


def _spent(ledger: Ledger, channel: Channel) -> timedelta | None:
    entered = ledger.last(Kind.ENTERED, channel=channel.name)
    healthy = ledger.last(Kind.HEALTHY, channel=channel.name)
    if entered is NEVER or healthy < entered:
        return None
    return max(healthy - entered - channel.soak, timedelta())


def _known(at: datetime) -> datetime | None:
    return None if at is NEVER else at
