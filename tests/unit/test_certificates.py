"""Certificates: an edit, a gap or a forgery in what graduations rest on is found, and named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phased_rollout.certificates import kept
from phased_rollout.cli import main
from phased_rollout.model.bypass import Bypass, BypassTier
from phased_rollout.model.change import Change
from phased_rollout.model.ledger import Kind
from phased_rollout.model.target_state import Artifact, TargetState
from phased_rollout.model.verification import Verification, verify
from phased_rollout.operators.announce import graduate
from phased_rollout.records import RolloutRecords
from phased_rollout.rollout import Rollout
from tests.builders import a_channel, a_plan

AGO = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
MINUTE = timedelta(minutes=1)
RAN = TargetState(Artifact("before", {"a": "b"}))


def begin(**kwargs: Any) -> RolloutRecords:
    """Freeze a plan of three channels, the last one with an approval."""
    records = Rollout.open("accounts", "manual__1").records
    channels = (a_channel("a"), a_channel("b"), a_channel("c", gate="approval"))
    plan = replace(a_plan(*channels, **kwargs), made_at=AGO)
    records.freeze(plan, Change("change", {"template.yaml": "new"}))
    records.add(Kind.PREVIEWED, at=AGO, differences=[], authorize=[])
    return records


def walk(records: RolloutRecords, channel: str, *, at: datetime) -> None:
    """Take a channel to its graduation, which is recorded as of now."""
    apply(records, channel, at=at)
    records.add(Kind.HEALTHY, at=at + MINUTE, channel=channel, reason="fine", evidence=[])
    if channel == "c":
        records.add(Kind.APPROVED, at=at + MINUTE * 2, channel=channel, user="bob")
    leave(records, channel)


def apply(records: RolloutRecords, channel: str, *, at: datetime) -> None:
    records.add(Kind.ENTERED, at=at, channel=channel)
    for n in (1, 2):
        name = f"{channel}-{n}"
        records.capture(RAN, channel=channel, target=name, at=at)
        records.add(Kind.VERIFIED, at=at, channel=channel, target=name, digest="d", reason="done")
    records.add(Kind.APPLIED, at=at, channel=channel, wave=1)


def leave(records: RolloutRecords, channel: str) -> None:
    graduate(Rollout(records), channel, reason="fine", context={})


def finish(records: RolloutRecords) -> RolloutRecords:
    for number, channel in enumerate("abc"):
        walk(records, channel, at=AGO + MINUTE * 10 * number)
    records.add(Kind.FINISHED, at=datetime.now(UTC))
    return records


@pytest.fixture
def records(store: Path) -> RolloutRecords:
    return finish(begin())


def checked(records: RolloutRecords, **kwargs: Any) -> Verification:
    return verify(kept(records), **kwargs)


def found(records: RolloutRecords, **kwargs: Any) -> list[str]:
    folder = Path(records.folder.path)
    known = {str(p.relative_to(folder)): p for p in folder.rglob("*.json")}

    def named(what: str) -> str:
        return ("~".join(what.split("~")[1:4]) if "~" in what else what) if what in known else what

    return sorted(f"{named(f.what)}: {f.why}" for f in checked(records, **kwargs).findings)


def file_of(records: RolloutRecords, pattern: str) -> Path:
    """Find the only record of a pattern."""
    (path,) = Path(records.folder.path).glob(pattern)
    return path


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value, sort_keys=True, separators=(",", ":")))


def certificate(records: RolloutRecords, channel: str) -> Any:
    return records.latest(Kind.GRADUATED, channel=channel)["certificate"]


# --- what is as it was


def test_a_rollout_that_nobody_has_edited_is_as_it_was(records: RolloutRecords) -> None:
    result = checked(records)
    assert (result.findings, result.remarks) == ((), ())
    assert [(g.channel, g.since) for g in result.graduations] == [("a", ""), ("b", ""), ("c", "")]
    assert result.head == result.graduations[-1].digest
    assert result.open == 2  # the last graduation itself, and the end


def test_a_certificate_names_what_the_graduation_rests_on(records: RolloutRecords) -> None:
    value = certificate(records, "c")
    assert value["previous"] == checked(records).graduations[1].digest
    listed = {
        name: sorted(p.split("~")[1] for p in records.store.get(value[name])["records"] if "~" in p)
        for name in ("evidence", "approval", "targets")
    }
    assert listed == {
        "evidence": ["applied", "entered", "graduated", "healthy"],
        "approval": ["approved"],
        "targets": ["verified", "verified"],
    }


def test_a_run_in_flight_is_as_it_was_as_far_as_it_has_come(store: Path) -> None:
    records = begin()
    assert (found(records), checked(records).head) == ([], "")
    apply(records, "a", at=AGO)
    assert found(records) == []
    records.add(Kind.HEALTHY, at=AGO + MINUTE, channel="a")
    leave(records, "a")
    apply(records, "b", at=datetime.now(UTC))
    assert found(records) == []


def test_a_bypass_is_bound_into_the_next_graduation(store: Path) -> None:
    bypass = Bypass(BypassTier.SKIP_CHANNELS, ("a",), "CVE-2026-1", "alice")
    records = begin(bypass=bypass)
    records.add(Kind.BYPASSED, at=AGO, channel="a", reason="CVE-2026-1")
    walk(records, "b", at=AGO + MINUTE)
    assert found(records) == []
    file_of(records, "ledger/*~bypassed~*").unlink()
    assert any("is missing: a graduation rests on it" in line for line in found(records))
    assert any("nothing says how the change left a" in line for line in found(records))


def test_a_second_graduation_after_a_rollback_is_right_and_says_what_came_of_the_first(
    store: Path,
) -> None:
    records = begin()
    walk(records, "a", at=AGO)
    records.add(Kind.ROLLING_BACK, at=datetime.now(UTC), channel="a")
    records.add(Kind.ROLLED_BACK, at=datetime.now(UTC), channel="a")
    apply(records, "a", at=datetime.now(UTC))
    records.add(Kind.HEALTHY, at=datetime.now(UTC), channel="a", reason="fine")
    leave(records, "a")
    assert found(records) == []
    assert [g.since for g in checked(records).graduations] == ["rolled back", ""]


def test_a_retry_of_the_gate_records_nothing_twice(store: Path) -> None:
    records = begin()
    walk(records, "a", at=AGO)
    leave(records, "a")
    assert len(records.details(Kind.GRADUATED)) == 1


def test_what_is_recorded_after_a_graduation_is_no_finding(records: RolloutRecords) -> None:
    records.add(Kind.OBSERVED, at=datetime.now(UTC), channel="a", evidence=[])
    records.add(Kind.VERIFIED, at=datetime.now(UTC), channel="a", target="a-1", digest="other")
    assert found(records) == []


def test_a_process_that_was_held_up_leaves_a_remark_when_it_repeats_what_was_known(
    records: RolloutRecords,
) -> None:
    records.add(
        Kind.VERIFIED, at=AGO + MINUTE, channel="a", target="a-1", digest="d", reason="unchanged"
    )
    records.add(Kind.OBSERVED, at=AGO + MINUTE, channel="a", evidence=[])
    assert found(records) == []
    assert [r.why[:5] for r in checked(records).remarks] == ["late:", "late:"]


def test_a_run_of_an_earlier_version_is_not_certified_and_nothing_is_wrong(store: Path) -> None:
    records = begin()
    edit(Path(records.folder.path) / "plan.json", lambda v: v.pop("certified"))
    apply(records, "a", at=AGO)
    records.add(Kind.HEALTHY, at=AGO + MINUTE, channel="a")
    records.add(Kind.GRADUATED, at=AGO + MINUTE * 2, channel="a")
    assert found(records) == []
    walk(records, "b", at=AGO + MINUTE * 3)  # by this version, in flight
    assert [bool(g.digest) for g in checked(records).graduations] == [False, True]
    assert checked(records).findings == ()


# --- edits


def test_an_edited_record_is_named(records: RolloutRecords) -> None:
    edit(file_of(records, "targets/b/*~b-1~*"), lambda v: v.update(digest="other"))
    assert found(records) == [
        "verified~b~b-1: was edited after a graduation that rests on it",
    ]


def test_an_edit_that_means_nothing_is_named_too(records: RolloutRecords) -> None:
    path = file_of(records, "ledger/*~healthy~a~*")
    path.write_text(path.read_text() + " ")
    assert found(records) == ["healthy~a~: was edited after a graduation that rests on it"]


def test_an_edit_of_what_a_target_ran_before_is_named(records: RolloutRecords) -> None:
    edit(file_of(records, "before/a/0/a-1.json"), lambda v: v.update(healthy=False))
    assert found(records) == ["before/a/0/a-1.json: was edited after a graduation that rests on it"]


def test_a_changed_plan_is_named(records: RolloutRecords) -> None:
    path = Path(records.folder.path) / "plan.json"
    edit(path, lambda v: v["plan"].update(change_name="evil"))
    assert found(records) == ["plan.json: is not the plan that the graduations were made under"]
    path.write_text("{}")
    assert "plan.json: is damaged: it cannot be read" in found(records)


@pytest.mark.parametrize("content", ['{"content":{},"schema":1}', "[]", "no JSON"])
def test_content_that_is_not_what_its_name_says_is_named(
    records: RolloutRecords, content: str
) -> None:
    digest = json.loads((Path(records.folder.path) / "plan.json").read_text())["change"]
    path = Path(records.store.root.path) / f"objects/{digest}.json"
    path.write_text(content)
    assert found(records) == [f"objects/{digest}.json: is not what its name says (the change)"]
    path.unlink()
    assert found(records) == [f"objects/{digest}.json: is missing (the change)"]


def test_a_list_that_was_removed_is_named(records: RolloutRecords) -> None:
    digest = certificate(records, "b")["targets"]
    (Path(records.store.root.path) / f"objects/{digest}.json").unlink()
    what = f"objects/{digest}.json: is missing (a list of a certificate)"
    assert what in found(records)


def test_an_edit_of_the_last_graduation_is_named(records: RolloutRecords) -> None:
    path = file_of(records, "ledger/*~graduated~c~*")
    edit(path, lambda v: v.update(exercised={}))
    assert found(records) == ["graduated~c~: its certificate was made for another facts"]


# --- gaps


@pytest.mark.parametrize(
    "pattern", ["ledger/*~approved~c~*", "targets/a/*~a-2~*", "before/c/0/c-2.json"]
)
def test_a_removed_record_is_named(records: RolloutRecords, pattern: str) -> None:
    file_of(records, pattern).unlink()
    assert any(": is missing: a graduation rests on it" in line for line in found(records))


def test_a_removed_graduation_is_a_gap(records: RolloutRecords) -> None:
    file_of(records, "ledger/*~graduated~b~*").unlink()
    lines = found(records)
    assert any("gap: the graduation before it" in line for line in lines)
    assert "gap: c was entered, but nothing says how the change left b" in lines


def test_a_removed_last_graduation_is_a_gap_once_the_run_has_finished(
    records: RolloutRecords,
) -> None:
    file_of(records, "ledger/*~graduated~c~*").unlink()
    assert found(records) == [
        "gap: the rollout has finished, but nothing says how the change left c"
    ]


# --- forgeries


def test_a_graduation_without_a_certificate_is_a_forgery(store: Path) -> None:
    records = begin()
    records.add(Kind.GRADUATED, at=AGO, channel="a")
    assert found(records) == [
        "graduated~a~: has no certificate: forged, or written by an earlier version of the product"
    ]


def test_a_graduation_with_a_fresh_certificate_but_no_evidence_is_a_forgery(store: Path) -> None:
    records = begin()
    records.add(Kind.ENTERED, at=AGO, channel="c")
    leave(records, "c")
    lines = [line for line in found(records) if "forged" in line]
    assert [line.partition("forged: ")[2] for line in lines] == [
        "c was never judged",
        "nobody approved c",
        "not verified since c was entered: c-1, c-2",
        "nothing says how the change left a",
        "nothing says how the change left b",
    ]


def test_a_certificate_that_was_copied_to_another_channel_is_a_forgery(
    records: RolloutRecords,
) -> None:
    stolen = records.latest(Kind.GRADUATED, channel="a")["certificate"]
    records.add(Kind.GRADUATED, at=datetime.now(UTC), channel="b", certificate=stolen)
    assert any("its certificate was made for another channel" in line for line in found(records))


@pytest.mark.parametrize(
    ("kind", "target", "details"),
    [
        (Kind.VERIFIED, "a-1", {"digest": "other"}),
        (Kind.VERIFIED, "a-3", {"digest": "d"}),
        (Kind.AUTHORIZED, "", {"user": "mallory"}),
    ],
)
def test_a_record_that_is_slipped_in_as_older_than_a_graduation_is_named(
    records: RolloutRecords, kind: Kind, target: str, details: dict[str, str]
) -> None:
    records.add(kind, at=AGO + MINUTE, channel="a", target=target, **details)
    (line,) = found(records)
    assert line.startswith(f"{kind}~a~{target}: slipped in: it claims to be older")


def test_a_record_that_is_moved_in_time_is_named(records: RolloutRecords) -> None:
    path = file_of(records, "ledger/*~healthy~b~*")
    moved = path.with_name("20200101T000000.000000Z~" + path.name.split("~", 1)[1])
    path.rename(moved)
    lines = found(records)
    assert any("was renamed or edited: its name says something else" in line for line in lines)
    assert any("is missing: a graduation rests on it" in line for line in lines)


def test_a_certificate_that_leaves_out_the_graduation_before_it_is_named(store: Path) -> None:
    """It is whole in itself, made anew by somebody who can write the store."""
    records = begin()
    walk(records, "a", at=AGO)
    walk(records, "b", at=AGO + MINUTE * 10)
    path = file_of(records, "ledger/*~graduated~b~*")
    edit(path, lambda v: v["certificate"].update(previous=""))
    assert any("names another graduation before it than the one" in x for x in found(records))


# --- the head, which is kept elsewhere


def test_a_chain_that_was_made_anew_differs_from_the_digest_that_was_noted(
    records: RolloutRecords,
) -> None:
    noted = checked(records).head
    assert found(records, head=noted) == []
    for path in Path(records.folder.path).glob("ledger/*~graduated~*"):
        path.unlink()
    edit(file_of(records, "ledger/*~approved~c~*"), lambda v: v.update(user="mallory"))
    for channel in "abc":
        leave(records, channel)
    assert found(records) == []  # digests are no signature
    assert found(records, head=noted) == [
        f"head {noted}: no graduation on record has it: the chain was made anew, or its end is "
        "missing"
    ]


def test_an_earlier_digest_that_was_noted_still_holds(records: RolloutRecords) -> None:
    assert found(records, head=checked(records).graduations[0].digest) == []


# --- the command


def test_verify_says_that_all_is_as_it_was(
    records: RolloutRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "manual__1"]) == 0
    assert "all as it was" in capsys.readouterr().out
    assert main(["verify", "manual__1", "--json", "--head", checked(records).head]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rollout"], answer["findings"]) == ("accounts", [])
    assert answer["head"] == checked(records).head


def test_verify_names_what_is_not(
    records: RolloutRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    path = file_of(records, "ledger/*~applied~a~*")
    path.unlink()
    assert main(["verify", "manual__1"]) == 1
    assert f"NOT AS IT WAS: ledger/{path.name}: is missing" in capsys.readouterr().out
    assert main(["verify", "manual__1", "--json", "--head", "0" * 64]) == 1
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 2


def test_verify_of_an_unknown_run_says_where_to_look(
    records: RolloutRecords, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "manual__2"]) == 1
    assert "no run 'manual__2' is recorded" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["verify", "manual__1", "--head", "abc"])
    assert ended.value.code == 3


# --- any one edit


def _covered(records: RolloutRecords) -> list[Path]:
    folder = Path(records.folder.path)
    certificates = [r["certificate"] for r in records.details(Kind.GRADUATED)]
    lists = {c[name] for c in certificates for name in ("evidence", "approval", "targets")}
    objects = Path(records.store.root.path) / "objects"
    paths = {p for d in lists for p in records.store.get(d)["records"]}
    named = sorted(folder / p for p in [*paths, "plan.json"])
    return [*named, *sorted(objects.glob("*.json")), *folder.glob("ledger/*~graduated~c~*")]


@settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(data=st.data())
def test_any_one_edit_of_what_certificates_cover_is_found(
    records: RolloutRecords, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(_covered(records)))
    content = path.read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != content[at]))
    how = data.draw(st.sampled_from(["delete", "change", "insert"]))
    try:
        if how == "delete":
            path.unlink()
        else:
            rest = content[at + (how == "change") :]
            path.write_bytes(content[:at] + bytes([byte]) + rest)
        assert checked(records).findings, (how, path.name, at, byte)
    finally:
        path.write_bytes(content)
    assert not checked(records).findings


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    kind=st.sampled_from(Kind),
    channel=st.sampled_from(["a", "b", "c"]),
    target=st.sampled_from(["", "1", "9"]),
    minutes=st.integers(0, 30),
)
def test_any_record_that_is_slipped_in_is_found_or_remarked(
    records: RolloutRecords, kind: Kind, channel: str, target: str, minutes: int
) -> None:
    before = set(Path(records.folder.path).rglob("*.json"))
    name = f"{channel}-{target}" if target else ""
    at = AGO + MINUTE * minutes
    records.add(kind, at=at, channel=channel, target=name, digest="evil", user="mallory")
    (added,) = set(Path(records.folder.path).rglob("*.json")) - before
    result = checked(records)
    added.unlink()
    assert [f for f in (*result.findings, *result.remarks) if f.what.endswith(added.name)]
