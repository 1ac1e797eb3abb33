"""The protocols: query parameters, CBOR, pages."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.aws import cbor
from sandbox.aws.errors import AwsError
from sandbox.aws.paging import newest_first, page
from sandbox.aws.wire import unflatten

_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300)
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@settings(max_examples=60, deadline=None)
@given(_values)
def test_cbor_comes_back_as_it_was(value):
    assert cbor.loads(cbor.dumps(value)) == value


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=20))
def test_broken_cbor_is_a_value_error_at_worst(data):
    with contextlib.suppress(ValueError):
        cbor.loads(data)


def test_cbor_reads_what_other_encoders_write():
    time = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert cbor.loads(cbor.dumps({"at": time})) == {"at": time}
    assert cbor.loads(bytes.fromhex("7f61786179ff")) == "xy"
    assert cbor.loads(bytes.fromhex("bf616101616282f93c00fa3f800000ff")) == {"a": 1, "b": [1, 1]}


def test_query_parameters_become_lists_and_structures():
    form = {
        "Action": "CreateStack",
        "Tags.member.1.Key": "a",
        "Tags.member.2.Key": "b",
        "Tags.member.10.Key": "c",
        "Capabilities": "",
        "Deep.Inner.member.1": "x",
    }
    assert unflatten(form) == {
        "Action": "CreateStack",
        "Tags": [{"Key": "a"}, {"Key": "b"}, {"Key": "c"}],
        "Capabilities": "",
        "Deep": {"Inner": ["x"]},
    }


def test_pages_hold_everything_once():
    first, token = page([1, 2, 3], token=None, size=2)
    assert (first, page([1, 2, 3], token=token, size=2)) == ([1, 2], ([3], None))


def test_pages_of_newest_first_do_not_shift_when_something_is_added():
    items = [1, 2, 3]
    first, token = newest_first(items, token=None, size=2)
    items.append(4)
    assert (first, newest_first(items, token=token, size=2)) == ([3, 2], ([1], None))


def test_a_made_up_token_is_refused():
    with pytest.raises(AwsError, match="Invalid NextToken"):
        page([1], token="made up", size=1)
