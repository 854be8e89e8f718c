"""AI events up to 8 MiB arrive whole on the lane for them; where there is none they are cut."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.client.support import OK, REFUSED, Network

import nightpane
from nightpane.client.verdicts import Response
from nightpane.testing import LocalServer

MIB = 1024 * 1024
LARGE = "a prompt " * 400_000
AI, PLAIN = "/i/v0/ai/batch/", "/batch/"


def generate(pane: nightpane.Pane, text: str, **more: Any) -> None:
    pane.posthog.capture("$ai_generation", properties={"$ai_input": text, **more})


def paths(network: Network) -> list[str]:
    return [url.removeprefix("http://127.0.0.1:9") for url in network.urls]


class Lanes(Network):
    """Answers each lane as told; what it does not take it does not keep."""

    def __init__(self, ai: Any, plain: Any = OK) -> None:
        super().__init__()
        self.answers = {AI: ai, PLAIN: plain}
        self.taken: list[dict[str, Any]] = []

    def post(self, url: str, body: bytes, headers: Any) -> Response:
        self.script = [self.answers[url.removeprefix("http://127.0.0.1:9")]]
        answer = super().post(url, body, headers)
        if answer.status == 200:
            self.taken += self.requests[-1]["batch"]
        return answer


def test_a_large_model_call_takes_the_lane_for_it_and_the_rest_does_not(
    pane: nightpane.Pane, network: Network
) -> None:
    pane.track("hello", agent="a", n=1)
    generate(pane, LARGE)
    generate(pane, "a short prompt")
    pane.track("hello", agent="a", n=2)
    assert pane.flush()
    by_path = dict(zip(paths(network), network.requests, strict=True))
    assert set(by_path) == {AI, PLAIN}
    (large,) = by_path[AI]["batch"]
    assert large["properties"]["$ai_input"] == LARGE
    assert by_path[AI].keys() == by_path[PLAIN].keys()
    assert pane.health().delivered == 4
    assert pane.health().truncated == 0


def test_beyond_eight_mib_it_is_cut_to_fit(pane: nightpane.Pane, network: Network) -> None:
    generate(pane, "x" * 12 * MIB, note="kept")
    assert pane.flush()
    ((event,),) = [request["batch"] for request in network.requests]
    assert paths(network) == [AI]
    assert len(event["properties"]["$ai_input"]) == 2_000_001
    assert event["properties"]["$nightpane_truncated"] == [
        {"property": "$ai_input", "length": 12 * MIB}
    ]
    assert event["properties"]["note"] == "kept"


def test_another_large_event_never_takes_the_lane(pane: nightpane.Pane, network: Network) -> None:
    pane.track("hello", agent="a", text=LARGE)
    pane.posthog.capture("$ai_custom", properties={"$ai_input": LARGE})
    assert pane.flush()
    assert set(paths(network)) == {PLAIN}
    for event in network.events:
        assert event["properties"]["$nightpane_truncated"]


@pytest.mark.parametrize("status", [404, 405, 413, 400])
def test_where_the_lane_refuses_it_is_cut_and_delivered(
    make_pane: Callable[..., nightpane.Pane], status: int
) -> None:
    lanes = Lanes(ai=status)
    pane = make_pane(transport=lanes)
    generate(pane, LARGE)
    assert pane.flush()
    (event,) = lanes.taken
    assert paths(lanes) == [AI, PLAIN]
    assert event["properties"]["$nightpane_truncated"] == [
        {"property": "$ai_input", "length": len(LARGE)}
    ]
    assert pane.health().truncated == 1
    assert pane.health().set_aside == 0


def test_a_host_without_the_lane_is_not_asked_again(
    make_pane: Callable[..., nightpane.Pane],
) -> None:
    lanes = Lanes(ai=404)
    pane = make_pane(transport=lanes)
    generate(pane, LARGE)
    assert pane.flush()
    generate(pane, LARGE)
    assert pane.flush()
    assert paths(lanes) == [AI, PLAIN, PLAIN]
    assert len(lanes.taken) == 2


@pytest.mark.parametrize("trouble", [REFUSED, 500, 429, 401])
def test_what_may_pass_by_itself_keeps_the_event_whole(
    make_pane: Callable[..., nightpane.Pane], trouble: Any
) -> None:
    lanes = Lanes(ai=trouble)
    pane = make_pane(transport=lanes)
    generate(pane, LARGE)
    pane.track("hello", agent="a")
    assert not pane.flush(0.5)
    assert lanes.taken == []
    pane.close(timeout_s=0)
    lanes.answers[AI] = OK
    # Another process finds it in the spool.
    again = make_pane(transport=lanes)
    again.track("hello", agent="a")
    assert again.flush()
    assert [e["properties"]["$ai_input"] for e in lanes.taken if "ai" in e["event"]] == [LARGE]
    assert len(lanes.taken) == 3


def test_eight_mib_arrive_whole_at_a_real_server(
    make_pane: Callable[..., nightpane.Pane], server: LocalServer
) -> None:
    pane = make_pane(host=server.host, api_key=server.api_key, transport=None)
    text = "".join(f"line {number} of a long prompt\n" for number in range(280_000))
    assert 7.5 * MIB < len(text) < 8 * MIB
    generate(pane, text, marker="whole")
    assert pane.flush(30)
    rows = server.query().hogql(
        "select length(properties.$ai_input), properties.$nightpane_truncated "
        "from events where properties.marker = 'whole'"
    )
    assert rows.rows == [[len(text), None]]
