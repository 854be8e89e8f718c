"""What was stored comes back as it was sent, and each property where its column says."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.store.support import column, event, sent

from nightpane.store import HEAVY, HOT, Store, escape_key, hot_column
from nightpane.store.json_text import dumps, loads

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_read_and_written_exactly(value: Any) -> None:
    text = json.dumps(value)
    assert loads(text.encode()) == value
    assert json.loads(dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            b'{"a": NaN, "b": [Infinity, -Infinity], "c": 1e400}',
            {"a": None, "b": [None, None], "c": None},
        ),
        (b'{"a": "\\ud800 x", "\\udc00": 1}', {"a": "\ufffd x", "\ufffd": 1}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b"18446744073709551616", 2**64),
        (b"-9223372036854775809", -(2**63) - 1),
        (b"[0.12345678901234567890, 1]", [0.12345678901234568, 1]),
        (b'"12345678901234567890"', "12345678901234567890"),
        (b'{"__proto__": {"x": 1}, "a": 1, "a": 2}', {"__proto__": {"x": 1}, "a": 2}),
    ],
)
def test_what_json_cannot_hold_is_normalised(text: bytes, value: Any) -> None:
    assert loads(text) == value


@pytest.mark.parametrize("text", [b"", b"{", b'{"a": \xff}', b"[" * 100_000, b"nonsense"])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        loads(text)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.dictionaries(st.text(), JSON, max_size=8))
def test_properties_come_back_as_sent(store: Store, properties: dict[str, Any]) -> None:
    one = event("hypothesis", properties)
    assert store.insert([one]) == 1
    (text,) = column(
        store,
        "SELECT properties FROM nightpane.events WHERE uuid = {uuid:UUID}",
        uuid=one.uuid,
    )
    assert json.loads(text) == properties
    assert list(json.loads(text)) == list(properties)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_key_has_a_path_in_props(store: Store, key: str) -> None:
    if key in HOT or key in HEAVY:
        return
    one = event("keys", {key: "here"})
    store.insert([one])
    path = escape_key(key).replace("\\", "\\\\").replace("`", "\\`")
    sql = f"SELECT props.`{path}`.:String FROM nightpane.events WHERE uuid = {{uuid:UUID}}"
    assert column(store, sql, uuid=one.uuid) == ["here"]


def test_cold_properties_read_as_hogql_reads_untyped_ones(store: Store) -> None:
    values: dict[str, Any] = {
        "text": "2026-01-01",
        "digits": "0012",
        "quote": '"q"',
        "number": 5,
        "float": 0.1,
        "flag": True,
        "object": {"a": [1, None]},
        "list": [],
        "empty": "",
        "null_text": "null",
        "nothing": None,
        "big": 2**70,
    }
    store.insert([event("cold", values)])
    read = {
        name: column(
            store, f"SELECT props.`{name}`.:String FROM nightpane.events WHERE event = 'cold'"
        )[0]
        for name in values
    }
    assert read == {
        "text": "2026-01-01",
        "digits": "0012",
        "quote": '"q"',
        "number": "5",
        "float": "0.1",
        "flag": "true",
        "object": '{"a":[1,null]}',
        "list": "[]",
        "empty": "",
        "null_text": "null",
        "nothing": None,
        "big": str(2**70),
    }


@pytest.mark.parametrize(
    ("name", "sent_value", "stored"),
    [
        ("score", 0.5, 0.5),
        ("score", "0.25", 0.25),
        ("score", "not a number", None),
        ("score", True, None),
        ("score", 2**2000, None),
        ("score", None, None),
        ("ok", True, True),
        ("ok", "false", False),
        ("ok", 1, None),
        ("model", "claude", "claude"),
        ("model", 5, "5"),
        ("model", {"name": "x"}, '{"name":"x"}'),
        ("$session_id", "", ""),
    ],
)
def test_hot_properties_are_typed(store: Store, name: str, sent_value: Any, stored: Any) -> None:
    one = event("hot", {name: sent_value})
    store.insert([one])
    sql = f"SELECT `{hot_column(name)}` FROM nightpane.events WHERE uuid = {{uuid:UUID}}"
    assert column(store, sql, uuid=one.uuid) == [stored]


def test_heavy_properties_are_in_the_text_only(store: Store) -> None:
    store.insert([event("heavy", {key: [{"role": "user"}] for key in HEAVY})])
    assert column(store, "SELECT props FROM nightpane.events WHERE event = 'heavy'") == [{}]
    assert json.loads(sent(store, "heavy")[0]) == {key: [{"role": "user"}] for key in HEAVY}


@pytest.mark.parametrize(
    ("given_time", "stored"),
    [
        (datetime(2026, 11, 23, 3, 4, 5, 123456, UTC), "2026-11-23T03:04:05.123456Z"),
        (
            datetime(2026, 11, 23, 3, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2026-11-22T21:30:00.000000Z",
        ),
        (datetime(1, 1, 1, tzinfo=UTC), "1900-01-01T00:00:00.000000Z"),
        (datetime(9999, 1, 1, tzinfo=UTC), "2261-12-31T00:00:00.000000Z"),
    ],
)
def test_times_are_kept_in_utc(store: Store, given_time: datetime, stored: str) -> None:
    one = event("times", timestamp=given_time)
    store.insert([one])
    sql = "SELECT timestamp FROM nightpane.events WHERE uuid = {uuid:UUID}"
    assert column(store, sql, uuid=one.uuid) == [stored]


def test_results_keep_their_types(store: Store) -> None:
    answer = store.read(
        "SELECT 9223372036854775807::Int64 a,"
        " toInt128('-170141183460469231731687303715884105728') b, nan c, -inf d, [nan, 1.5] e,"
        " toDateTime64(0, 3, 'UTC') f, toDate(0) g, (1, 'x') h, map('k', 1) i, NULL j,"
        " {text:String} k, toDecimal64(1.25, 2) l",
        {"text": "tab\t line\n back\\slash quote' nul\0 ü"},
    )
    row = dict(zip(answer.columns, answer.rows[0], strict=True))
    assert math.isnan(row.pop("c"))
    assert math.isnan(row["e"].pop(0))
    assert row == {
        "a": 2**63 - 1,
        "b": -(2**127),
        "d": -math.inf,
        "e": [1.5],
        "f": "1970-01-01T00:00:00.000Z",
        "g": "1970-01-01",
        "h": [1, "x"],
        "i": {"k": 1},
        "j": None,
        "k": "tab\t line\n back\\slash quote' nul\0 ü",
        "l": 1.25,
    }
    assert answer.types[:3] == ["Int64", "Int128", "Float64"]
