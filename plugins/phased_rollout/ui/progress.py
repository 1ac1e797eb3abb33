"""Where a run is, and why it waits there, in a line for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from phased_rollout.model.ledger import Kind
from phased_rollout.ui.cells import Stage, State, verified_at
from phased_rollout.ui.facts import AirflowRun, Facts
from phased_rollout.ui.holds import Why, next_channel
from phased_rollout.ui.questions import questions_of
from phased_rollout.ui.survey import Survey

_WORKING = ("running", "deferred")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the run is, and why, for people.

    :param tone: done, bad, busy, or waits (for a person or for something to happen)
    :param task: where Airflow shows more
    :param since: since when
    :param until: when that ends by itself
    """

    title: str
    detail: str = ""
    tone: str = "busy"
    task: str = ""
    since: datetime | None = None
    until: datetime | None = None


def standing(facts: Facts, run: AirflowRun, found: Survey) -> Standing:
    """Say where the run is."""
    if run.is_over:
        return (_succeeded if run.state == "success" else _failed)(facts, found)
    again = run.tasks_in("up_for_retry")
    detail = f"{', '.join(again)} is tried again" if again else ""
    return (
        _asks(facts, run)
        or _idle(run)
        or _rolling_back(facts, found)
        or _held(found)
        or _in_channel(facts, run, found, detail)
        or _between(facts, found, detail)
    )


def _asks(facts: Facts, run: AirflowRun) -> Standing | None:
    for asked in questions_of(facts, run):
        detail = "\n".join(asked.why)
        return Standing(asked.title, detail, "waits", asked.task, asked.since, asked.until)
    return None


def _idle(run: AirflowRun) -> Standing | None:
    if run.paused and all(state not in _WORKING for _, state, _ in run.tasks):
        return Standing("Paused", "The Dag is paused: nothing new is started.", "waits")
    if run.state == "queued":
        return Standing("Queued", "Another run of this Dag has to end first.", "waits")
    return None


def _succeeded(facts: Facts, found: Survey) -> Standing:
    if facts.ledger.happened(Kind.NOTHING_TO_CHANGE) and facts.ledger.last_entered() is None:
        return Standing("Nothing to change", "Every target already runs this change.", "done")
    if not facts.ledger.happened(Kind.FINISHED):
        why = "Airflow calls it a success, but that it graduated is not recorded."
        return Standing("Success without a record", why, "waits", "rollback.verdict")
    excepted = found.count(State.EXCEPTED)
    detail = f"{excepted} failed within the tolerance and were restored" if excepted else ""
    return Standing("Graduated from every channel", detail, "done")


def _failed(facts: Facts, found: Survey) -> Standing:
    title, detail, task = _cause(facts)
    kept = facts.records(Kind.KEPT)
    if facts.ledger.is_left_as_it_is:
        what = "everything is left as it is"
    elif facts.ledger.last_entered() is None:
        what = "no target was touched"
    elif kept and facts.ledger.last(Kind.KEPT) > facts.ledger.last_of_any(Kind.ROLLED_BACK):
        what = f"{kept[-1]['user']} decided to keep everything as it is"
    elif left := found.count(State.NOT_RESTORED, State.RESTORING):
        what = f"{_targets(left)} not restored"
    else:
        return Standing(f"{title}, and rolled back", detail, "bad", task)
    return Standing(f"{title}; {what}", detail, "bad", task)


def _cause(facts: Facts) -> tuple[str, str, str]:
    """Give in a word how a run came to fail, what was said of it, and where Airflow shows more."""
    failures = facts.records(Kind.FAILED)
    task = str(failures[0]["task"]) if failures else "rollback.verdict"
    if facts.ledger.is_given_up:
        record = facts.records(Kind.ABORTED, Kind.ABANDONED)[-1]
        return f"Aborted by {record['user']}", str(record["reason"]), task
    if facts.next and facts.next.supersedes:
        return "Superseded", f"{facts.next.run} took over.", task
    lost = "A task was marked failed, or was lost."
    return "Failed", str(failures[0]["reason"]) if failures else lost, task


