"""Which targets are compared with which, when the metrics of a channel are judged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind, Ledger
from phased_rollout.model.plan import Plan


@dataclass(frozen=True, slots=True)
class Sides:
    """The changed targets of a channel, and those that the change has not reached.

    :param changed: verified since the channel was entered, and running something else before
    :param controls: in channels that this rollout has never entered
    :param left_out: target to why it is neither, of this channel and those that were not entered
    """

    changed: tuple[Target, ...]
    controls: tuple[Target, ...]
    left_out: Mapping[str, str]


def sides_of(
    plan: Plan, ledger: Ledger, targets: Ledger, *, channel: str, had_it: Collection[str]
) -> Sides:
    """Part the targets of a plan for a judgement of one channel.

    A target in quarantine is on no side: the plan leaves it out. A target that was changed is no
    control, not even after it was restored: its past is another one by then.

    :param targets: what has happened to the targets of the channel
    :param had_it: names of targets that ran the change before this rollout came to them
    """
    entered = ledger.last(Kind.ENTERED, channel=channel)
    changed, left_out = [], {}
    for target in plan.definition.channel(channel).targets:
        verified = targets.last(Kind.VERIFIED, target=target.name)
        if targets.last(Kind.EXCEPTED, Kind.EXCEPTING, target=target.name) > entered:
            left_out[target.name] = "failed within the tolerance, and was restored"
        elif target.name in had_it:
            left_out[target.name] = "ran the change before"
        elif verified > entered:
            changed.append(target)
        else:
            left_out[target.name] = "was not verified"
    controls = []
    for other in plan.channels:
        if other.name == channel or ledger.happened(Kind.ENTERED, channel=other.name):
            continue
        had = {t.name for t in other.targets if ledger.is_unchanged(other.name)} | {*had_it}
        controls += [target for target in other.targets if target.name not in had]
        left_out |= {t.name: "runs the change already" for t in other.targets if t.name in had}
    return Sides(tuple(changed), tuple(controls), left_out)
