"""The query API over HTTP: PostHog's shapes, its refusals, and limits that hold."""
# ruff: noqa: E501 (one case a line)

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from nightpane.testing import LocalServer

EVENTS = 300


@pytest.fixture(scope="module")
def filled(server: LocalServer) -> LocalServer:
    """The module's server with events in it."""
    batch = [
        {
            "event": "round_scored" if number % 2 else "round_kept",
            "distinct_id": f"d{number % 3}",
            "timestamp": f"2026-03-01T{number % 24:02d}:00:00Z",
            "uuid": f"0195a000-0000-7000-8000-{number:012d}",
            "properties": {"project": "autoagent", "score": number, "round_id": f"r{number}"},
        }
        for number in range(EVENTS)
    ]
    answer = requests.post(
        f"{server.host}/batch/", json={"api_key": server.api_key, "batch": batch}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    return server


def post(server: LocalServer, body: Any, **more: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {server.personal_api_key}"}
    path = more.pop("path", "/api/projects/1/query/")
    return requests.post(server.host + path, json=body, headers=headers, timeout=60, **more)


def ask(server: LocalServer, query: str, **node: Any) -> requests.Response:
    return post(server, {"query": {"kind": "HogQLQuery", "query": query, **node}})


def test_the_response_has_posthogs_fields(filled: LocalServer) -> None:
    query = "SELECT event, count() AS n FROM events GROUP BY event ORDER BY event"
    body = ask(filled, query).json()
    assert body["results"] == [["round_kept", 150], ["round_scored", 150]]
    assert body["columns"] == ["event", "n"]
    assert body["types"] == [["event", "LowCardinality(String)"], ["n", "UInt64"]]
    assert (body["hasMore"], body["limit"], body["offset"]) == (False, 100, 0)
    assert (body["hogql"], body["query"], body["error"]) == (query, query, None)
    assert body["is_cached"] is False
    assert body["cache_key"] is None
    assert body["timezone"] == "UTC"
    assert {"k", "t"} == set(body["timings"][0])
    for field in ("clickhouse", "explain", "metadata", "modifiers", "query_status"):
        assert field in body
    for field in ("last_refresh", "cache_target_age", "next_allowed_client_refresh_time"):
        assert field in body


@pytest.mark.parametrize("scope", ["projects", "environments"])
@pytest.mark.parametrize("project", ["1", "@current", "12345"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_spelling_of_the_path(
    filled: LocalServer, scope: str, project: str, slash: str
) -> None:
    body = {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}}
    answer = post(filled, body, path=f"/api/{scope}/{project}/query{slash}")
    assert (answer.status_code, answer.json()["results"]) == (200, [[1]])


@pytest.mark.parametrize(
    "more",
    [
        *({"refresh": word} for word in ("blocking", "async", "force_blocking", "force_cache")),
        {"async": True},
        {"limit_context": "query", "name": "x"},
        {"client_query_id": "my-query"},
    ],
)
def test_how_to_refresh_is_taken_note_of_and_answered_at_once(
    filled: LocalServer, more: dict[str, Any]
) -> None:
    body = {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}, **more}
    answer = post(filled, body)
    assert (answer.status_code, answer.json()["results"]) == (200, [[1]])


@pytest.mark.parametrize("kind", ["InsightVizNode", "DataVisualizationNode", "DataTableNode"])
def test_wrappers_are_taken_off(filled: LocalServer, kind: str) -> None:
    source = {"kind": "HogQLQuery", "query": "SELECT 2"}
    answer = post(filled, {"query": {"kind": kind, "source": source, "display": "ActionsTable"}})
    assert answer.json()["results"] == [[2]]


def test_values_variables_and_filters(filled: LocalServer) -> None:
    body = ask(
        filled,
        "SELECT count(), {variables.v} FROM events WHERE event = {e} AND {filters}",
        values={"e": "round_kept"},
        variables={"0": {"code_name": "v", "variableId": "0", "value": "x"}},
        filters={"dateRange": {"date_from": "2026-03-01", "date_to": "2026-03-01"}},
    ).json()
    assert body["results"] == [[150, "x"]]


def test_a_query_can_be_asked_for_again_by_its_id(filled: LocalServer) -> None:
    body = {"query": {"kind": "HogQLQuery", "query": "SELECT 5"}, "client_query_id": "five"}
    assert post(filled, body).json()["query_status"]["complete"] is True
    headers = {"Authorization": f"Bearer {filled.personal_api_key}"}
    url = f"{filled.host}/api/projects/1/query/five/"
    status = requests.get(url, headers=headers, timeout=30).json()["query_status"]
    assert (status["complete"], status["results"]["results"]) == (True, [[5]])
    assert requests.delete(url, headers=headers, timeout=30).status_code == 200
    gone = requests.get(url, headers=headers, timeout=30)
    assert (gone.status_code, gone.json()["detail"]) == (404, "Not found.")


def test_an_editor_is_told_what_is_wrong_and_where(filled: LocalServer) -> None:
    def check(query: str, language: str = "hogQL") -> dict[str, Any]:
        node = {"kind": "HogQLMetadata", "language": language, "query": query}
        found: dict[str, Any] = post(filled, {"query": node}).json()
        return found

    good = check("SELECT event FROM events")
    assert (good["isValid"], good["errors"], good["table_names"]) == (True, [], ["events"])
    bad = check("SELECT event, nonsense FROM events")
    assert bad["isValid"] is False
    assert bad["errors"][0]["message"] == "Unable to resolve field: nonsense"
    assert (bad["errors"][0]["start"], bad["errors"][0]["end"]) == (14, 22)
    assert {"warnings", "notices", "isUsingIndices"} <= set(bad)
    assert check("event = 'x'", "hogQLExpr")["isValid"] is True
    assert check("nonsense = 'x'", "hogQLExpr")["errors"][0]["start"] == 0


@pytest.mark.parametrize(
    ("query", "code", "detail"),
    [
        ("SELECT (", "hogql_syntax_error", "no viable alternative at input 'SELECT ('"),
        ("SELECT 1,\n  x FROM events", "hogql_query_error", "Unable to resolve field: x (line 2, column 3)"),
        ("SELECT file('/etc/passwd')", "hogql_query_error", "Unsupported function call 'file(...)'"),
        ("SELECT 'a' + 1", "illegal_type_of_argument", "Illegal types"),
        ("SELECT event, count() FROM events", "not_an_aggregate", ""),
    ],
)  # fmt: skip
def test_mistakes_are_validation_errors(
    filled: LocalServer, query: str, code: str, detail: str
) -> None:
    answer = ask(filled, query)
    body = answer.json()
    assert answer.status_code == 400
    assert (body["type"], body["code"], body["attr"]) == ("validation_error", code, None)
    assert body["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "required"),
        ({"query": None}, "required"),
        ({"query": "SELECT 1"}, "required"),
        ({"query": {"kind": "HogQLQuery"}}, "required"),
        ({"query": {"kind": "HogQLQuery", "query": 5}}, "required"),
        ({"query": {"kind": "NonsenseQuery"}}, "invalid"),
        ({"query": {"query": "SELECT 1"}}, "invalid"),
        ({"query": {"kind": "InsightVizNode"}}, "required"),
        ({"query": {"kind": "HogQLQuery", "query": "SELECT 1", "values": [1]}}, "invalid"),
        ([], "invalid"),
        (None, "parse_error"),
    ],
)
def test_other_bodies_are_validation_errors(filled: LocalServer, body: Any, code: str) -> None:
    answer = post(filled, body)
    assert answer.status_code == 400, answer.text
    assert (answer.json()["type"], answer.json()["code"]) == ("validation_error", code)


def test_a_body_that_is_no_json_and_one_that_is_too_large(filled: LocalServer) -> None:
    headers = {"Authorization": f"Bearer {filled.personal_api_key}"}
    url = f"{filled.host}/api/projects/1/query/"
    broken = requests.post(url, data=b"{", headers=headers, timeout=30)
    assert (broken.status_code, broken.json()["code"]) == (400, "parse_error")
    large = requests.post(url, data=b" " * (3 * 1024 * 1024), headers=headers, timeout=30)
    assert large.status_code == 413


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "not_authenticated"),
        ("Bearer phx_wrong", "authentication_failed"),
        ("Bearer {api_key}", "authentication_failed"),
    ],
)
def test_only_the_personal_key_reads(
    filled: LocalServer, authorization: str | None, code: str
) -> None:
    headers = {}
    if authorization is not None:
        headers["Authorization"] = authorization.format(api_key=filled.api_key)
    body = {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}}
    for method, path in (("POST", "query/"), ("GET", "query/x/"), ("DELETE", "query/x/")):
        url = f"{filled.host}/api/projects/1/{path}"
        answer = requests.request(method, url, json=body, headers=headers, timeout=30)
        assert answer.status_code == 401
        assert (answer.json()["type"], answer.json()["code"]) == ("authentication_error", code)


