"""Judges the metrics of a channel, and keeps what each verdict rests on."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from phased_rollout.errors import RolloutError, UnreachableError
from phased_rollout.judge.rules import ALPHA
from phased_rollout.model.decision import Decision, Verdict
from phased_rollout.model.definition import Channel, GateKind
from phased_rollout.model.ledger import Kind
from phased_rollout.model.looks import Soak
from phased_rollout.model.targets import few
from phased_rollout.rollout import Rollout
from phased_rollout.sensors.series import Gatherer

if TYPE_CHECKING:
    from phased_rollout.judge.judgement import Judgement, MetricJudgement

_JUDGED_AGAIN = 12
"""So many times what is inconclusive is judged again while it holds."""
_SHOWN = 5
_MEANING = {"pass": Verdict.PROMOTE, "fail": Verdict.ROLL_BACK, "inconclusive": Verdict.HOLD}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the metrics of a channel say, and what that rests on, a line for each."""

    decision: Decision
    lines: tuple[str, ...] = ()


def soak_of(rollout: Rollout, channel: Channel) -> Soak:
    """Give the soak of a channel as it is recorded."""
    records = rollout.records
    targets = records.of_targets(channel.name)
    return Soak.of(records.ledger(), targets, channel=channel.name, soak=channel.soak)


def is_judged(rollout: Rollout, channel: Channel) -> bool:
    """Whether the channel has metrics that are judged."""
    return bool(channel.soak and channel.signals and rollout.sources(channel))


def look(rollout: Rollout, channel: Channel, *, number: int, at: datetime) -> Opinion:
    """Judge what is seen so far of a soak; only harm ends it early."""
    soak = soak_of(rollout, channel)
    try:
        gatherer = Gatherer.of(rollout, channel.name, soak)
        return _judged(
            rollout, channel.name, gatherer, look=number, until=soak.seen_at(number), at=at
        )
    except RolloutError as error:
        return Opinion(Decision(Verdict.HOLD, f"look {number} of the soak: {error}"))


def judge_soak(rollout: Rollout, channel: Channel, *, at: datetime) -> Opinion:
    """Judge the whole soak, once its series are complete or were waited for long enough.

    What cannot be known holds, but for a timer gate, which only asks whether there is harm.
    """
    soak = soak_of(rollout, channel)
    opinion = _known(rollout, channel, soak, at=at) or _judge_end(rollout, channel, soak, at=at)
    if opinion.decision.verdict is Verdict.HOLD and GateKind.HEALTH not in channel.gate:
        reason = f"the gate does not ask for what is not known: {opinion.decision.reason}"
        return Opinion(Decision(Verdict.PROMOTE, reason), opinion.lines)
    return opinion


def judge_again(rollout: Rollout, earlier: Channel, *, by: Channel, at: datetime) -> Opinion | None:
    """Judge a graduated channel by all that was seen of it since; None where no controls are left.

    The risk of a false alarm is shared by all channels that look at it.
    """
    first, last = soak_of(rollout, earlier), soak_of(rollout, by)
    seen = rollout.records.latest(Kind.JUDGED, channel=earlier.name)
    if seen and seen["by"] == by.name and datetime.fromisoformat(seen["at"]) >= last.end:
        return Opinion(Decision(_MEANING[seen["verdict"]], seen["reason"]), tuple(seen["lines"]))
    try:
        gatherer = Gatherer.of(rollout, earlier.name, Soak(first.entered, first.start, last.end))
        if not gatherer.sides.controls or not gatherer.sides.changed:
            return None
        names = rollout.plan.names
        alpha = ALPHA / (len(names) - names.index(earlier.name) - 1)
        return _judged(
            rollout, earlier.name, gatherer, until=last.end, at=at, alpha=alpha, by=by.name
        )
    except RolloutError as error:
        return Opinion(Decision(Verdict.HOLD, str(error)))


