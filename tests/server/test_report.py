"""The optimizer's report as a page: handed in whole, shown without scripts, behind the token."""

from __future__ import annotations

import json

import requests

from nightpane.testing import LocalServer

HTML = "<!doctype html>\n<html><body>\n<main>\n<h1>Findings</h1><script>1</script></main></body>"


def session(server: LocalServer) -> requests.Session:
    token = json.loads((server.data_dir / "keys.json").read_text("utf-8"))["page_token"]
    inside = requests.Session()
    inside.get(f"{server.host}/report?token={token}", timeout=10)
    return inside


def test_the_latest_report_is_shown_in_a_sandbox(server: LocalServer) -> None:
    key = {"Authorization": f"Bearer {server.personal_api_key}"}
    address = f"{server.host}/pane/report/"
    assert requests.get(address, headers=key, timeout=10).status_code == 404
    empty = session(server).get(f"{server.host}/report", timeout=10)
    assert "nightpane optimize" in empty.text
    for html in (HTML.replace("Findings", "Older"), HTML):
        kept = requests.put(address, json={"html": html}, headers=key, timeout=10)
        assert kept.status_code == 200
    shown = session(server).get(f"{server.host}/report", timeout=10)
    assert "Findings" in shown.text
    assert "Older" not in shown.text
    policy = shown.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow-scripts" not in policy


def test_strangers_neither_read_nor_write_it(server: LocalServer) -> None:
    address = f"{server.host}/pane/report/"
    assert requests.get(f"{server.host}/report", timeout=10).status_code == 401
    assert requests.get(address, timeout=10).status_code == 401
    assert requests.put(address, json={"html": HTML}, timeout=10).status_code == 401


def test_what_is_no_page_is_refused(server: LocalServer) -> None:
    key = {"Authorization": f"Bearer {server.personal_api_key}"}
    answer = requests.put(f"{server.host}/pane/report/", json={"html": 7}, headers=key, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["attr"] == "html"
