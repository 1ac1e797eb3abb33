"""What the tab and the overview show, and how much is read for it."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import thread_time
from timeit import repeat

import pytest
from airflow.sdk import ObjectStoragePath

from phased_rollout.model.change import Change
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import TargetState
from phased_rollout.records import RecordStore
from phased_rollout.ui.facts import Next, Reader, fingerprint, gather
from phased_rollout.ui.overview import Line, overview
from phased_rollout.ui.run_view import run_view
from tests.builders import START, a_channel, a_plan
from tests.unit.ui.told import NOW, a_run, applied, facts_of, graduated

THOUSAND = a_plan(a_channel("test", targets=100), a_channel("production", targets=900))


def test_the_view_is_json_and_names_targets_in_the_order_of_the_plan() -> None:
    view = run_view(
        facts_of("previewed", *applied("playground"), differences=[], authorize=[]),
        a_run(),
        now=NOW,
    )
    assert json.loads(json.dumps(view)) == view
    first = view["channels"][0]
    assert (first["stage"], first["counts"], first["gate"]) == ("soaking", {"soaking": 2}, "timer")
    assert first["soak_ends"] == "2026-01-05T12:00:15+00:00"
    assert [t["name"] for t in first["targets"]] == ["playground-1", "playground-2"]
    assert [t["map_index"] for t in first["targets"]] == [0, 1]


def test_what_no_earlier_channel_exercises_is_told_beside_what_changes() -> None:
    untested = {"policy": "warn", "lines": ["production: 0 of 1 kinds"], "channels": {}}
    told = {"differences": ["1 target: add Queue"], "authorize": []}
    seen = run_view(facts_of("previewed", **told, untested=untested), a_run(), now=NOW)["preview"]
    assert (seen["lines"], seen["untested"]) == (told["differences"], untested["lines"])
    earlier = run_view(facts_of("previewed", **told), a_run(), now=NOW)["preview"]
    assert earlier["untested"] == []


def test_who_decided_what_is_told() -> None:
    view = run_view(
        facts_of("authorized", "approved test", "rejected production"), a_run(), now=NOW
    )
    assert [(d["who"], d["what"]) for d in view["decisions"]] == [
        ("ann", "authorized the rollout"),
        ("ann", "approved test"),
        ("ann", "rejected production"),
    ]


def test_the_rollback_is_told_as_it_happened() -> None:
    back = [
        "rolling_back test",
        "restored test/test-1",
        "left_alone test/test-2",
        "rolled_back test",
    ]
    view = run_view(facts_of(*applied("test"), "armed", *back), a_run("failed"), now=NOW)
    assert [(step["what"], step["targets"]) for step in view["rollback"]] == [
        ("The rollback is armed", []),
        ("Restores test", ["restored: test-1", "left alone: test-2: because"]),
        ("Restored test", []),
    ]


def test_equal_observations_share_a_row_and_the_worst_come_first() -> None:
    seen = [[f"test-{n}", "status", "ok", "COMPLETE"] for n in range(1, 8)]
    seen.append(["test-8", "alarm", "harm", "errors"])
    view = run_view(facts_of("healthy test", evidence=seen), a_run(), now=NOW)
    assert [(r["health"], r["targets"]) for r in view["evidence"]["rows"]] == [
        ("harm", "test-8"),
        ("ok", "test-1, test-2, test-3, test-4, test-5 and 2 more"),
    ]


def test_the_overview_tells_of_each_definition_without_its_targets() -> None:
    facts = facts_of(*graduated("playground"))
    lines = [Line("accounts", "accounts", "", paused=False, run=a_run(), facts=facts)]
    told = overview([*lines, Line("network", "network", "", paused=True)], now=NOW)["definitions"]
    assert [c["stage"] for c in told[0]["run"]["channels"]] == ["graduated", "waiting", "waiting"]
    assert "targets" not in json.dumps(told[0]["run"]["channels"])
    assert (told[1]["run"], told[1]["paused"]) == (None, True)


def test_a_thousand_targets_cost_names_and_hardly_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what every target has, no file is opened; only what says why is read, and just once."""
    store = Reader(ObjectStoragePath(f"file://{tmp_path}"))
    records = store.rollout("accounts", "manual__1")
    records.freeze(THOUSAND, Change("change", {"template.yaml": "new"}))
    for channel in THOUSAND.channels:
        records.add(Kind.ENTERED, at=START, channel=channel.name)
        for target in channel.targets:
            given = {"channel": channel.name, "target": target.name, "at": START}
            records.capture(TargetState(None), **given)
            records.add(Kind.VERIFIED, digest="d", reason="done", **given)
    opened: list[str] = []
    read = RecordStore.read
    monkeypatch.setattr(
        RecordStore, "read", lambda self, path: opened.append(path.name) or read(self, path)
    )
    view = run_view(gather(records), a_run(), now=NOW)
    assert sum(sum(c["counts"].values()) for c in view["channels"]) == 1000
    assert len(opened) == 3
    opened.clear()
    gather(records)
    assert opened == []