def _known(rollout: Rollout, channel: Channel, soak: Soak, *, at: datetime) -> Opinion | None:
    """Give the last judgement of the whole soak while it counts; it is of a fixed window."""
    found = rollout.records.latest(Kind.JUDGED, channel=channel.name)
    if found is None or found["by"] != channel.name or not found["final"]:
        return None
    judged, verdict = datetime.fromisoformat(found["at"]), _MEANING[found["verdict"]]
    rest = channel.on_inconclusive.hold_for / _JUDGED_AGAIN
    is_old = judged < soak.end or (verdict is Verdict.HOLD and at >= judged + rest)
    if is_old or verdict is Verdict.ROLL_BACK:
        return None
    return Opinion(Decision(verdict, found["reason"]), tuple(found["lines"]))


def _judge_end(rollout: Rollout, channel: Channel, soak: Soak, *, at: datetime) -> Opinion:
    try:
        gatherer = Gatherer.of(rollout, channel.name, soak)
        until = soak.end + channel.on_inconclusive.settle
        if at < until and (late := gatherer.late()):
            why = f"no data up to the end of the soak yet: {few(late, _SHOWN)}"
            return Opinion(Decision(Verdict.HOLD, f"{why}; waits until {until:%H:%M:%S} UTC"))
        return _judged(rollout, channel.name, gatherer, look=soak.last_look, until=soak.end, at=at)
    except RolloutError as error:
        return Opinion(Decision(Verdict.HOLD, f"inconclusive: {error}"))


def _judged(
    rollout: Rollout,
    channel: str,
    gatherer: Gatherer,
    *,
    until: datetime,
    at: datetime,
    look: int | None = None,
    alpha: float = ALPHA,
    by: str = "",
) -> Opinion:
    case = gatherer.gather(until=until, alpha=alpha, look=look)
    found = _verdict_of(case)
    verdict = _MEANING[found.verdict.value]
    metrics = [_told(each) for each in found.metrics]
    lines = [f"{each['name']}: {each['verdict']}: {each['said']}" for each in metrics]
    for line in lines:
        _log.info("%s: %s", channel, line)
    keeps = found.final or verdict is Verdict.ROLL_BACK
    rollout.records.add(
        Kind.JUDGED,
        at=at,
        channel=channel,
        by=by or channel,
        verdict=found.verdict.value,
        reason=found.reason,
        look=found.look,
        final=found.final,
        lines=lines,
        metrics=metrics,
        left_out=dict(gatherer.sides.left_out),
        case=rollout.records.store.put(_case_as_json(case)) if keeps else None,
        judgement=rollout.records.store.put(found.to_json()),
    )
    return Opinion(Decision(verdict, found.reason), tuple(lines))


def _verdict_of(case: Any) -> Judgement:
    from phased_rollout.judge.judging import judge  # noqa: PLC0415 - numpy, on a worker only

    try:
        return judge(case)
    except RolloutError:
        raise
    except Exception as error:  # a fault of the judge is no word about a target
        _log.exception("the judge has a fault")
        what = f"the judge has a fault ({type(error).__name__}): see the log"
        raise UnreachableError(what) from error


def _case_as_json(case: Any) -> dict[str, Any]:
    from phased_rollout.judge.case import to_json  # noqa: PLC0415 - see _verdict_of

    return to_json(case)


def _told(metric: MetricJudgement) -> dict[str, Any]:
    """Say what was found of a metric, by which rule, and who drove it."""
    parts = [metric.reason]
    if metric.rule:
        parts.append(f"rule {metric.rule}")
    if metric.adjusted_p is not None and metric.threshold is not None:
        parts.append(f"p {metric.adjusted_p:.4g} (harm at {metric.threshold:.4g} or less)")
    if metric.effect_sd is not None:
        parts.append(f"effect {metric.effect_sd:+.2f} sd")
    if metric.needs:
        parts.append(f"to know it: {metric.needs}")
    drivers = list(metric.drivers[:_SHOWN])
    verdict = metric.verdict.value
    return {"name": metric.name, "verdict": verdict, "said": "; ".join(parts), "drivers": drivers}
