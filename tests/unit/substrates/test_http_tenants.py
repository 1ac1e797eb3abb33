"""Tenants behind an API, as the control planes of real products behave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phased_rollout.errors import (
    ChangeError,
    ConfigError,
    DriftedError,
    RefusedError,
    UnreachableError,
)
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Difference, Outcome, TargetState
from phased_rollout.substrates.http import HttpSubstrate, steps
from phased_rollout.substrates.http.api import api
from sandbox.tenants.server import SandboxTenants
from tests.contract.drive import AGAIN, Guard
from tests.unit.substrates.tenants import OPTIONS, REMOVE, WHOLE, OneTenant, change_of

ENVIRONMENT = "AIRFLOW_CONN_PLANE"


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OneTenant]:
    """A tenant of version 1, in the light theme and with a banner of its own."""
    plane = SandboxTenants(pace=0).start()
    monkeypatch.setenv(ENVIRONMENT, plane.connection())
    monkeypatch.setenv("PHASED_ROLLOUT_RECORDS", f"file://{tmp_path}/records")
    api.cache_clear()
    settings = {"theme": "light", "banner": "theirs"}
    plane.plane.put("acme", {"version": "1", "plan": "gold", "settings": settings}, None)
    yield OneTenant(plane)
    api.cache_clear()
    plane.stop()


# what is sent


@pytest.mark.parametrize("options", [{}, {"apply": WHOLE}], ids=["patch", "put"])
def test_what_is_not_a_field_of_ours_is_kept(acme: OneTenant, options: dict[str, Any]) -> None:
    assert acme.apply(options, version="2", theme="dark").outcome is Outcome.DONE
    found = acme.document
    assert (found["version"], found["plan"]) == ("2", "gold")
    assert found["settings"] == {"theme": "dark", "banner": "theirs"}


@pytest.mark.parametrize("options", [{}, {"apply": WHOLE}], ids=["patch", "put"])
def test_a_field_that_the_change_has_no_more_is_taken_away(
    acme: OneTenant, options: dict[str, Any]
) -> None:
    before = acme.read()
    acme.apply(options, version="2")
    assert acme.document["settings"] == {"banner": "theirs"}
    assert acme.restore(before, options, version="2").outcome is Outcome.DONE
    assert acme.read().digest == before.digest


def test_an_answer_without_a_body_is_an_answer(acme: OneTenant) -> None:
    acme.apply(version="1", theme="dark")
    assert [call["status"] for call in acme.calls("PATCH")] == [204]
    assert acme.document["settings"]["theme"] == "dark"


def test_a_body_of_its_own_is_filled_with_values_that_cannot_break_out(acme: OneTenant) -> None:
    options = {"apply": {"path": "/v1/tenants/{tenant}", "body": {"version": "{version}"}}}
    evil = '2", "plan": "platinum'
    acme.apply(options, version=evil, theme="light")
    assert (acme.document["version"], acme.document["plan"]) == (evil, "gold")


@pytest.mark.parametrize("name", ["a/../b", "a?x=1", "a#b", "ü & ö", "%2e%2e", "{version}"])
def test_an_address_is_one_step_of_the_path(acme: OneTenant, name: str) -> None:
    acme.plane.plane.put(name, {"version": "7"}, None)
    state = acme.substrate().read(Target("odd", {"tenant": name}))
    assert state.running is not None
    assert state.running.body == {"values": {"version": "7"}}


@pytest.mark.parametrize("name", ["..", ".", ""])
def test_an_address_that_steps_out_of_the_path_is_refused(acme: OneTenant, name: str) -> None:
    target = Target("odd", {"tenant": name})
    with pytest.raises(ChangeError, match="odd: "):
        acme.substrate().render(change_of(version="2"), channel="c", target=target)


def test_a_target_without_a_part_of_the_address_is_named_when_it_is_rendered(
    acme: OneTenant,
) -> None:
    with pytest.raises(ChangeError, match="odd: nothing is called 'tenant'"):
        acme.substrate().render(change_of(version="2"), channel="c", target=Target("odd", {}))


def test_an_attempt_may_be_named_to_the_api(acme: OneTenant) -> None:
    request = {"path": "/v1/tenants/{tenant}", "headers": {"Idempotency-Key": "{token}"}}
    acme.apply({"apply": request}, version="2", theme="light", token=AGAIN)
    assert [call["idempotency_key"] for call in acme.calls("PATCH")] == [AGAIN]


# what is read


def test_null_is_absent_and_a_whole_float_is_an_integer(acme: OneTenant) -> None:
    acme.by_hand(version=None, settings={"theme": 2.0})
    state = acme.read()
    assert state.running is not None
    assert state.running.body == {"values": {"theme": 2.0}}
    assert state.digest == acme.artifact(theme=2).digest


def test_a_tenant_without_any_value_is_not_the_same_as_none(acme: OneTenant) -> None:
    acme.by_hand(version=None, settings={})
    assert acme.read().running is not None
    assert acme.read().detail == 'none of its fields has a value, status "active"'
    assert acme.substrate().read(Target("other", {"tenant": "other"})) == TargetState(
        None, detail="is not there"
    )


def test_a_tenant_that_is_not_there_is_refused_unless_channels_yaml_expects_it(
    acme: OneTenant,
) -> None:
    with pytest.raises(RefusedError, match=r"status 404: there is no tenant 'other'"):
        acme.substrate(read={"path": "/v1/tenants/{tenant}"}).read(
            Target("other", {"tenant": "other"})
        )


def test_a_number_where_the_api_has_text_is_told(
    acme: OneTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.by_hand(version="2")
    with pytest.raises(RefusedError, match=r'version is "2", not 2 \(one is text'):
        acme.substrate().verify(acme.target, acme.artifact(version=2, theme="light"))


def test_a_status_that_nobody_explained_holds(acme: OneTenant) -> None:
    acme.by_hand(status="archived")
    with pytest.raises(UnreachableError, match='its status is "archived", of which'):
        acme.read()
    assert acme.read(status={"at": "status", "good": ["active"]}).healthy is False
    assert acme.read(status={"at": "status", "good": ["archived"]}).healthy is True
    with pytest.raises(UnreachableError, match="its status is absent"):
        acme.read(status={"at": "state", "good": ["active"]})


# somebody else


def test_what_others_changed_in_between_is_sent_upon_only_if_it_is_none_of_ours(
    acme: OneTenant,
) -> None:
    acme.fault("meddle", method="PATCH", sets={"plan": "silver"})
    assert acme.apply(version="2", theme="light").outcome is Outcome.DONE
    assert [call["status"] for call in acme.calls("PATCH")] == [412, 204]
    assert (acme.document["version"], acme.document["plan"]) == ("2", "silver")


def test_what_others_changed_of_ours_in_between_stays(acme: OneTenant) -> None:
    acme.fault("meddle", method="PATCH", sets={"version": "3"})
    with pytest.raises(DriftedError, match="somebody else changed it just now"):
        acme.apply(version="2", theme="light")
    assert acme.document["version"] == "3"


def test_what_others_changed_while_it_was_restored_is_left_alone(acme: OneTenant) -> None:
    before = acme.read()
    acme.apply(version="2", theme="light")
    acme.fault("meddle", method="PATCH", sets={"version": "3"})
    left = acme.restore(before, version="2", theme="light")
    assert (left.outcome, acme.document["version"]) == (Outcome.LEFT_ALONE, "3")


@pytest.mark.parametrize(
    ("etags", "rule", "sent"),
    [
        ("strong", "auto", '"3"'),
        ("strong", "never", None),
        ("weak", "auto", None),
        ("none", "auto", None),
        ("none", "always", None),
    ],
)
def test_an_etag_goes_along_where_it_can_hold(
    acme: OneTenant, etags: str, rule: str, sent: str | None
) -> None:
    acme.plane.etags = etags
    assert acme.apply({"if_match": rule}, version="1", theme="dark").outcome is Outcome.DONE
    assert [call["if_match"] for call in acme.calls("PATCH")] == [sent]


def test_a_weak_etag_goes_along_when_channels_yaml_says_so(acme: OneTenant) -> None:
    acme.plane.etags = "weak"
    with pytest.raises(UnreachableError, match="is being changed all the time"):
        acme.apply({"if_match": "always"}, version="2", theme="light")
    assert {call["if_match"] for call in acme.calls("PATCH")} == {'W/"3"'}


def test_a_tenant_that_came_to_be_in_between_is_not_overwritten(acme: OneTenant) -> None:
    newcomer = OneTenant(acme.plane, "new")
    acme.fault("error", method="GET", tenant="new", status=404)
    acme.plane.plane.put("new", {"version": "3"}, None)
    with pytest.raises(DriftedError):
        newcomer.step({"apply": WHOLE}, version="2")
    assert newcomer.document["version"] == "3"


def test_a_part_of_an_apply_is_taken_back(acme: OneTenant) -> None:
    before = acme.read()
    acme.by_hand(version="2")
    assert acme.restore(before, version="2", theme="dark").outcome is Outcome.DONE
    assert acme.read().digest == before.digest


def test_true_is_not_one(acme: OneTenant) -> None:
    acme.by_hand(version=1)
    before = acme.read()
    acme.by_hand(version=True)
    assert acme.restore(before, version="2", theme="light").outcome is Outcome.LEFT_ALONE


# trouble


def test_retry_after_is_obeyed(acme: OneTenant) -> None:
    for method in ("GET", "PATCH"):
        acme.fault("error", method=method, status=429, headers={"Retry-After": "0.1"})
    assert acme.apply(version="2", theme="light").outcome is Outcome.DONE
    assert [call["status"] for call in acme.calls("PATCH")] == [429, 204]


def test_an_api_that_wants_to_be_left_alone_for_long_is_not_even_asked(acme: OneTenant) -> None:
    acme.fault("error", status=503, headers={"Retry-After": "120"})
    for _ in range(2):
        with pytest.raises(UnreachableError, match="asked to be left alone"):
            acme.read()
    assert len(acme.calls("GET")) == 1


def test_a_retry_after_that_is_a_date_is_obeyed_too(acme: OneTenant) -> None:
    acme.fault("error", status=429, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert acme.read().healthy
    assert [call["status"] for call in acme.calls("GET")] == [429, 200]


@pytest.mark.parametrize("status", [500, 502, 504, 401, 403, 301])
def test_what_says_nothing_of_the_change_holds_and_is_sent_again(
    acme: OneTenant, status: int
) -> None:
    acme.fault("error", method="PATCH", status=status)
    with pytest.raises(UnreachableError, match=f"status {status}"):
        acme.apply(version="2", theme="light")
    assert acme.apply(version="2", theme="light").outcome is Outcome.DONE


def test_a_redirect_is_not_followed_with_the_secrets(acme: OneTenant) -> None:
    other = SandboxTenants().start()
    acme.fault("error", status=302, headers={"Location": f"{other.endpoint}/control/v1/tenants"})
    with pytest.raises(UnreachableError, match="redirects, which is not followed"):
        acme.read()
    assert other.journal.calls() == []
    other.stop()


def test_a_refusal_is_short_and_shows_no_secrets_and_is_not_sent_again(acme: OneTenant) -> None:
    words = {"errors": [{"message": "no\n\x1b[31m" + "x" * 1000}, {"detail": "sandbox-token"}]}
    acme.fault("error", method="PATCH", status=400, body=words, headers={"X-Debug": "inside"})
    with pytest.raises(RefusedError) as raised:
        acme.apply(version="2", theme="light")
    text = str(raised.value)
    assert text.startswith("PATCH http://127.0.0.1:")
    assert "status 400: no" in text
    assert len(text) < 600
    assert not {"\n", "\x1b"} & set(text)
    with pytest.raises(RefusedError):
        acme.apply(version="2", theme="light")
    assert len(acme.calls("PATCH")) == 1
    acme.fault("error", status=400, body={"message": "bad: Bearer sandbox-token"})
    with pytest.raises(RefusedError, match=r"status 400: bad: \*\*\* \*\*\*$"):
        acme.read()


def test_a_login_is_not_shown_either_however_it_is_echoed(
    acme: OneTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = json.loads(acme.plane.connection()) | {"login": "robot", "password": "hushhush"}
    monkeypatch.setenv(ENVIRONMENT, json.dumps(given))
    echoed = "no robot with hushhush, Basic cm9ib3Q6aHVzaGh1c2g="
    acme.fault("error", status=400, body={"detail": echoed})
    with pytest.raises(RefusedError, match=r"no \*\*\* with \*\*\*, Basic \*\*\*$"):
        acme.read()


def test_a_page_in_place_of_json_holds_and_is_not_shown(acme: OneTenant) -> None:
    acme.fault("error", status=200, body="<html>maintenance</html>")
    with pytest.raises(UnreachableError, match="the answer is not JSON") as raised:
        acme.read()
    assert "html" not in str(raised.value)


def test_new_secrets_are_taken_from_the_connection_once_the_old_ones_fail(
    acme: OneTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = json.loads(acme.plane.connection()) | {"extra": {"Authorization": "Bearer expired"}}
    monkeypatch.setenv(ENVIRONMENT, json.dumps(old))
    with pytest.raises(UnreachableError, match="mend the connection's secrets"):
        acme.read()
    monkeypatch.setenv(ENVIRONMENT, acme.plane.connection())
    assert acme.read().healthy


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        (None, "connection 'plane' does not exist"),
        ({"conn_type": "aws"}, "is not of type 'http'"),
        ({"conn_type": "http"}, "has no usable host"),
        ({"conn_type": "http", "host": "http://127.0.0.1:9"}, "could not be asked"),
    ],
)
def test_a_connection_that_leads_nowhere_holds(
    acme: OneTenant, monkeypatch: pytest.MonkeyPatch, connection: Any, words: str
) -> None:
    if connection is None:
        monkeypatch.delenv(ENVIRONMENT)
    else:
        monkeypatch.setenv(ENVIRONMENT, json.dumps(connection))
    with pytest.raises(UnreachableError, match=words):
        acme.read()


# operations


def test_a_failed_upgrade_fails_the_apply_and_is_taken_back(acme: OneTenant) -> None:
    acme.plane.plane.pace = 0.05
    before = acme.read()
    with pytest.raises(RefusedError, match=r'version "2\.5\.0", status "failed"'):
        acme.apply(version="2.5.0", theme="light")
    assert acme.read().healthy is False
    with pytest.raises(RefusedError):
        acme.apply(version="2.5.0", theme="light")
    assert len(acme.calls("PATCH")) == 1
    assert acme.restore(before, version="2.5.0", theme="light").outcome is Outcome.DONE
    assert acme.read() == before


def test_a_tenant_that_had_failed_before_is_upgraded_all_the_same(acme: OneTenant) -> None:
    acme.by_hand(status="failed")
    acme.plane.plane.pace = 0.3
    assert acme.apply(version="2", theme="light").outcome is Outcome.DONE


def test_a_failure_from_before_says_nothing_of_what_was_just_accepted(acme: OneTenant) -> None:
    acme.by_hand(status="failed")
    acme.fault("error", method="PATCH", status=202, body={})
    assert acme.step(version="2", theme="light").outcome is Outcome.WAITING


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        ("failed", RefusedError, "runs the change, and has failed"),
        ("updating", UnreachableError, "cannot be judged now"),
    ],
)
def test_right_values_with_a_bad_status_do_not_verify(
    acme: OneTenant, status: str, error: type[Exception], words: str
) -> None:
    acme.by_hand(status=status)
    with pytest.raises(error, match=words):
        acme.substrate().verify(acme.target, acme.artifact(version="1", theme="light"))


def test_somebody_s_operation_is_waited_for(acme: OneTenant) -> None:
    acme.plane.plane.pace = 0.3
    acme.plane.plane.patch("acme", {"version": "9"}, None)
    waiting = acme.step(version="2", theme="light")
    assert (waiting.outcome, acme.calls("PATCH")) == (Outcome.WAITING, [])
    assert not acme.substrate().settled(acme.target, token=AGAIN)
    assert acme.apply(version="2", theme="light").outcome is Outcome.DONE


def test_an_operation_that_does_not_end_in_time_has_failed(acme: OneTenant) -> None:
    acme.plane.plane.pace = 60
    assert acme.step(version="2", theme="light").outcome is Outcome.WAITING
    assert not acme.substrate().settled(acme.target, token="0123456789abcdef-1")
    late = acme.substrate(deadline=0.001)
    assert late.settled(acme.target, token="0123456789abcdef-1")
    with pytest.raises(
        RefusedError, match='does not run what it accepted: version is "1", not "2"'
    ):
        acme.step({"deadline": 0.001}, version="2", theme="light")


def test_a_yes_that_changes_nothing_is_no_success(
    acme: OneTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme.fault("error", method="PATCH", status=200, body={"ok": True})
    monkeypatch.setattr(steps, "LAG", steps.LAG * 0)
    with pytest.raises(RefusedError, match='version is "1", not "2"'):
        acme.apply(version="2", theme="light")


def test_an_operation_of_ours_that_never_ends_does_not_keep_a_rollback_for_ever(
    acme: OneTenant,
) -> None:
    before = acme.read()
    acme.by_hand(version="2", status="updating")
    waiting = acme.substrate().restore(
        acme.target,
        before=before,
        applied=acme.artifact(version="2", theme="light"),
        token=AGAIN,
        mutation=Guard(),
    )
    assert waiting.outcome is Outcome.WAITING
    assert acme.restore(before, {"deadline": 0.001}, version="2", theme="light").outcome is (
        Outcome.DONE
    )


# previews, creation and removal


def test_a_preview_tells_old_and_new_values_and_what_the_api_says(acme: OneTenant) -> None:
    asked = {"path": "/v1/tenants/{tenant}/preview", "body": "merge", "notes": "/warnings"}
    found = acme.preview({"preview": asked}, version="2")
    assert found.differences == (
        Difference("Remove", "theme", "setting", destructive=True, detail='"light"'),
        Difference("Modify", "version", "setting", detail='"1" → "2"'),
    )
    assert found.notes == ("restarts for 2",)
    assert acme.document["version"] == "1"
    with pytest.raises(RefusedError, match=r"2\.2\.0 has been withdrawn"):
        acme.preview({"preview": asked}, version="2.2.0")


def test_two_long_values_that_begin_alike_are_told_apart(acme: OneTenant) -> None:
    one, other = (acme.preview(version="x" * 500 + end, theme="light") for end in "ab")
    assert one.digest != other.digest
    assert len(one.differences[0].detail) < 200


def test_what_is_created_and_cannot_be_removed_is_told_before_and_after(acme: OneTenant) -> None:
    newcomer, options = OneTenant(acme.plane, "new"), {"apply": WHOLE}
    before = newcomer.read()
    assert newcomer.preview(options, version="2").irreversible == (
        "it is created, and no `remove` says how a rollback takes it away",
    )
    newcomer.apply(options, version="2")
    with pytest.raises(RefusedError, match="describes no `remove`, so it is left"):
        newcomer.restore(before, options, version="2")
    able = options | {"remove": REMOVE}
    assert newcomer.preview(able, version="3").irreversible == ()
    assert newcomer.restore(before, able, version="2").outcome is Outcome.DONE
    assert newcomer.read() == before


def test_what_no_request_can_say_in_a_rollback_is_told_before(acme: OneTenant) -> None:
    path = {"path": "/v1/tenants/{tenant}?to={theme}"}
    acme.by_hand(settings={})
    assert acme.preview({"apply": path}, version="1", theme="dark").irreversible == (
        "what it has now cannot be sent again: nothing is called 'theme'",
    )
    body = {"path": "/v1/tenants/{tenant}", "body": {"settings": {"theme": "{theme}"}}}
    found = acme.preview({"apply": body}, version="1", theme="dark")
    assert found.irreversible == ()
    assert found.notes == ("a rollback leaves theme out of its request, which has to remove it",)


def test_a_tenant_that_was_there_without_values_is_never_removed(acme: OneTenant) -> None:
    options = {"remove": REMOVE}
    acme.by_hand(version=None, settings={})
    before = acme.read()
    acme.apply(options, version="2", theme="dark")
    assert acme.restore(before, options, version="2", theme="dark").outcome is Outcome.DONE
    assert (acme.document["version"], acme.calls("DELETE")) == (None, [])


def test_what_the_substrate_was_not_told_is_named() -> None:
    with pytest.raises(ConfigError, match=r"options\.read is missing"):
        HttpSubstrate({**OPTIONS, "read": {}})
