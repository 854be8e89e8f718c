"""Capture v1, which answers for each event, and the two AI lanes."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import brotli
import pytest
import requests
import zstandard
from tests.server.support import Http, body_of, new_id

PATH = "/i/v1/analytics/events"


def headers(http: Http, **changed: str | None) -> dict[str, str]:
    made: dict[str, str | None] = {
        "Authorization": f"Bearer {http.key}",
        "Content-Type": "application/json",
        "PostHog-Sdk-Info": "posthog-test/1.2.3",
        "PostHog-Attempt": "1",
        "PostHog-Request-Id": "01890a5d-ac96-774b-bcce-b302099a8057",
        "PostHog-Request-Timestamp": datetime.now(UTC).isoformat(),
    }
    made |= {name.replace("_", "-"): value for name, value in changed.items()}
    return {name: value for name, value in made.items() if value is not None}


def event(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "event": name,
        "uuid": new_id(),
        "distinct_id": "a:b:c",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {"n": 1},
        **fields,
    }


def send(http: Http, *events: Any, path: str = PATH, **changed: str | None) -> requests.Response:
    body = {"created_at": datetime.now(UTC).isoformat(), "batch": list(events)}
    return http.post(path, body, headers=headers(http, **changed))


@pytest.mark.parametrize(
    "path", [PATH, PATH + "/", "/i/v1/general/events", "/i/v1/general/events/"]
)
def test_each_event_is_answered_for(http: Http, path: str) -> None:
    one, two = event(path), event(path)
    answer = send(http, one, two, path=path)
    assert answer.status_code == 200
    assert answer.json() == {
        "results": {one["uuid"]: {"result": "ok"}, two["uuid"]: {"result": "ok"}}
    }
    assert answer.headers["posthog-request-id"] == "01890a5d-ac96-774b-bcce-b302099a8057"
    assert "retry-after" not in answer.headers
    assert len(http.stored(path)) == 2


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"event": ""}, "missing_event_name"),
        ({"event": None}, "missing_event_name"),
        ({"event": "x" * 201}, "event_name_too_long"),
        ({"distinct_id": ""}, "missing_distinct_id"),
        ({"distinct_id": None}, "missing_distinct_id"),
        ({"distinct_id": "x" * 201}, "distinct_id_too_large"),
        ({"distinct_id": "Anonymous"}, "invalid_distinct_id"),
        ({"distinct_id": "00000000-0000-0000-0000-000000000000"}, "invalid_distinct_id"),
        ({"timestamp": "no time"}, "invalid_event_timestamp"),
        ({"timestamp": None}, "invalid_event_timestamp"),
        ({"properties": []}, "malformed_event_properties"),
        ({"event": "$ai_span", "properties": {"x": "y" * 1_000_000}}, "ai_event_too_big"),
        ({"properties": {"x": "y" * 1_000_000}}, "event_too_big"),
    ],
)
def test_a_bad_event_is_dropped_by_name_and_its_neighbour_kept(
    http: Http, fields: dict[str, Any], details: str
) -> None:
    name = new_id()
    bad, good = event("bad", **fields), event(name)
    answer = send(http, bad, good)
    assert answer.status_code == 200
    assert answer.json()["results"] == {
        bad["uuid"]: {"result": "drop", "details": details},
        good["uuid"]: {"result": "ok"},
    }
    assert len(http.stored(name)) == 1


@pytest.mark.parametrize(
    ("changed", "status", "tag"),
    [
        ({"PostHog_Sdk_Info": None}, 400, "missing_required_headers"),
        ({"PostHog_Attempt": None}, 400, "missing_required_headers"),
        ({"PostHog_Request_Id": None}, 400, "missing_required_headers"),
        ({"PostHog_Request_Timestamp": None}, 400, "missing_required_headers"),
        ({"PostHog_Attempt": "0"}, 400, "invalid_header_value"),
        ({"PostHog_Attempt": "x"}, 400, "invalid_header_value"),
        ({"PostHog_Request_Id": "x"}, 400, "invalid_header_value"),
        ({"PostHog_Request_Timestamp": "x"}, 400, "invalid_header_value"),
        ({"PostHog_Sdk_Info": "nameless"}, 400, "invalid_header_value"),
        ({"Authorization": None}, 401, "invalid_api_token"),
        ({"Authorization": "Bearer phc_other"}, 401, "invalid_api_token"),
        ({"Authorization": "Basic x"}, 401, "invalid_api_token"),
        ({"Content_Type": "text/csv"}, 415, "unsupported_content_type"),
        ({"Content_Encoding": "lzma"}, 415, "unsupported_content_encoding"),
        ({"Content_Encoding": "gzip"}, 400, "request_decoding_error"),
    ],
)
def test_bad_headers(http: Http, changed: dict[str, str | None], status: int, tag: str) -> None:
    answer = send(http, event("headers"), **changed)
    assert body_of(answer) == (status, "application/json")
    body = answer.json()
    assert set(body) == {"error", "error_description", "error_uri"}
    assert body["error"] == tag
    assert http.stored("headers") == []


SAME = new_id()


@pytest.mark.parametrize(
    ("body", "tag"),
    [
        (b"", "empty_body"),
        (b"{", "request_parsing_error"),
        (b"[]", "invalid_batch"),
        ({"batch": 5}, "invalid_batch"),
        ({"batch": [5]}, "invalid_batch"),
        ({"batch": []}, "empty_batch"),
        ({"batch": [{"event": "x", "distinct_id": "a"}]}, "missing_event_uuid"),
        ({"batch": [event("x", uuid="no")]}, "missing_event_uuid"),
        ({"batch": [event("x", uuid=SAME), event("x", uuid=SAME.upper())]}, "duplicate_event_uuid"),
        ({"batch": [event("x", options={"cookieless_mode": "yes"})]}, "request_parsing_error"),
        ({"batch": [event("x", options={"product_tour_id": 5})]}, "request_parsing_error"),
        ({"batch": [event("x", options=[])]}, "request_parsing_error"),
    ],
)
def test_a_fault_in_the_frame_refuses_the_whole_batch(http: Http, body: Any, tag: str) -> None:
    answer = http.post(PATH, body, headers=headers(http))
    assert (answer.status_code, answer.json()["error"]) == (400, tag)


def test_too_large_is_413(http: Http) -> None:
    answer = http.post(PATH, b" " * (10 * 1024 * 1024 + 1), headers=headers(http))
    assert (answer.status_code, answer.json()["error"]) == (413, "payload_too_large")


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_and_their_bombs(http: Http, encoding: str) -> None:
    name = f"encoded {encoding}"
    body = json.dumps({"batch": [event(name, properties={"text": "ü" * 5000})]}).encode()
    given = headers(http, Content_Encoding=encoding)
    pack = ENCODINGS[encoding]
    assert http.post(PATH, pack(body), headers=given).status_code == 200
    assert http.properties(name)[0]["text"] == "ü" * 5000
    cut = http.post(PATH, pack(body)[:-20], headers=given)
    assert (cut.status_code, cut.json()["error"]) in [
        (400, "request_decoding_error"),
        (400, "request_parsing_error"),
    ]
    bomb = http.post(PATH, pack(b" " * 100_000_000), headers=given)
    assert (bomb.status_code, bomb.json()["error"]) == (413, "payload_too_large")


def test_what_travels_beside_the_properties_is_put_back(http: Http) -> None:
    sent = event(
        "beside",
        session_id="01890a5d-ac96-774b-bcce-b302099a8057",
        window_id="w",
        options={
            "cookieless_mode": True,
            "disable_skew_correction": True,
            "product_tour_id": "t",
            "process_person_profile": False,
        },
    )
    assert send(http, sent).status_code == 200
    assert http.properties("beside") == [
        {
            "n": 1,
            "$session_id": "01890a5d-ac96-774b-bcce-b302099a8057",
            "$window_id": "w",
            "$cookieless_mode": True,
            "$ignore_sent_at": True,
            "$product_tour_id": "t",
            "$process_person_profile": False,
            "$lib": "posthog-test",
            "$lib_version": "1.2.3",
        }
    ]


def test_the_clients_clock_is_corrected_unless_it_says_not_to(http: Http) -> None:
    behind = datetime.now(UTC) - timedelta(hours=1)
    at = behind.isoformat()
    corrected = event("clock", timestamp=at, properties={"n": 1})
    kept = event(
        "clock", timestamp=at, properties={"n": 2}, options={"disable_skew_correction": True}
    )
    answer = send(http, corrected, kept, PostHog_Request_Timestamp=at)
    assert answer.status_code == 200
    rows = http.stored("clock", "properties.n", "dateDiff('minute', timestamp, created_at)")
    assert [(float(n), minutes) for n, minutes in rows] == [(2, 60), (1, 0)]


# AI lanes


def test_the_ai_lane_takes_ai_events_only_and_larger_ones(http: Http) -> None:
    def lane(*events: dict[str, Any]) -> requests.Response:
        return http.post("/i/v0/ai/batch/", {"api_key": http.key, "batch": list(events)})

    big = event("$ai_generation", properties={"$ai_input": "x" * 3_000_000})
    assert lane(big).json() == {"status": "Ok"}
    mixed = lane(event("$ai_span"), event("not ai"))
    assert mixed.status_code == 400
    assert "'not ai' is not an AI event" in mixed.text
    too_big = event("$ai_trace", properties={"$ai_input_state": "x" * 8_400_000})
    assert lane(too_big).status_code == 413
    assert http.stored("$ai_span") == []
    assert len(http.stored("$ai_generation")) == 1


def multipart(http: Http, *parts: tuple[str, str, Any]) -> requests.Response:
    files = [(name, (None, data, kind)) for name, kind, data in parts]
    return http.ask(
        "POST", "/i/v0/ai", files=files, headers={"Authorization": f"Bearer {http.key}"}
    )


def test_one_ai_event_in_parts(http: Http) -> None:
    head = json.dumps({"event": "$ai_embedding", "distinct_id": "a", "uuid": new_id()})
    answer = multipart(
        http,
        ("event", "application/json", head),
        ("event.properties", "application/json", '{"$ai_model": "m", "n": 1}'),
        ("event.properties.$ai_input", "application/json", '[{"role": "user"}]'),
        ("event.properties.note", "text/plain", "ü\r\n--x"),
        ("event.properties.raw", "application/octet-stream", b"\x00\r\n\xff"),
    )
    assert answer.status_code == 200
    parts = answer.json()["accepted_parts"]
    assert [part["name"] for part in parts][:2] == ["event", "event.properties"]
    assert parts[0]["length"] == len(head)
    assert http.properties("$ai_embedding") == [
        {
            "$ai_model": "m",
            "n": 1,
            "$ai_input": [{"role": "user"}],
            "note": "ü\r\n--x",
            "raw": "data:application/octet-stream;base64,AA0K/w==",
        }
    ]


@pytest.mark.parametrize(
    ("parts", "status", "says"),
    [
        ([("other", "text/plain", "x")], 400, "first part must be 'event'"),
        ([("event", "application/json", "[]")], 400, "must be an object"),
        ([("event", "application/json", '{"event": "x", "distinct_id": "a"}')], 400, "$ai_"),
        (
            [("event", "application/json", '{"event": "$ai_x", "distinct_id": "a"}')],
            400,
            "no '$ai_model'",
        ),
        (
            [
                (
                    "event",
                    "application/json",
                    '{"event": "$ai_x", "properties": {"$ai_model": "m"}}',
                )
            ],
            400,
            "distinct_id",
        ),
        ([("event", "application/json", "x" * 33_000)], 413, "larger than 32768"),
    ],
)
def test_ai_parts_that_are_refused(
    http: Http, parts: list[tuple[str, str, Any]], status: int, says: str
) -> None:
    answer = multipart(http, *parts)
    assert answer.status_code == status
    assert says in answer.text


def test_ai_parts_need_the_key_and_a_form(http: Http) -> None:
    assert http.post("/i/v0/ai", b"x").status_code == 401
    bearer = {"Authorization": f"Bearer {http.key}"}
    assert http.post("/i/v0/ai", b"x", headers=bearer).status_code == 415
    form = {**bearer, "Content-Type": "multipart/form-data; boundary=b"}
    assert http.post("/i/v0/ai", b"--b\r\nno end", headers=form).status_code == 400
