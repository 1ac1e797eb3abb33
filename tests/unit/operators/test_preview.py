"""One merged diff over all targets, and what needs a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, DownstreamTasksSkipped

from phased_rollout.errors import ChangeError, RefusedError, RolloutError, UnreachableError
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.definition import Target
from phased_rollout.model.ledger import Kind
from phased_rollout.model.plan import Origin
from phased_rollout.model.target_state import Difference, Preview
from phased_rollout.operators.preview import PreviewOperator
from phased_rollout.rollout import Rollout
from tests.builders import a_channel
from tests.fakes import FakeSubstrate
from tests.unit.conftest import begin

CONTEXT: dict[str, Any] = {"run_id": "manual__1"}
MODIFY = Difference("Modify", "Topic", "AWS::SNS::Topic")
REMOVE = Difference("Remove", "Bucket", "AWS::S3::Bucket", destructive=True)


def preview() -> PreviewOperator:
    return PreviewOperator(task_id="preview", definition="accounts")


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[Target], Preview]) -> None:
    monkeypatch.setattr(FakeSubstrate, "preview", lambda *given, **_: answer(given[1]))


def test_a_harmless_change_needs_no_authorization(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = begin(a_channel("playground"))
    answering(monkeypatch, lambda _: Preview((MODIFY,)))
    assert preview().execute(CONTEXT) == {"changing": 2, "unchanged": 0}
    assert records.details(Kind.PREVIEWED)[0]["authorize"] == []


def test_what_is_destructive_or_irreversible_or_bypassed_needs_one(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("test",), "urgent", "alice")
    records = begin(a_channel("playground"), a_channel("test"), bypass=bypass)
    answering(monkeypatch, lambda _: Preview((REMOVE,), irreversible=("X is lost",)))
    preview().execute(CONTEXT)
    assert records.details(Kind.PREVIEWED)[0]["authorize"] == [
        "bypasses test: urgent",
        "destructive on 2 targets: Remove AWS::S3::Bucket Bucket",
        "irreversible on 2 targets: X is lost",
    ]


def test_no_more_is_destroyed_than_the_definition_lets_anybody_authorize(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = begin(a_channel("playground", targets=3), max_destructive=2)
    answering(monkeypatch, lambda _: Preview((REMOVE,)))
    with pytest.raises(AirflowFailException) as failed:
        preview().execute(CONTEXT)
    assert str(failed.value) == (
        "nothing was touched: 3 destructive differences, and max_destructive of accounts is 2: "
        "split the change up, or raise it in channels.yaml: destructive on 3 targets: Remove "
        "AWS::S3::Bucket Bucket"
    )
    assert "3 destructive" in records.details(Kind.PREVIEWED)[0]["refused"]


@pytest.mark.parametrize(("limit", "destroyed"), [(0, 0), (2, 2), (None, 2)])
def test_as_much_is_destroyed_as_the_definition_allows_if_a_person_authorizes(
    store: Path,
    substrate: FakeSubstrate,
    monkeypatch: pytest.MonkeyPatch,
    limit: int | None,
    destroyed: int,
) -> None:
    records = begin(a_channel("playground"), max_destructive=limit)
    answering(monkeypatch, lambda _: Preview((REMOVE if destroyed else MODIFY,)))
    preview().execute(CONTEXT)
    assert bool(records.details(Kind.PREVIEWED)[0]["authorize"]) is bool(destroyed)


def test_a_channel_without_a_change_is_said_to_soak_when_it_never_graduated(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = begin(a_channel("playground"), a_channel("test", targets=1))
    rollout = Rollout.open("accounts", "manual__1")
    for target in rollout.plan.channels[0].targets:
        substrate.running[target.name] = rollout.artifact("playground", target)
    answering(monkeypatch, lambda _: Preview((MODIFY,)))
    assert preview().execute(CONTEXT) == {"changing": 1, "unchanged": 2}
    [recorded] = records.details(Kind.PREVIEWED)
    assert recorded["unchanged"] == {}
    assert recorded["differences"] == [
        "1 target: modify AWS::SNS::Topic Topic (test-1)",
        "playground: nothing to change, but no record that it graduated there: it soaks, and is "
        "judged",
    ]


def test_targets_that_moved_since_the_last_rollout_need_one(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = begin(a_channel("playground"), origin=Origin(authorize=("2 targets moved",)))
    answering(monkeypatch, lambda _: Preview((MODIFY,)))
    preview().execute(CONTEXT)
    assert records.details(Kind.PREVIEWED)[0]["authorize"] == ["2 targets moved"]


def test_when_every_target_runs_the_change_the_rest_is_skipped(
    store: Path, substrate: FakeSubstrate
) -> None:
    records = begin(a_channel("playground"))
    rollout = Rollout.open("accounts", "manual__1")
    for target in rollout.plan.channels[0].targets:
        substrate.running[target.name] = rollout.artifact("playground", target)
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        preview().execute(CONTEXT)
    assert skipped.value.tasks == ["authorize", "playground.enter"]
    assert records.ledger().happened(Kind.NOTHING_TO_CHANGE)


@pytest.mark.parametrize("error", [RefusedError("it says no"), ChangeError("no parameter Size")])
def test_what_a_retry_cannot_mend_fails_at_once_and_names_the_targets(
    store: Path,
    substrate: FakeSubstrate,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    begin(a_channel("playground"))

    def refuse(target: Target) -> Preview:
        raise error

    answering(monkeypatch, refuse)
    with pytest.raises(AirflowFailException) as failed:
        preview().execute(CONTEXT)
    assert str(failed.value) == (
        f"nothing was touched; the preview failed:\nplayground-1: {error}\nplayground-2: {error}"
    )


def test_a_target_that_cannot_be_reached_is_asked_again(
    store: Path, substrate: FakeSubstrate
) -> None:
    begin(a_channel("playground"))
    substrate.unreachable.add("playground-1")
    with pytest.raises(AirflowException) as failed:
        preview().execute(CONTEXT)
    assert not isinstance(failed.value, AirflowFailException)


def test_neighbouring_channels_on_platforms_far_apart_are_warned_of(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = [a_channel(name, targets=1) for name in ("playground", "test", "production")]
    records = begin(*channels)
    substrate.platforms = {"playground-1": "v1.33.1", "test-1": "v1.32.0", "production-1": "v1.30"}
    answering(monkeypatch, lambda _: Preview((MODIFY,)))
    preview().execute(CONTEXT)
    assert records.details(Kind.PREVIEWED)[0]["differences"][1:] == [
        "test and production run platforms of different versions, v1.32.0 (test-1) and v1.30 "
        "(production-1): what test shows is weak evidence for production"
    ]


@pytest.mark.parametrize("error", [UnreachableError("no answer"), RefusedError("forbidden")])
def test_a_platform_that_cannot_be_read_stops_nothing(
    store: Path,
    substrate: FakeSubstrate,
    monkeypatch: pytest.MonkeyPatch,
    error: RolloutError,
) -> None:
    records = begin(*(a_channel(name, targets=1) for name in ("playground", "test", "production")))
    substrate.platforms = {"playground-1": "v1.33.1", "test-1": error, "production-1": "v1.30.0"}
    answering(monkeypatch, lambda _: Preview((MODIFY,)))
    assert preview().execute(CONTEXT) == {"changing": 3, "unchanged": 0}
    [_, told] = records.details(Kind.PREVIEWED)[0]["differences"]
    assert told.startswith("playground and production run platforms of different versions")


def test_a_substrate_that_knows_no_platforms_is_not_asked(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = begin(a_channel("playground", targets=1))
    monkeypatch.delattr(FakeSubstrate, "platform")
    answering(monkeypatch, lambda _: Preview((MODIFY,)))
    preview().execute(CONTEXT)
    assert len(records.details(Kind.PREVIEWED)[0]["differences"]) == 1


def identified(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let targets say what they are."""
    found = dict(zip(("playground-1", "playground-2", "test-1"), names, strict=True))
    monkeypatch.setattr(
        FakeSubstrate, "identity", lambda _, target: found[target.name], raising=False
    )


