"""Rollouts as they are recorded, to be looked at in a browser."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from phased_rollout import debts
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.change import Change
from phased_rollout.model.definition import (
    AdapterSpec,
    Approval,
    Channel,
    Definition,
    GateKind,
    Target,
)
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Plan
from phased_rollout.model.selection import Hold
from phased_rollout.model.target_state import TargetState
from phased_rollout.model.windows import FreezeWindow
from phased_rollout.records import RecordStore, RolloutRecords

SOAK = timedelta(minutes=10)
SIGNALS = {"status": "UPDATE_COMPLETE", "alarm baseline-errors": "state OK"}
DIFFERENCES = [
    "1 target: REPLACE AWS::SSM::Parameter Pointer Value: a → b (test-2)",
    "12 targets: modify AWS::Logs::LogGroup Logs RetentionInDays (test-1 and 11 more)",
]

UNTESTED = [
    "playground is no evidence: nothing would change in it",
    "production: no channel before it changes a target with region=cn-north-1 (2 targets)",
]


class Scene:
    """Writes the records of one run; time goes on with each."""

    def __init__(
        self,
        channels: dict[str, int],
        *,
        began: timedelta,
        name: str = "accounts",
        freeze: timedelta | None = None,
        **plan: Any,
    ) -> None:
        self.at = datetime.now(UTC) - began
        self.run_id = f"manual__{self.at:%Y-%m-%dT%H:%M:%S}+00:00"
        windows = (_window(freeze),) if freeze else ()
        found = tuple(_channel(c, n) for c, n in channels.items())
        self.channels = (*found[:-1], replace(found[-1], freeze=windows))
        spec = AdapterSpec("cloudformation", {"connection": "aws", "stack": "baseline"})
        definition = Definition(name=name, substrate=spec, channels=self.channels)
        self.plan = replace(
            Plan(definition, self.run_id, "c" * 64, "longer-retention", self.at), **plan
        )
        self.records: RolloutRecords = RecordStore.from_environment().rollout(name, self.run_id)
        change = Change(
            "longer-retention", {"template.yaml": "new"}, description="Keep logs longer"
        )
        self.records.freeze(self.plan, change)
        self.add(
            Kind.PREVIEWED,
            differences=DIFFERENCES,
            authorize=["destructive: AWS::SSM::Parameter Pointer (test-2)"],
            untested={"policy": "warn", "lines": UNTESTED, "channels": {}},
            targets={},
        )

    def add(self, kind: Kind, seconds: float = 1, **details: Any) -> None:
        self.at += timedelta(seconds=seconds)
        self.records.add(kind, at=self.at, **details)

    def targets(self, channel: str) -> list[Target]:
        return list(self.plan.definition.channel(channel).targets)

    def touch(self, channel: str, target: str) -> None:
        self.records.capture(TargetState(None), channel=channel, target=target, at=self.at)

    def apply(self, channel: str, *, names: list[str] | None = None) -> None:
        """Enter a channel and verify its targets, or some of them."""
        self.add(Kind.ENTERED, channel=channel)
        for name in names or [t.name for t in self.targets(channel)]:
            self.touch(channel, name)
            self.add(Kind.VERIFIED, 0.2, channel=channel, target=name, digest="d", reason="done")
        if names is None:
            self.add(Kind.APPLIED, channel=channel, wave=1)

    def judge(self, channel: str, *earlier: str) -> None:
        """Judge a channel healthy after its soak, and the earlier ones again."""
        seen = [
            [target.name, signal, "ok", detail]
            for name in (*earlier, channel)
            for target in self.targets(name)
            for signal, detail in SIGNALS.items()
        ]
        self.add(
            Kind.HEALTHY,
            self.plan.definition.channel(channel).soak.total_seconds(),
            channel=channel,
            reason=f"{len(seen)} observations of {len(seen) // len(SIGNALS)} targets are ok",
            evidence=seen,
        )

    def graduate(self, channel: str, *earlier: str) -> None:
        self.apply(channel)
        self.judge(channel, *earlier)
        self.add(Kind.GRADUATED, channel=channel)


def _window(lasts: timedelta) -> FreezeWindow:
    begins = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(hours=1)
    return FreezeWindow("year end", "the books are closed", "UTC", begins, lasts)


def _channel(name: str, count: int) -> Channel:
    targets = tuple(
        Target(f"{name}-{n}", {"account": f"{n:012d}", "region": "eu-central-1"})
        for n in range(1, count + 1)
    )
    approval = name == "production"
    gate = {GateKind.HEALTH, GateKind.APPROVAL} if approval else {GateKind.HEALTH}
    moves = Target(f"{name}-moves", {"account": "9" * 12}, Hold("it moves", date(2099, 1, 31)))
    return Channel(
        name,
        targets,
        SOAK,
        frozenset(gate),
        approval=Approval(("ann", "bob")),
        max_failed=1,
        on_hold=(moves,) if approval else (),
    )


FLEET = {"playground": 1, "test": 4, "infra": 3, "production": 4}


def held_in_mid_soak() -> Scene:
    """The third channel soaks, one of its targets failed within the tolerance; ann holds it."""
    scene = Scene(FLEET, began=timedelta(minutes=25), pays=("scheduled__2",))
    scene.add(Kind.AUTHORIZED, 20, user="bob")
    scene.graduate("playground")
    scene.graduate("test", "playground")
    scene.add(Kind.ENTERED, channel="infra")
    for name in ("infra-1", "infra-2"):
        scene.touch("infra", name)
        scene.add(Kind.VERIFIED, channel="infra", target=name, digest="d", reason="done")
    scene.touch("infra", "infra-3")
    refused = {"channel": "infra", "target": "infra-3", "reason": "refused: Queue already exists"}
    scene.add(Kind.REFUSED, **refused)
    scene.add(Kind.EXCEPTING, **refused)
    scene.add(Kind.EXCEPTED, **refused | {"reason": "the stack is as it was before"})
    scene.add(Kind.APPLIED, channel="infra", wave=1)
    scene.add(
        Kind.OPERATOR_HOLD, 30, user="ann", reason="the network team looks into a packet loss"
    )
    return scene


def frozen() -> Scene:
    """The last channel is frozen for two days."""
    scene = Scene(FLEET, began=timedelta(minutes=45), freeze=timedelta(days=2))
    scene.graduate("playground")
    scene.graduate("test", "playground")
    scene.graduate("infra", "playground", "test")
    scene.add(Kind.HELD, channel="production", reason="frozen by year end")
    return scene


def asking() -> Scene:
    """The last channel waits for a person."""
    scene = Scene(FLEET, began=timedelta(minutes=45))
    for name in FLEET:
        (scene.graduate if name != "production" else scene.apply)(name)
    scene.judge("production")
    scene.add(Kind.ASKED, channel="production.gate")
    return scene


def rolled_back() -> Scene:
    """The second channel refused it; ann was asked whether the rollback goes on."""
    scene = Scene(FLEET, began=timedelta(minutes=20))
    scene.add(Kind.AUTHORIZED, 20, user="bob")
    scene.graduate("playground")
    scene.apply("test", names=["test-1", "test-2"])
    for name, why in (("test-3", "AWS::SQS::Queue: already exists"), ("test-4", "access denied")):
        scene.touch("test", name)
        scene.add(Kind.REFUSED, channel="test", target=name, reason=f"refused: {why}")
    why = "test-3: refused: AWS::SQS::Queue: already exists\nto try again: clear test.enter"
    scene.add(Kind.ARMED, reason=f"test.apply: {why}")
    scene.add(Kind.FAILED, channel="test", task="test.apply", reason=why, attempt="1")
    scene.add(Kind.ROLLING_BACK, channel="test")
    given = {"channel": "test"}
    for name in ("test-1", "test-3", "test-4"):
        scene.add(Kind.RESTORED, target=name, reason="as it was before", **given)
    scene.add(Kind.RESTORE_FAILED, target="test-2", reason="UPDATE_ROLLBACK_FAILED", **given)
    scene.add(Kind.ASKED, channel="rollback.test")
    scene.add(Kind.RESUMED, 40, channel="test", user="ann")
    scene.add(Kind.CLOSED, channel="rollback.test")
    scene.add(Kind.LEFT_ALONE, target="test-2", reason="somebody else changed it since", **given)
    scene.add(Kind.ROLLED_BACK, channel="test")
    scene.add(Kind.ROLLING_BACK, channel="playground")
    scene.add(Kind.RESTORED, channel="playground", target="playground-1", reason="as before")
    scene.add(Kind.ROLLED_BACK, channel="playground")
    scene.add(Kind.CONCLUDED)
    return scene


def emergency() -> Scene:
    """It skips a channel, has taken over, and owes."""
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("test",), "CVE-2026-1", "carl")
    scene = Scene(FLEET, name="network", began=timedelta(minutes=13), bypass=bypass, emergency=True)
    scene.add(Kind.SUPERSEDES, run="manual__1")
    scene.add(Kind.AUTHORIZED, 20, user="bob")
    scene.graduate("playground")
    scene.add(Kind.BYPASSED, channel="test", reason="CVE-2026-1")
    scene.apply("infra", names=["infra-1"])
    scene.touch("infra", "infra-2")
    debts.owe(scene.records, scene.plan, at=scene.at)
    return scene


def a_thousand() -> Scene:
    """A thousand targets in each of four channels; the third is being applied."""
    counts = dict.fromkeys(FLEET, 1000)
    scene = Scene(counts, name="fleet", began=timedelta(hours=2))
    scene.graduate("playground")
    scene.graduate("test", "playground")
    scene.apply("infra", names=[f"infra-{n}" for n in range(1, 400)])
    for number in range(400, 420):
        scene.touch("infra", f"infra-{number}")
    refused = {"channel": "infra", "target": "infra-420", "reason": "refused: limit exceeded"}
    scene.touch("infra", "infra-420")
    scene.add(Kind.REFUSED, **refused)
    scene.add(Kind.EXCEPTED, **refused)
    return scene