def test_four_times_the_targets_take_about_four_times_as_long_to_show() -> None:
    """What grows with the square of the targets takes sixteen times as long."""

    def seconds(targets: int) -> float:
        plan = a_plan(*(a_channel(name, targets=targets) for name in ("a", "b", "c", "d")))
        happened = [
            text
            for channel in plan.channels
            for text in (
                f"entered {channel.name}",
                *(f"verified {channel.name}/{target.name}" for target in channel.targets),
                f"healthy {channel.name}",
                f"graduated {channel.name}",
            )
        ]
        seen = [[t.name, "status", "ok", "COMPLETE"] for c in plan.channels for t in c.targets]
        facts = facts_of(*happened, plan=plan, evidence=seen)
        view = run_view(facts, a_run(), now=NOW)
        assert sum(len(channel["targets"]) for channel in view["channels"]) == 4 * targets
        # This thread's time only, and without garbage collections (timeit does that): both take
        # the longer the more the tests before this one left.
        show = partial(run_view, facts, a_run(), now=NOW)
        return min(repeat(show, number=1, repeat=5, timer=thread_time))

    ratio = seconds(2000) / seconds(500)
    assert ratio < 10, f"{ratio:.1f} times as long"


def test_the_rollout_that_took_over_is_found(tmp_path: Path) -> None:
    store = Reader(ObjectStoragePath(f"file://{tmp_path}"))
    first, second = store.rollout("accounts", "manual__1"), store.rollout("accounts", "manual__2")
    change = Change("change", {"template.yaml": "new"})
    first.freeze(a_plan(), change)
    assert gather(first).next is None
    before = fingerprint(first)
    later = replace(a_plan(), run_id="manual__2", made_at=NOW, emergency=True)
    second.freeze(later, change)
    assert gather(first).next == Next("manual__2", emergency=True, supersedes=False)
    assert fingerprint(first) != before
    second.add(Kind.SUPERSEDES, at=NOW, run="manual__1")
    assert gather(first).next == Next("manual__2", emergency=True, supersedes=True)


def test_the_fingerprint_changes_with_every_record_and_with_what_airflow_knows(
    tmp_path: Path,
) -> None:
    records = Reader(ObjectStoragePath(f"file://{tmp_path}")).rollout("accounts", "manual__1")
    found = [fingerprint(records, "running"), fingerprint(records, "failed")]
    records.freeze(a_plan(), Change("change", {"template.yaml": "new"}))
    found.append(fingerprint(records, "running"))
    given = {"channel": "test", "target": "test-1", "at": START}
    records.capture(TargetState(None), **given)
    found.append(fingerprint(records, "running"))
    records.add(Kind.VERIFIED, digest="d", **given)
    found.append(fingerprint(records, "running"))
    records.add(Kind.ENTERED, at=START, channel="test")
    found.append(fingerprint(records, "running"))
    assert len(set(found)) == len(found)
    assert fingerprint(records, "running") == found[-1]
