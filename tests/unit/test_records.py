"""The record store: created once, whole or not at all, read back as it was."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import psutil
import pytest
from airflow.sdk import ObjectStoragePath
from moto.server import ThreadedMotoServer

from phased_rollout.errors import LockedError, RecordError, RecordExistsError
from phased_rollout.locks import LEASE, Owner, held
from phased_rollout.model.change import Change
from phased_rollout.model.ledger import Entry, Kind
from phased_rollout.model.target_state import Artifact, TargetState
from phased_rollout.records import ENVIRONMENT, RecordStore, RolloutRecords
from tests.builders import START, a_plan

RUN = "manual__2026-01-05T12:00:00+00:00"
CHANGE = Change("change", {"template.yaml": "Resources: {}"}, channels={"test": {"Size": "2"}})


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(ObjectStoragePath(f"file://{tmp_path}/records"))


@pytest.fixture
def records(store: RecordStore) -> RolloutRecords:
    return store.rollout("accounts", RUN)


def test_the_plan_is_read_back_as_it_was_frozen(records: RolloutRecords) -> None:
    records.freeze(a_plan(), CHANGE)
    assert (records.plan(), records.change()) == (a_plan(), CHANGE)


def test_the_first_plan_of_a_run_stays(records: RolloutRecords) -> None:
    records.freeze(a_plan(), CHANGE)
    later = a_plan(description="edited since")
    assert records.freeze(later, CHANGE) == a_plan()


def test_a_record_is_never_edited(store: RecordStore) -> None:
    store.create(store.root / "a.json", {"value": 1})
    with pytest.raises(RecordExistsError, match="a record is never edited"):
        store.create(store.root / "a.json", {"value": 2})
    assert store.read(store.root / "a.json") == {"schema": 1, "value": 1}


def test_only_one_of_many_writers_creates_a_record(store: RecordStore) -> None:
    created = []

    def write(number: int) -> None:
        try:
            store.create(store.root / "one.json", {"number": number})
        except RecordExistsError:
            return
        created.append(number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [store.read(store.root / "one.json")["number"]] == created


def test_records_on_object_storage_are_created_once_too(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    connection = {
        "conn_type": "aws",
        "login": "key",
        "password": "secret",
        "extra": {"region_name": "us-east-1", "endpoint_url": endpoint},
    }
    monkeypatch.setenv("AIRFLOW_CONN_RECORDS", json.dumps(connection))
    try:
        boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id="key",
            aws_secret_access_key="secret",
        ).create_bucket(Bucket="records")
        store = RecordStore(ObjectStoragePath("s3://records@records/root"))
        store.create(store.root / "a.json", {"value": 1})
        with pytest.raises(RecordExistsError):
            store.create(store.root / "a.json", {"value": 2})
        assert store.read(store.root / "a.json")["value"] == 1
        records = store.rollout("accounts", RUN)
        records.freeze(a_plan(), CHANGE)
        records.add(Kind.ENTERED, at=START, channel="test")
        assert records.plan() == a_plan()
        assert records.ledger().entries == (Entry(START, Kind.ENTERED, "test"),)
        assert records.captured("test") == []
        with held(records, target="a", owner=Owner.this_process("run 1"), clock=lambda: START):
            pass
    finally:
        server.stop()


def test_a_damaged_object_is_found_out(store: RecordStore, tmp_path: Path) -> None:
    digest = store.put({"template": "a"})
    assert store.get(digest) == {"template": "a"}
    path = tmp_path / "records/objects" / f"{digest}.json"
    path.write_text(path.read_text().replace('"a"', '"b"'))
    with pytest.raises(RecordError, match="its content has another digest"):
        store.get(digest)


def test_a_missing_plan_is_said_in_words(records: RolloutRecords) -> None:
    with pytest.raises(RecordError, match="there is no record"):
        records.plan()


def test_what_ran_before_is_captured_once(records: RolloutRecords) -> None:
    first = TargetState(Artifact("d1", {"template": "old"}), detail="UPDATE_COMPLETE")
    again = TargetState(Artifact("d2", {"template": "new"}))
    for state in (first, again):
        records.capture(state, channel="test", target="a/b~c", at=START)
    assert records.before(channel="test", target="a/b~c") == first
    assert records.captured("test") == ["a/b~c"]
    assert records.before(channel="test", target="other") is None


def test_nothing_there_before_is_a_capture_too(records: RolloutRecords) -> None:
    records.capture(TargetState(None), channel="test", target="a", at=START)
    assert records.before(channel="test", target="a") == TargetState(None)


def test_the_ledger_is_read_from_names_in_the_order_of_time(records: RolloutRecords) -> None:
    later = START + timedelta(seconds=1)
    records.add(Kind.APPLIED, at=later, channel="test", wave=1)
    records.add(Kind.ENTERED, at=START, channel="test")
    records.add(Kind.ARMED, at=later, reason="because")
    records.add(Kind.VERIFIED, at=later, channel="test", target="a", digest="d")
    assert records.ledger().entries[0] == Entry(START, Kind.ENTERED, "test")
    assert {e.kind for e in records.ledger().entries} == {"entered", "applied", "armed"}
    assert records.of_targets("test").entries == (Entry(later, Kind.VERIFIED, "test", "a"),)
    assert [r["reason"] for r in records.details(Kind.ARMED)] == ["because"]
    assert [r["digest"] for r in records.details(Kind.VERIFIED, channel="test", targets=True)] == [
        "d"
    ]


def test_a_newer_rollout_of_the_definition_is_seen(store: RecordStore) -> None:
    old, new = store.rollout("accounts", "run 1"), store.rollout("accounts", "run 2")
    old.freeze(a_plan(), CHANGE)
    assert old.newer() is None
    plan = a_plan()
    later = type(plan)(
        definition=plan.definition,
        run_id="run 2",
        change=plan.change,
        change_name=plan.change_name,
        made_at=START + timedelta(days=1),
    )
    new.freeze(later, CHANGE)
    assert (old.newer(), new.newer()) == ("run 2", None)


HERE = Owner.this_process("run 1")
ELSEWHERE = replace(HERE, host="another")


def at_start() -> datetime:
    return START


def test_a_second_holder_of_a_lock_is_refused_until_it_is_released(
    records: RolloutRecords,
) -> None:
    with held(records, target="a", owner=HERE, clock=at_start):
        second = held(records, target="a", owner=ELSEWHERE, clock=at_start)
        with pytest.raises(LockedError, match="a is being changed by run 1"):
            second.__enter__()
        with held(records, target="b", owner=ELSEWHERE, clock=at_start):
            pass
    with held(records, target="a", owner=ELSEWHERE, clock=at_start):
        pass


def test_a_lock_of_a_holder_that_cannot_be_seen_expires(records: RolloutRecords) -> None:
    lost = held(records, target="a", owner=ELSEWHERE, clock=at_start)
    lost.__enter__()
    before, after = START + LEASE - timedelta(seconds=1), START + LEASE + timedelta(seconds=1)
    with pytest.raises(LockedError):
        held(records, target="a", owner=HERE, clock=lambda: before).__enter__()
    with held(records, target="a", owner=HERE, clock=lambda: after):
        pass


def test_a_lock_of_a_process_that_was_killed_here_is_taken_over_at_once(
    records: RolloutRecords,
) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    born = psutil.Process(child.pid).create_time()
    killed = replace(HERE, pid=child.pid, born=born)
    lost = held(records, target="a", owner=killed, clock=at_start)
    lost.__enter__()
    with pytest.raises(LockedError):
        held(records, target="a", owner=HERE, clock=at_start).__enter__()
    child.kill()
    child.wait()
    with held(records, target="a", owner=HERE, clock=at_start):
        pass


def test_a_time_is_recorded_in_utc(records: RolloutRecords) -> None:
    records.add(Kind.ARMED, at=datetime(2026, 1, 5, 12, tzinfo=UTC))
    assert records.ledger().last(Kind.ARMED) == datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_a_store_whose_connection_does_not_exist_is_refused_not_opened_with_other_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ENVIRONMENT, "s3://mistyped@bucket/records")
    with pytest.raises(RecordError, match="the connection mistyped does not exist"):
        RecordStore.from_environment()