def test_values_travel_as_they_are(filled: LocalServer) -> None:
    answer = ask(
        filled,
        "SELECT 18446744073709551615, 340282366920938463463374607431768211455, nan, [inf, 1.5], "
        "{'a': 1}, (1, 'x'), toUUID('0195a000-0000-7000-8000-000000000000'), '😀\\n', null",
    )
    row = json.loads(answer.text)["results"][0]
    assert row == [
        *(2**64 - 1, 2**128 - 1, None, [None, 1.5], {"a": 1}, [1, "x"]),
        *("0195a000-0000-7000-8000-000000000000", "😀\n", None),
    ]


def test_a_file_and_a_port_stay_out_of_reach(filled: LocalServer, tmp_path: Path) -> None:
    """The canaries of the escape corpus: the file is not read, nothing is written or dialled."""
    canary = tmp_path / "canary.txt"
    canary.write_text("the canary sings")
    target = tmp_path / "written.txt"
    for query in (
        f"SELECT file('{canary}')",
        f"SELECT * FROM file('{canary}', 'RawBLOB')",
        f"SELECT * FROM `{canary}`",
        f"SELECT {{v}} INTO OUTFILE '{target}'",
        f"SELECT 1; SELECT file('{canary}')",
        f"WITH a AS (SELECT file('{canary}') AS f) SELECT f FROM a",
        "SELECT * FROM url('http://127.0.0.1:9/')",
    ):
        answer = ask(filled, query, values={"v": 1})
        assert answer.status_code == 400
        assert "sings" not in answer.text
    assert not target.exists()