def test_one_thing_under_two_names_is_refused_before_anything_is_touched(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = begin(a_channel("playground"), a_channel("test", targets=1))
    identified(monkeypatch, "a", "b", "a")
    with pytest.raises(AirflowFailException) as failed:
        preview().execute(CONTEXT)
    assert str(failed.value) == (
        "nothing was touched; the preview failed:\nplayground-1 in playground and test-1 in test "
        "are the same target: keep one of them"
    )
    assert records.details(Kind.PREVIEWED) == []


def test_what_differs_or_cannot_say_what_it_is_is_no_twin(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(a_channel("playground"), a_channel("test", targets=1))
    identified(monkeypatch, "a", "", "")
    assert preview().execute(CONTEXT) == {"changing": 3, "unchanged": 0}


def test_a_target_that_cannot_be_asked_what_it_is_is_asked_again(
    store: Path, substrate: FakeSubstrate, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(a_channel("playground"))

    def silent(_: FakeSubstrate, target: Target) -> str:
        raise UnreachableError(f"{target.name} does not answer")

    monkeypatch.setattr(FakeSubstrate, "identity", silent, raising=False)
    with pytest.raises(AirflowException, match="playground-2 does not answer") as failed:
        preview().execute(CONTEXT)
    assert not isinstance(failed.value, AirflowFailException)