def _rolling_back(facts: Facts, found: Survey) -> Standing | None:
    _, why, task = _cause(facts)
    back = facts.ledger.last_of_any(Kind.ARMED, Kind.ROLLING_BACK, Kind.ROLLED_BACK)
    if back <= facts.ledger.last_of_any(Kind.ENTERED):
        ends = facts.ledger.is_given_up
        return Standing("Aborted: its next step ends it", why, "bad", task) if ends else None
    names = found.at(Stage.ROLLING_BACK)[-1:]
    detail = "\n".join([why, *(f"Holds: {hold.reason}" for hold in found.holds)])
    task = f"rollback.{names[0]}" if names else "rollback.verdict"
    return Standing(" ".join(["Rolls back", *names]), detail, "bad", task)


def _held(found: Survey) -> Standing | None:
    hold = next((hold for hold in found.holds if hold.channel), None)
    if hold is None:
        return None
    word = {Stage.APPLYING: "apply", Stage.SOAKING: "health"}
    stage = found.stages.get(hold.channel)
    task = f"{hold.channel}.{word.get(stage, 'enter')}" if stage else ""
    before = f" before {hold.channel}" if stage in (Stage.WAITING, Stage.HELD) else ""
    title = _TITLES[hold.why].format(who=hold.who) + before
    return Standing(title, hold.reason, "waits", task, hold.since, hold.until)


_TITLES = {
    Why.OPERATOR: "Held by {who}",
    Why.FREEZE: "Frozen",
    Why.OTHER: "Holds",
}


def _in_channel(facts: Facts, run: AirflowRun, found: Survey, detail: str) -> Standing | None:
    at = found.at(Stage.APPLYING, Stage.SOAKING, Stage.APPROVAL, Stage.FAILED)
    if not at:
        return None
    name, stage = at[0], found.stages[at[0]]
    entered = facts.ledger.last(Kind.ENTERED, channel=name)
    if stage is Stage.FAILED:
        failed = facts.records(Kind.FAILED)[-1]
        return Standing(f"{name} has failed", failed["reason"], "bad", failed["task"])
    if stage is Stage.APPROVAL:
        return Standing(f"{name} is healthy, its gate is next", detail, task=f"{name}.gate")
    if stage is Stage.SOAKING:
        return _soaks(facts, run, name, detail)
    cells = [cell.state for cell in found.cells[name].values()]
    total = len(cells) - cells.count(State.QUARANTINED)
    done = cells.count(State.VERIFIED) + cells.count(State.EXCEPTED)
    title = f"Applies to {name}: {done} of {total} targets are verified"
    return Standing(title, detail, task=f"{name}.apply", since=entered)


def _soaks(facts: Facts, run: AirflowRun, name: str, detail: str) -> Standing:
    over = (f"{name}.soak", "success") in {(task, state) for task, state, _ in run.tasks}
    title, word = (f"Judges {name}", "health") if over else (f"Soaks in {name}", "soak")
    since = verified_at(facts, name)
    soak = facts.plan.definition.channel(name).soak if facts.plan else None
    until = since + soak if soak and not over else None
    return Standing(title, detail, task=f"{name}.{word}", since=since, until=until)


def _between(facts: Facts, found: Survey, detail: str) -> Standing:
    if facts.plan is None:
        return Standing("Plans what to roll out", detail, task="plan")
    if not facts.ledger.happened(Kind.PREVIEWED):
        return Standing("Asks every target what would change", detail, task="preview")
    left = next_channel(found.stages)
    if left:
        return Standing(f"{left} is entered next", detail, task=f"{left}.enter")
    return Standing("Every channel is passed; the outcome is next", detail, task="outcome")


def _targets(count: int) -> str:
    return "1 target is" if count == 1 else f"{count} targets are"
