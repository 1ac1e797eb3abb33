"""Measures one metric: which rule applies, what its tests give, and what spoils them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import numpy as np

from phased_rollout.judge import nulls
from phased_rollout.judge.case import Array, Flags, Group, Metric
from phased_rollout.judge.nulls import Test
from phased_rollout.judge.rules import MIN_DAYS, MIN_WINDOWS, POWER, Choice, Rule, choose
from phased_rollout.judge.tails import t_quantile
from phased_rollout.judge.windows import Moves, Span, moves_of

_MOVED = 0.01
"""Controls that moved themselves: p of either side at most this."""
_MOST_EARLIER = 200
_UNLIKE = 0.1
"""Share of earlier windows in which alike groups may differ."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a metric cannot be judged, and what would make it able to be."""

    reason: str
    needs: str


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What is known of one metric before metrics are weighed against each other.

    :param first: the test that the level is kept by; None when no rule applies
    :param second: what has to agree with it; None when the rule asks for one test only
    :param effect: of the changed targets against the controls, in sd of a target's points
    :param visible: the effect that is found in four of five cases, in the same unit
    :param effects: of each target against its own past, in the order of ``moves.names``
    :param deviations: of each target against the controls, in its own MADs
    :param doubts: what keeps the metric from passing; harm is found despite them
    :param blocked: whether they keep it from failing too
    """

    metric: Metric
    moves: Moves
    choice: Choice
    first: Test | None = None
    second: Test | None = None
    effect: float = math.nan
    visible: float = math.nan
    effects: Array = field(default_factory=lambda: np.empty(0))
    deviations: Array = field(default_factory=lambda: np.empty(0))
    doubts: tuple[Doubt, ...] = ()
    blocked: bool = False
    notes: tuple[str, ...] = ()


def measure(
    metric: Metric, span: Span, *, alpha: float, level: float, missing: Collection[str] = ()
) -> Measured:
    """Measure one metric over the part of the soak that is judged.

    :param alpha: of the channel
    :param level: what is left of it for this metric
    :param missing: changed targets of other metrics that this one has no series of
    """
    moves = moves_of(metric, span)
    silent, notes = _silences(moves, missing)
    usable = np.isfinite(moves.moves[:, 0])
    declared = ~moves.changed
    doubts = (*silent, *_exposure(metric, moves, span))
    gone = int((declared & ~usable).sum())
    blocked = bool(doubts[len(silent) :]) or gone * 2 > declared.sum()
    kept = _only(moves, usable)
    mads = nulls.in_mads(kept.moves)
    difference = nulls.difference(mads, kept.changed, nulls.WIDE_CLIP)
    choice = choose(
        changed=int(kept.changed.sum()),
        controls=int((~kept.changed).sum()),
        days=nulls.days_in(difference) if len(kept.names) else 0,
        windows=int(np.isfinite(difference[1:]).sum()) if len(kept.names) else 0,
        separate=nulls.separate_in(difference, span) if len(kept.names) else 0,
        alpha=alpha,
        level=level,
    )
    found = Measured(metric, kept, choice, doubts=doubts, notes=notes, blocked=blocked)
    if choice.rule is None:
        doubt = Doubt(choice.reason, choice.needs)
        return replace(found, doubts=(*doubts, doubt), blocked=True)
    found = _effects(found, mads)
    found = replace(found, visible=_visible(found, span, level))
    if choice.rule in (Rule.BOTH, Rule.TARGETS):
        return _among_targets(found, mads, span, alpha)
    return _over_time(found, mads, difference, span)


def _only(moves: Moves, rows: Flags) -> Moves:
    return replace(
        moves,
        names=tuple(name for name, keep in zip(moves.names, rows, strict=True) if keep),
        changed=moves.changed[rows],
        moves=moves.moves[rows],
        points=moves.points[rows],
    )


def _silences(moves: Moves, missing: Collection[str]) -> tuple[tuple[Doubt, ...], tuple[str, ...]]:
    changed = dict(zip(moves.names, moves.changed, strict=True))
    why = dict.fromkeys(missing, "no series") | moves.silent
    quiet = {name: text for name, text in sorted(why.items()) if changed.get(name, True)}
    dropped = {name: text for name, text in sorted(why.items()) if not changed.get(name, True)}
    doubts = []
    if quiet:
        doubts.append(Doubt(f"changed targets cannot be judged: {_listed(quiet)}", "their points"))
    if dropped and len(dropped) * 2 > int((~moves.changed).sum()):
        doubts.append(Doubt(f"most controls are silent: {_listed(dropped)}", "their points"))
    notes = (f"left out of the controls: {_listed(dropped)}",) if dropped else ()
    return tuple(doubts), notes


def _listed(why: dict[str, str], most: int = 5) -> str:
    shown = "; ".join(f"{name}: {text}" for name, text in list(why.items())[:most])
    return shown + (f"; and {len(why) - most} more" if len(why) > most else "")


def _exposure(metric: Metric, moves: Moves, span: Span) -> list[Doubt]:
    doubts = []
    for name, side in (("changed", moves.changed), ("control", ~moves.changed)):
        points = int(moves.points[side].sum())
        if side.any() and points < metric.min_points:
            reason = f"the {name} targets have {points} points in the soak, of {metric.min_points}"
            doubts.append(Doubt(reason, "a longer soak, more targets, or points more often"))
    counted = [s for s in metric.series if s.group is Group.CHANGED and len(s.exposure_times)]
    if counted:
        inside = [(s.exposure_times >= span.start) & (s.exposure_times < span.end) for s in counted]
        parts = [np.nansum(s.exposure[at]) for s, at in zip(counted, inside, strict=True)]
        if (total := float(sum(parts))) < metric.min_exposure:
            reason = f"the changed targets were asked {total:g} times, of {metric.min_exposure:g}"
            doubts.append(Doubt(reason, "a longer soak, or more traffic"))
    return doubts


def _effects(found: Measured, mads: Array) -> Measured:
    """Say how far each target, and all of them together, moved."""
    changed, controls = found.moves.changed, ~found.moves.changed
    beside = nulls.in_mads(nulls.against(mads, controls)) if controls.any() else mads
    effects = nulls.less_usual(found.moves.moves)
    effect = float(effects[changed].mean())
    if controls.any():
        effect -= float(np.median(effects[controls]))
    return replace(found, effects=effects, effect=effect, deviations=nulls.less_usual(beside))


def _visible(found: Measured, span: Span, alpha: float) -> float:
    """Say which effect would be found in four of five cases, from how the past varied."""
    changed, moves = found.moves.changed, found.moves.moves
    if found.choice.rule in (Rule.BOTH, Rule.TARGETS):
        moves = nulls.against(moves, ~changed)
    test = _over(found)(nulls.difference(moves, changed), span)
    df = max(test.df, 1.0)
    return test.scale * (t_quantile(alpha, df) + t_quantile(1 - POWER, df))


def _over(found: Measured) -> Callable[[Array, Span], Test]:
    long = found.choice.rule in (Rule.BOTH, Rule.DAYS, Rule.ALONE)
    return nulls.against_days if long else nulls.against_windows


def _over_time(found: Measured, mads: Array, difference: Array, span: Span) -> Measured:
    """Test a few targets against the past, when the controls stayed as they were."""
    controls, test = ~found.moves.changed, _over(found)
    found = replace(found, first=test(difference, span))
    if not controls.any():
        caveat = "without controls a shock to the whole fleet cannot be told from harm"
        return replace(found, notes=(*found.notes, caveat))
    few = np.ones(int(controls.sum()), dtype=bool)
    alone = nulls.difference(mads[controls], few, nulls.WIDE_CLIP)
    if not _MOVED < test(alone, span).p < 1 - _MOVED:
        doubt = Doubt(
            "the controls moved too, and they are too few to tell a shock to the fleet from harm",
            "a soak while the fleet is calm, or more controls",
        )
        return replace(found, doubts=(*found.doubts, doubt), blocked=True)
    return found


def _among_targets(found: Measured, mads: Array, span: Span, alpha: float) -> Measured:
    """Test against other choices of targets and against the past, when the groups move together."""
    changed, rule = found.moves.changed, found.choice.rule
    beside = nulls.in_mads(nulls.against(mads, ~changed))
    difference = nulls.difference(beside, changed)
    centred = nulls.in_mads(nulls.against(mads, np.ones(len(changed), dtype=bool)))
    correct = nulls.less_usual if rule is Rule.BOTH else _as_it_is
    among = nulls.among_targets(correct(centred, 0), changed)
    if rule is Rule.BOTH:
        found = replace(found, first=nulls.against_days(difference, span), second=among)
    else:
        found = replace(found, first=among, second=nulls.against_windows(difference, span))
    earlier = _earlier(difference, span)
    before = nulls.among_targets_before(
        np.stack([correct(centred, column) for column in earlier], axis=1), changed
    )
    level = found.choice.cap if rule is Rule.BOTH else alpha
    unlike = float((before <= level).mean())
    if unlike > _UNLIKE:
        doubt = Doubt(
            f"the groups do not move together: they differ in {unlike:.0%} of {len(earlier)} "
            "earlier windows",
            f"controls more like the changed targets, or {MIN_DAYS + 1} days of history",
        )
        return replace(found, doubts=(*found.doubts, doubt), blocked=True)
    return found


def _as_it_is(values: Array, column: int) -> Array:
    result: Array = values[:, column]
    return result


def _earlier(difference: Array, span: Span) -> list[int]:
    """Choose windows of the past for the check: apart from each other where there are enough."""
    past = np.flatnonzero(np.isfinite(difference[1:])) + 1
    most = min(max(int(nulls.separate_in(difference, span)), MIN_WINDOWS), _MOST_EARLIER)
    return [int(past[at]) for at in np.unique(np.linspace(0, len(past) - 1, most).astype(int))]
