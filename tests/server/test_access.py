"""Who may read and from where; what unchanged clients ask for; keys that stay unseen."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from tests.server.support import Http, body_of

from nightpane.server.auth import allowed_host_names, is_loopback
from nightpane.server.keys import Keys, load_or_create

ME = "/api/users/@me/"


@pytest.fixture(scope="module")
def keys(http: Http) -> Keys:
    return load_or_create(http.server.data_dir)


def raw(http: Http, head: str) -> int:
    """Send a request head as it is and return the status."""
    parts = urlsplit(http.server.host)
    assert parts.hostname
    assert parts.port
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        answer = connection.recv(200)
    return int(answer.split()[1])


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "not_authenticated"),
        ("", "not_authenticated"),
        ("Basic eDp5", "not_authenticated"),
        ("Bearer", "authentication_failed"),
        ("Bearer phx_wrong", "authentication_failed"),
        ("Bearer phx_\u00e9", "authentication_failed"),
        ("Bearer PROJECT", "authentication_failed"),
    ],
)
def test_reading_needs_the_personal_key(http: Http, authorization: str | None, code: str) -> None:
    headers = {}
    if authorization is not None:
        headers["Authorization"] = authorization.replace("PROJECT", http.key).encode("latin-1")
    answer = http.ask("GET", ME, headers=headers)
    assert body_of(answer) == (401, "application/json")
    body = answer.json()
    assert (body["type"], body["code"], body["attr"]) == ("authentication_error", code, None)


@pytest.mark.parametrize(
    "host", ["evil.test", "127.0.0.1.evil.test", "evil.test:8321", "", "10.0.0.1", "[::2]:80"]
)
def test_an_unknown_host_name_is_refused_with_any_key(http: Http, host: str) -> None:
    for path in (ME, "/", "/pane/boards"):
        headers = {**http.bearer, "Host": host, "Origin": f"http://{host}"}
        assert http.ask("GET", path, headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1", "[::1]:9", "LOCALHOST"])
def test_our_own_host_names_are_let_through(http: Http, host: str) -> None:
    assert http.ask("GET", ME, headers={**http.bearer, "Host": host}).status_code == 200


def test_two_hosts_or_none_are_refused(http: Http) -> None:
    key = http.bearer["Authorization"]
    assert raw(http, f"GET {ME} HTTP/1.1\nHost: localhost\nAuthorization: {key}") == 200
    two = f"GET {ME} HTTP/1.1\nHost: localhost\nHost: evil.test\nAuthorization: {key}"
    assert raw(http, two) in (400, 403)
    assert raw(http, f"GET {ME} HTTP/1.0\nAuthorization: {key}") == 403


def test_a_server_on_the_network_is_reached_by_address_but_not_by_any_name() -> None:
    allowed = allowed_host_names("0.0.0.0")
    assert allowed("192.0.2.7")
    assert allowed("localhost")
    assert not allowed("evil.test")
    assert not allowed_host_names("127.0.0.1")("192.0.2.7")
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "a.b")] == [
        *(True, True, True),
        *(False, False),
    ]


# The page


def test_the_page_opens_with_the_token_then_with_the_cookie(http: Http, keys: Keys) -> None:
    assert http.ask("GET", "/").status_code == 401
    assert http.ask("GET", "/?token=wrong").status_code == 403
    browser = requests.Session()
    let_in = browser.get(
        f"{http.server.host}/?token={keys.page_token}", allow_redirects=False, timeout=10
    )
    assert (let_in.status_code, let_in.headers["location"]) == (302, "/")
    cookie = let_in.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert keys.page_token not in cookie
    assert keys.personal_api_key not in cookie
    page = browser.get(http.server.host + "/", timeout=10)
    assert page.status_code == 200
    assert browser.get(http.server.host + ME, timeout=10).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "OWN"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.test"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "OWN", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "OWN", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_the_cookie_is_no_good_to_other_pages(
    http: Http, keys: Keys, headers: dict[str, str], status: int
) -> None:
    own = {name: value.replace("OWN", http.server.host) for name, value in headers.items()}
    answer = http.ask(
        "POST",
        "/api/projects/1/query/",
        json={"query": {"kind": "HogQLQuery", "query": "select 1"}},
        headers=own,
        cookies={keys.cookie: keys.session},
    )
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "permission_denied"


def test_a_wrong_cookie_is_none(http: Http, keys: Keys) -> None:
    for value in ("", "x", keys.page_token):
        assert http.ask("GET", ME, cookies={keys.cookie: value}).status_code == 401


def test_no_other_origin_may_read_an_answer(http: Http) -> None:
    answer = http.ask("GET", ME, headers={**http.bearer, "Origin": "https://evil.test"})
    assert "access-control-allow-origin" not in answer.headers
    preflight = http.ask("OPTIONS", ME, headers={"Origin": "https://evil.test"})
    assert "access-control-allow-origin" not in preflight.headers


# Keys


def test_keys_are_made_once_for_their_owner_only(tmp_path: Path) -> None:
    keys = load_or_create(tmp_path)
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600
    assert keys.project_id == 1
    assert keys.api_key.startswith("phc_")
    assert keys.personal_api_key.startswith("phx_")
    assert len(keys.api_key) == len(keys.personal_api_key) == 47
    assert load_or_create(tmp_path) == keys
    shown = repr(keys)
    assert not any(one in shown for one in (keys.api_key, keys.personal_api_key, keys.page_token))


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"project_id": "x"}'])
def test_keys_that_cannot_be_read_are_not_replaced(tmp_path: Path, text: str) -> None:
    from nightpane.errors import StoreError

    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(StoreError, match="mend it, or move it away"):
        load_or_create(tmp_path)
    assert (tmp_path / "keys.json").read_text() == text


def test_the_log_holds_no_key(http: Http, keys: Keys) -> None:
    http.ask("GET", f"/e/?token={keys.api_key}&data=x")
    http.ask("GET", f"{ME}?personal_api_key={keys.personal_api_key}")
    http.post("/batch/", b"\xff" * 100)
    assert keys.api_key not in http.server.log
    assert keys.personal_api_key not in http.server.log


# What unchanged clients ask for


def get(http: Http, path: str) -> Any:
    answer = http.ask("GET", path, headers=http.bearer)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_tool_finds_its_way(http: Http) -> None:
    user = get(http, ME)
    assert user["team"]["id"] == 1
    assert user["team"]["api_token"] == http.key
    organization = user["organization"]["id"]
    for path in ("/api/projects/", f"/api/organizations/{organization}/projects"):
        assert [project["id"] for project in get(http, path)["results"]] == [1]
    for path in ("/api/projects/1/", "/api/projects/@current/", "/api/environments/1"):
        assert get(http, path)["id"] == 1
    assert get(http, "/api/organizations/@current/")["id"] == organization
    assert get(http, "/api/personal_api_keys/@current/")["scopes"] == ["*"]


@pytest.mark.parametrize(
    "path", ["/api/projects/2/", "/api/projects/x/property_definitions/", "/api/nothing/here/"]
)
def test_what_is_not_there_is_404_in_posthogs_words(http: Http, path: str) -> None:
    answer = http.ask("GET", path, headers=http.bearer)
    assert (answer.status_code, answer.json()) == (
        404,
        {"type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": None},
    )


def test_definitions_follow_what_arrived(http: Http) -> None:
    event = {"event": "defined", "distinct_id": "a", "properties": {"dim_seen": 0.5, "k": "text"}}
    assert http.batch(event).status_code == 200
    base = "/api/projects/1"
    found = get(http, f"{base}/property_definitions/?search=dim_seen")
    assert found["count"] == 1
    assert found["results"][0]["property_type"] == "Numeric"
    assert found["results"][0]["is_numerical"] is True
    assert "defined" in [one["name"] for one in get(http, f"{base}/event_definitions/")["results"]]
    page = get(http, f"{base}/property_definitions/?limit=2&offset=2")
    assert len(page["results"]) == 2
    assert "offset=4" in page["next"]
    assert "offset=0" in page["previous"]
    bad = http.ask("GET", f"{base}/property_definitions/?limit=x", headers=http.bearer)
    assert (bad.status_code, bad.json()["type"]) == (400, "validation_error")


def test_property_definitions_can_be_narrowed(http: Http) -> None:
    more = {"dim_narrow": 1, "$lib": "x", "$feature/f": "test", "$set": {"narrow_plan": "pro"}}
    event = {"event": "narrowed", "distinct_id": "narrow", "properties": more}
    assert http.batch(event).status_code == 200

    def names(**asked: str) -> list[str]:
        listed = get(http, f"/api/projects/1/property_definitions/?{urlencode(asked)}")
        return [one["name"] for one in listed["results"]]

    of_event = {"event_names": '["narrowed"]', "filter_by_event_names": "true"}
    assert {"$lib", "$feature/f", "dim_narrow"} <= set(names(**of_event))
    assert names(**of_event, exclude_core_properties="true") == ["dim_narrow"]
    assert names(**of_event, is_feature_flag="true") == ["$feature/f"]
    assert "$lib" not in names(**of_event, excluded_properties='["$lib"]')
    assert names(event_names='["never"]', filter_by_event_names="true") == []
    assert "narrow_plan" in names(type="person")
    assert names(type="group") == []
    for bad in ("event_names=narrowed&filter_by_event_names=true", "excluded_properties=[1]"):
        answer = http.ask(
            "GET", f"/api/projects/1/property_definitions/?{bad}", headers=http.bearer
        )
        assert (answer.status_code, answer.json()["attr"]) == (400, bad.split("=")[0])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "surveys/"),
        ("PATCH", "surveys/x/"),
        ("GET", "surveys/x/stats"),
        ("POST", "max_tools/create_and_query_insight/"),
        ("GET", "error_tracking/issues/"),
    ],
)
def test_what_posthog_has_and_is_not_here_says_so(http: Http, method: str, path: str) -> None:
    answer = http.ask(method, f"/api/environments/1/{path}", headers=http.bearer)
    assert (answer.status_code, answer.json()["code"]) == (501, "not_implemented")
    assert answer.json()["detail"].startswith("A local server has no ")
    assert http.ask(method, f"/api/projects/1/{path}").status_code == 401
    elsewhere = http.ask(method, f"/api/projects/2/{path}", headers=http.bearer)
    assert elsewhere.status_code == 404


@pytest.mark.parametrize("version", ["2", "4"])
@pytest.mark.parametrize("path", ["/flags/", "/flags"])
def test_flags_are_empty(http: Http, path: str, version: str) -> None:
    body = {"token": http.key, "distinct_id": "a"}
    answer = http.post(f"{path}?v={version}", body).json()
    assert answer["flags"] == {}
    assert answer["errorsWhileComputingFlags"] is False
    assert set(answer) == {"flags", "errorsWhileComputingFlags", "requestId", "evaluatedAt"}


def test_flags_for_older_clients_and_with_the_config(http: Http) -> None:
    body = {"api_key": http.key, "distinct_id": "a"}
    assert http.post("/flags/", body).json()["featureFlags"] == {}
    assert http.post("/decide/?v=1", body).json()["featureFlags"] == []
    decide = http.post("/decide/?v=3", body).json()
    assert decide["featureFlags"] == decide["featureFlagPayloads"] == {}
    config = http.post("/flags/?v=2&config=true", body).json()
    assert config["sessionRecording"] is False
    assert config["flags"] == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [({"token": "phc_other"}, 401), ({}, 401), (b"{", 400), (b"[]", 400), (b"", 401)],
)
def test_flags_need_the_projects_key(http: Http, body: Any, status: int) -> None:
    answer = http.post("/flags/?v=2", body)
    assert body_of(answer) == (status, "text/plain")


@pytest.mark.parametrize("path", ["/flags/definitions", "/api/feature_flag/local_evaluation"])
def test_flag_definitions_are_empty_and_cached(http: Http, path: str) -> None:
    url = f"{path}?token={http.key}&send_cohorts"
    answer = http.ask("GET", url, headers=http.bearer)
    assert answer.json() == {"flags": [], "group_type_mapping": {}, "cohorts": {}}
    again = http.ask("GET", url, headers={**http.bearer, "If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert http.ask("GET", url).status_code == 401
    assert http.ask("GET", f"{path}?token=phc_x", headers=http.bearer).status_code == 401


def test_the_browsers_configuration(http: Http) -> None:
    config = http.ask("GET", f"/array/{http.key}/config").json()
    assert config["supportedCompression"] == ["gzip", "gzip-js"]
    script = http.ask("GET", f"/array/{http.key}/config.js")
    assert script.headers["content-type"].startswith("application/javascript")
    held = script.text.split("={config:", 1)[1].split(",siteApps:[]", 1)[0]
    assert json.loads(held) == config
    for path in ("/array/phc_x/config", "/array/phc_x/config.js", "/static/recorder.js"):
        assert http.ask("GET", path).status_code == 404
    assert http.ask("GET", f"/api/surveys/?token={http.key}").json() == {"surveys": []}
