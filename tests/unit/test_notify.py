"""Telling people: once, bounded in time, without secrets, and never to the harm of a rollout."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phased_rollout import notify
from phased_rollout.model.notices import Notice
from phased_rollout.model.notifier import Event, Notifier
from phased_rollout.records import RecordStore, RolloutRecords
from tests.notifiers import SECRET, Hangs, Keeps
from tests.unit.conftest import begin

NOTICE = Notice(Event.FAILED, ("accounts: failed", "because"))
KEEPS = Notifier("tests.notifiers.Keeps")


class Ti:
    dag_id = "accounts_emergency"


CONTEXT: dict[str, Any] = {"ti": Ti(), "run_id": "manual__1"}


@pytest.fixture
def told() -> Iterator[list[str]]:
    Keeps.told.clear()
    yield Keeps.told
    Keeps.told.clear()


@pytest.fixture
def records(store: Path) -> RolloutRecords:
    return begin()


def test_a_notifier_is_told_with_its_template_rendered(
    records: RolloutRecords, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/x/")
    text = "{{ event }}|{{ message }}|{{ definition }}|{{ channel }}|{{ run_id }}|{{ link }}"
    notify.tell(records, [Notifier(KEEPS.path, options={"text": text})], NOTICE, CONTEXT)
    link = "https://airflow.example/x/dags/accounts_emergency/runs/manual__1"
    assert told == [f"failed|accounts: failed\nbecause|accounts||manual__1|{link}"]


def test_what_an_event_says_is_no_template(records: RolloutRecords, told: list[str]) -> None:
    said = Notice(Event.FAILED, ("{{ run_id }} <script>",))
    notify.tell(records, [KEEPS], said, CONTEXT)
    assert told == ["failed: {{ run_id }} <script>"]


def test_only_the_events_that_were_asked_for_are_told(
    records: RolloutRecords, told: list[str]
) -> None:
    notify.tell(records, [Notifier(KEEPS.path, events=(Event.STARTED,))], NOTICE, CONTEXT)
    assert told == []
    assert not (records.folder / "told").exists()


def test_an_event_is_told_once_in_the_life_of_a_run(
    records: RolloutRecords, told: list[str]
) -> None:
    again = RecordStore.from_environment().rollout("accounts", "manual__1")
    notify.tell(records, [KEEPS], NOTICE, CONTEXT)
    notify.tell(again, [KEEPS], NOTICE, CONTEXT)
    other = Notice(Event.FAILED, NOTICE.lines, occurrence=("second",))
    notify.tell(again, [KEEPS], other, CONTEXT)
    assert told == ["failed: accounts: failed"] * 2


def test_a_notifier_that_is_only_asynchronous_is_told_too(
    records: RolloutRecords, told: list[str]
) -> None:
    notify.tell(records, [Notifier("tests.notifiers.KeepsLater")], NOTICE, CONTEXT)
    assert told == ["later failed: accounts: failed"]


@pytest.mark.parametrize(
    ("notifier", "why"),
    [
        (Notifier("tests.notifiers.Fails"), "failed with RuntimeError"),
        (Notifier("tests.notifiers.Exits"), "failed with SystemExit"),
        (Notifier("tests.notifiers.Missing"), "cannot be imported"),
        (Notifier("no_such_package.Notifier"), "cannot be imported: No module named"),
        (Notifier("pathlib.Path"), "is no subclass of airflow.sdk.BaseNotifier"),
        (Notifier(KEEPS.path, options={"txt": "x"}), "unexpected keyword argument 'txt'"),
        (Notifier(KEEPS.path, options={"text": "{{ no.such.thing }}"}), "failed with UndefinedErr"),
    ],
)
def test_a_bad_notifier_harms_nobody_and_is_named_without_secrets(
    records: RolloutRecords,
    told: list[str],
    caplog: pytest.LogCaptureFixture,
    notifier: Notifier,
    why: str,
) -> None:
    with caplog.at_level(logging.DEBUG):
        notify.tell(records, [notifier, KEEPS], NOTICE, CONTEXT)
    assert told == ["failed: accounts: failed"]
    assert f"notifier {notifier.path} " in caplog.text
    assert why in caplog.text
    assert SECRET not in caplog.text


def test_a_notifier_that_hangs_is_not_waited_for(
    records: RolloutRecords,
    told: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notify, "PATIENCE", 0.5)
    Hangs.released.clear()
    hangs = Notifier("tests.notifiers.Hangs")
    begun = time.monotonic()
    notify.tell(records, [hangs, hangs, hangs, KEEPS], NOTICE, CONTEXT)
    took = time.monotonic() - begun
    Hangs.released.set()
    assert took < 5
    assert told == ["failed: accounts: failed"]
    assert "tests.notifiers.Hangs has not answered within 0.5 s" in caplog.text


def test_records_that_cannot_be_written_harm_nobody(
    records: RolloutRecords,
    told: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(RecordStore, "create", broken)
    notify.tell(records, [KEEPS], NOTICE, CONTEXT)
    assert told == []
    assert "failed could not be told: OSError" in caplog.text


def test_notifiers_that_cannot_be_used_are_found_before_they_are_needed() -> None:
    email = Notifier("email", options={"to": "a@example.com"})
    found = notify.problems_of([KEEPS, Notifier("no_such_package.X"), email])
    assert list(found) == [1]
    assert found[1].startswith("cannot be imported: No module named 'no_such_package'")


def test_the_short_names_of_installed_providers_are_right() -> None:
    email = Notifier("email", options={"to": "a@example.com"})
    options = {"target_arn": "arn", "message": "x"}
    assert notify.problems_of([email, Notifier("sns", options=options)]) == {}
