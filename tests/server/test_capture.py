"""Capture, v0: what is taken, in every wrapping clients use, and what is refused and how."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from tests.server.support import Http, body_of, new_id

EVENT = {"event": "x", "distinct_id": "a:b:c", "properties": {"n": 1}}
PATHS = ["/batch/", "/i/v0/e/", "/e/", "/capture/", "/track/", "/engage/"]


@pytest.mark.parametrize("path", [*PATHS, *(path.rstrip("/") for path in PATHS)])
def test_every_path_takes_a_batch_an_array_and_one_event(http: Http, path: str) -> None:
    name = f"paths {path}"
    one = {**EVENT, "event": name}
    for body in (
        {"api_key": http.key, "batch": [one]},
        {"token": http.key, "batch": [one]},
        [{**one, "token": http.key}, one],
        {**one, "api_key": http.key},
        {**one, "properties": {"token": http.key}},
        {**one, "$token": http.key},
    ):
        answer = http.post(path, body)
        assert (answer.status_code, answer.json()) == (200, {"status": "Ok"})
    assert len(http.stored(name)) == 7


def test_every_wrapping_is_undone(http: Http) -> None:
    def text() -> bytes:
        return json.dumps({"api_key": http.key, "batch": [{**EVENT, "event": "wrapped"}]}).encode()

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    plain = {"Content-Type": "text/plain"}
    packed = base64.b64encode
    answers = [
        http.post("/batch/", gzip.compress(text()), headers={"Content-Encoding": "gzip"}),
        http.post("/e/", gzip.compress(text()), headers=plain),
        http.post("/e/?compression=gzip-js", gzip.compress(text()), headers=plain),
        http.post("/e/", packed(text()), headers=plain),
        http.post("/e/?compression=base64", packed(gzip.compress(text())), headers=plain),
        http.post("/e/", b"data=" + quote(packed(text())).encode(), headers=form),
        http.post("/e/", b"data=" + packed(text()), headers=form),
        http.post("/e/", b"data=" + quote(text()).encode(), headers=form),
        http.post("/e/", gzip.compress(b"data=" + quote(text()).encode()), headers=form),
        http.ask("GET", "/e/?data=" + quote(packed(text()))),
        http.ask("GET", "/e/?data=" + quote(text())),
        http.post("/batch/", b"\n  " + text()),
    ]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert len(http.stored("wrapped")) == len(answers)


def test_a_beacon_is_answered_without_a_body(http: Http) -> None:
    body = {"api_key": http.key, "batch": [{**EVENT, "event": "beacon"}]}
    answer = http.post("/e/?beacon=1", body)
    assert (answer.status_code, answer.content) == (204, b"")
    assert len(http.stored("beacon")) == 1


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "empty body"),
        (b"   ", 400, "empty body"),
        (b"{", 400, "failed to parse request"),
        (b"nonsense!", 400, "failed to decode request"),
        (b"\x1f\x8b\x08broken", 400, "invalid gzip"),
        (b'{"batch": \xff}', 400, "failed to parse request"),
        (b"[" * 50_000, 400, "nested too deeply"),
        ({"api_key": "KEY", "batch": []}, 400, "holds no event"),
        ({"api_key": "KEY", "batch": {}}, 400, "'batch' must be an array"),
        ({"api_key": "KEY", "batch": [1]}, 400, "must be an object"),
        (b"[]", 400, "holds no event"),
        (b"5", 400, "neither JSON"),
        ({"api_key": "KEY", "batch": [{"distinct_id": "a"}]}, 400, "empty event name"),
        ({"api_key": "KEY", "batch": [{"event": "", "distinct_id": "a"}]}, 400, "empty event name"),
        ({"api_key": "KEY", "batch": [{"event": 5, "distinct_id": "a"}]}, 400, "must be a string"),
        ({"api_key": "KEY", "batch": [{"event": "bad"}]}, 400, "without a distinct_id"),
        ({"api_key": "KEY", "batch": [{"event": "bad", "distinct_id": ""}]}, 400, "distinct_id"),
        (
            {"api_key": "KEY", "batch": [{"event": "bad", "distinct_id": "a", "uuid": "no"}]},
            400,
            "not a valid UUID",
        ),
        (
            {"api_key": "KEY", "batch": [{"event": "bad", "distinct_id": "a", "properties": []}]},
            400,
            "'properties' must be an object",
        ),
        ({"batch": [{"event": "bad", "distinct_id": "a"}]}, 401, "without an api_key"),
        ({"api_key": "", "batch": [{"event": "bad", "distinct_id": "a"}]}, 401, "an api_key"),
        ({"api_key": "phc_other", "batch": [{"event": "bad", "distinct_id": "a"}]}, 401, "valid"),
        ({"api_key": "phc_\u00e9", "batch": [{"event": "bad", "distinct_id": "a"}]}, 401, "valid"),
        ({"api_key": "PERSONAL", "batch": [{"event": "bad", "distinct_id": "a"}]}, 401, "phx_"),
        (
            [
                {"event": "bad", "distinct_id": "a", "token": "phc_a"},
                {"event": "bad", "distinct_id": "a", "token": "phc_b"},
            ],
            401,
            "different api_key",
        ),
    ],
)
def test_what_is_refused_is_said_in_plain_text(
    http: Http, body: Any, status: int, says: str
) -> None:
    if not isinstance(body, bytes):
        text = json.dumps(body).replace("KEY", http.key)
        body = text.replace("PERSONAL", http.server.personal_api_key).encode()
    answer = http.post("/batch/", body)
    assert body_of(answer) == (status, "text/plain")
    assert says in answer.text
    assert http.stored("bad") == []


def test_one_bad_event_refuses_its_whole_request_as_in_posthog(http: Http) -> None:
    answer = http.batch({**EVENT, "event": "neighbour"}, {"event": "neighbour"})
    assert answer.status_code == 400
    assert http.stored("neighbour") == []


def test_what_is_too_large_is_413(http: Http) -> None:
    big = {**EVENT, "event": "big", "properties": {"text": "x" * 1_000_000}}
    assert http.batch(big).status_code == 413
    assert http.post("/e/", b" " * (2 * 1024 * 1024 + 1)).status_code == 413
    assert http.post("/batch/", b" " * (20 * 1024 * 1024 + 1)).status_code == 413
    bomb = gzip.compress(b"[" + b" " * 200_000_000)
    assert len(bomb) < 250_000
    assert http.post("/batch/", bomb).status_code == 413
    fits = {**EVENT, "event": "fits", "properties": {"text": "x" * 900_000}}
    assert http.batch(fits, *[{**fits, "properties": {}}] * 50).status_code == 200
    assert http.stored("big") == []


def test_a_body_that_never_comes_is_408_and_others_are_served(http: Http) -> None:
    # The server's own limit is 30 s; here only that the others are served meanwhile.
    host, port = http.server.host.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /batch/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        start = time.monotonic()
        assert http.batch({**EVENT, "event": "meanwhile"}).status_code == 200
        assert time.monotonic() - start < 10


def test_properties_come_back_as_sent(http: Http) -> None:
    properties = {
        "int": 5,
        "float": 0.1,
        "big": 2**70,
        "negative": -(2**63) - 1,
        "nothing": None,
        "nested": {"a.b": [1, {"c": None}], "": "empty"},
        "unicode": "ü 漢字 😀 \u0000 \u2028",
        "__proto__": {"x": 1},
        "flag": False,
        "list": [],
    }
    assert http.batch({**EVENT, "event": "as sent", "properties": properties}).status_code == 200
    (found,) = http.properties("as sent")
    assert found == properties
    assert list(found) == list(properties)


def test_what_json_cannot_hold_is_normalised_and_neighbours_are_kept(http: Http) -> None:
    body = (
        '{"api_key": "KEY", "batch": ['
        '{"event": "odd", "distinct_id": "a", "properties": {"nan": NaN, "inf": -Infinity, '
        '"huge": 1e400, "alone": "\\ud800", "key\\udfff": 1, "n": 1}},'
        '{"event": "odd", "distinct_id": "\\ud800b", "properties": {"n": 2}}]}'
    ).replace("KEY", http.key)
    assert http.post("/batch/", body.encode()).status_code == 200
    found = sorted(http.properties("odd"), key=lambda properties: properties["n"])
    assert found == [
        {"nan": None, "inf": None, "huge": None, "alone": "\ufffd", "key\ufffd": 1, "n": 1},
        {"n": 2},
    ]


def test_distinct_ids_are_found_stringified_and_trimmed(http: Http) -> None:
    name = "ids"
    for event in (
        {"distinct_id": "plain"},
        {"$distinct_id": "dollar"},
        {"properties": {"distinct_id": "inner"}},
        {"distinct_id": None, "properties": {"distinct_id": "behind null"}},
        {"distinct_id": 42},
        {"distinct_id": {"a": 1}},
        {"distinct_id": "x" * 300},
    ):
        assert http.batch({"event": name, **event}).status_code == 200
    ids = {row[0] for row in http.stored(name, "distinct_id")}
    assert ids == {"plain", "dollar", "inner", "behind null", "42", '{"a":1}', "x" * 200}


def test_a_uuid_is_kept_or_made(http: Http) -> None:
    mine = new_id()
    for given in (mine, mine.upper(), "", None):
        assert http.batch({**EVENT, "event": "uuids", "uuid": given}).status_code == 200
    ids = [row[0] for row in http.stored("uuids", "toString(uuid)")]
    assert ids.count(mine) == 1
    made = [uuid.UUID(one) for one in ids if one != mine]
    assert [one.version for one in made] == [7, 7]


def test_a_batch_sent_twice_counts_once(http: Http) -> None:
    events = [{**EVENT, "event": "again", "uuid": new_id()} for _ in range(20)]
    for _ in range(3):
        assert http.batch(*events, *events).status_code == 200
    assert len(http.stored("again")) == 20


def ago(**parts: float) -> timedelta:
    return timedelta(**parts)


def at(value: object, now: datetime) -> object:
    """Return what is so long ago as a text; times are made when the test runs, not when read."""
    return (now - value).isoformat() if isinstance(value, timedelta) else value


@pytest.mark.parametrize(
    ("event", "frame", "back_s"),
    [
        ({"timestamp": ago(hours=5)}, {}, 5 * 3600),
        ({}, {}, 0),
        ({"timestamp": "no time"}, {}, 0),
        ({"timestamp": ago(hours=-20)}, {}, -20 * 3600),
        ({"timestamp": ago(hours=-30)}, {}, 0),
        ({"offset": 90_000}, {}, 90),
        ({"timestamp": ago(hours=5), "offset": 90_000}, {}, 90),
        # The client's clock is ten minutes behind: the event was five minutes before sending.
        ({"timestamp": ago(minutes=15)}, {"sent_at": ago(minutes=10)}, 300),
        # Less than the threshold is latency, and stays.
        ({"timestamp": ago(minutes=5, seconds=1)}, {"sent_at": ago(seconds=1)}, 301),
        (
            {"timestamp": ago(minutes=15), "properties": {"$ignore_sent_at": True}},
            {"sent_at": ago(minutes=10)},
            900,
        ),
    ],
)
def test_when_an_event_happened(
    http: Http, event: dict[str, Any], frame: dict[str, Any], back_s: float
) -> None:
    name, now = new_id(), datetime.now(UTC)
    event = {key: at(value, now) for key, value in event.items()}
    frame = {key: at(value, now) for key, value in frame.items()}
    assert http.batch({"distinct_id": "a", **event, "event": name}, **frame).status_code == 200
    ((stored,),) = http.stored(name, "toUnixTimestamp64Milli(timestamp)")
    assert now.timestamp() - stored / 1000 == pytest.approx(back_s, abs=60)


def test_person_keys_beside_the_properties_are_folded_in(http: Http) -> None:
    event = {
        **EVENT,
        "event": "folded",
        "$set": {"a": 1, "b": 1},
        "$set_once": {"c": 1},
        "$unset": ["d"],
        "properties": {"$set": {"b": 2}},
    }
    assert http.batch(event).status_code == 200
    assert http.properties("folded") == [
        {"$set": {"a": 1, "b": 2}, "$set_once": {"c": 1}, "$unset": ["d"]}
    ]


def test_any_page_may_send(http: Http) -> None:
    asked = {
        "Origin": "https://example.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-any",
    }
    answer = http.ask("OPTIONS", "/e/", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://example.test"
    assert answer.headers["access-control-allow-headers"] == "content-type,x-any"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "POST" in answer.headers["access-control-allow-methods"]
    body = {"api_key": http.key, "batch": [EVENT]}
    sent = http.post("/e/", body, headers={"Origin": "https://example.test"})
    assert sent.headers["access-control-allow-origin"] == "https://example.test"
    assert sent.headers["access-control-expose-headers"] == "Retry-After"


@pytest.mark.parametrize("path", ["/s/", "/i/v1/logs/x", "/nowhere"])
def test_what_is_not_there_is_404(http: Http, path: str) -> None:
    assert http.post(path, {}).status_code == 404


@pytest.mark.parametrize("path", ["/_readiness", "/_liveness"])
def test_probes(http: Http, path: str) -> None:
    assert http.ask("GET", path).status_code == 200