def test_many_questions_at_once_and_events_still_come_in(filled: LocalServer) -> None:
    heavy = "SELECT count() FROM numbers(10000) a CROSS JOIN numbers(10000) b"
    done = threading.Event()
    latencies: list[float] = []

    def deliver() -> None:
        number = 0
        while not done.is_set():
            event = {"event": "while_busy", "distinct_id": "d", "properties": {"n": number}}
            started = time.monotonic()
            answer = requests.post(
                f"{filled.host}/batch/",
                json={"api_key": filled.api_key, "batch": [event]},
                timeout=60,
            )
            latencies.append(time.monotonic() - started)
            assert answer.status_code == 200
            number += 1

    writer = threading.Thread(target=deliver)
    writer.start()
    try:
        with ThreadPoolExecutor(30) as pool:
            answers = list(pool.map(lambda _: ask(filled, heavy), range(30)))
    finally:
        done.set()
        writer.join()
    assert {answer.status_code for answer in answers} <= {200, 429}
    good = [answer for answer in answers if answer.status_code == 200]
    assert good
    assert all(answer.json()["results"] == [[100_000_000]] for answer in good)
    assert all("Retry-After" in a.headers for a in answers if a.status_code == 429)
    assert latencies
    assert ask(filled, "SELECT 1").status_code == 200
