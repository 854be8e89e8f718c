"""The proxy as OpenAI's own client sees it."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from typing import Any

import openai
import pytest
from tests.router.conftest import ENVIRON, Proxy
from tests.router.upstreams import Fake

from nightpane.errors import StoreError
from nightpane.router import asked

# LiteLLM's own.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def deep(levels: int) -> Any:
    return {"a": deep(levels - 1)} if levels else 1


ASKED: Any = [{"role": "user", "content": "Who are you? " * 20}]


def ask(client: openai.OpenAI, model: str = "auto", **options: Any) -> Any:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=ASKED, **options)
    return raw.headers, raw.parse()


def test_a_named_model_answers_and_the_call_is_told(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    with proxy.client("alice") as client:
        headers, answer = ask(client, "small", extra_headers={"X-Span-Id": "span-1"})
    assert answer.choices[0].message.content == "I am small."
    assert answer.usage.total_tokens == 150
    assert headers["x-token-machine-model"] == "small"
    assert headers["x-token-machine-rule"] == proxy.service.rules.id
    assert float(headers["x-token-machine-cost-usd"]) == pytest.approx(100e-6 + 100e-6)
    assert fakes["small"].keys == [f"Bearer {ENVIRON['SMALL_KEY']}"]
    assert fakes["small"].seen[0]["model"] == "small-1"
    told = proxy.event(request_id=headers["x-token-machine-request-id"])
    assert told["distinct_id"] == told["user_id"] == "alice"
    assert (told["agent"], told["team"], told["key_name"]) == ("coder", "research", "alice")
    assert (told["model_used"], told["$ai_model"]) == ("small", "small")
    assert (told["input_tokens"], told["output_tokens"]) == (100, 50)
    assert told["cost_usd"] == pytest.approx(0.0002)
    assert (told["$ai_span_id"], told["$ai_completion_id"]) == ("span-1", "c-small")
    assert told["efficiency_grade"] == "A"
    assert told["latency_ms"] >= 0
    assert told["$ai_http_status"] == 200
    assert "$ai_input" not in told


def test_a_stream_arrives_piece_by_piece(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    with proxy.client("alice") as client:
        headers, pieces = ask(client, "small", stream=True)
        words = [piece.choices[0].delta.content for piece in pieces]
        assert words == ["I ", "am ", "small.", None]
        _, pieces = ask(client, "small", stream=True, stream_options={"include_usage": True})
        assert [piece.usage.total_tokens for piece in pieces if piece.usage] == [150]
    told = proxy.event(request_id=headers["x-token-machine-request-id"])
    assert told["cost_usd"] == pytest.approx(0.0002)
    assert told["is_stream"] is True
    assert told["first_piece_ms"] <= told["latency_ms"]


def test_embeddings(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    with proxy.client("alice") as client:
        found = client.embeddings.create(model="auto", input="some text")
    assert found.data[0].embedding == [0.5, 0.25]
    told = proxy.event(model_used="vectors")
    assert (told["input_tokens"], told["cost_usd"]) == (10, pytest.approx(5e-6))


def test_models_and_health(proxy: Proxy) -> None:
    with proxy.client("alice") as client, proxy.client("bob") as bob:
        names = [one.id for one in client.models.list()]
        assert names == ["auto", "gtm.rewrite", "small", "hasty", "large", "spare", "vectors"]
        assert [one.id for one in bob.models.list()] == ["auto", "gtm.rewrite", "small", "hasty"]
    status, body = raw(proxy, "GET", "/health", None, {})
    assert (status, body["status"], body["models"]) == (200, "ok", 5)


@pytest.mark.parametrize("how", ["header", "metadata", "alias", "name"])
def test_a_task_type_is_told_in_any_of_four_ways(
    proxy: Proxy, fakes: dict[str, Fake], how: str
) -> None:
    model = {"alias": "rewrite", "name": "gtm.rewrite"}.get(how, "auto")
    more: dict[str, Any] = {}
    if how == "header":
        more["extra_headers"] = {"X-Task-Type": "gtm.rewrite"}
    if how == "metadata":
        more["metadata"] = {"task_type": "gtm.rewrite"}
    with proxy.client("alice") as client:
        headers, _ = ask(client, model, **more)
    assert headers["x-token-machine-model"] == "large"
    assert headers["x-token-machine-reason"].startswith("default: no model is known to hold")
    told = proxy.event(request_id=headers["x-token-machine-request-id"])
    assert told["task_type"] == "gtm.rewrite"
    assert "metadata" not in fakes["large"].seen[0]


def test_a_call_belongs_to_the_round_of_its_caller(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    pane = proxy.pane
    with pane.run(agent="planner") as run, run.round() as round_:
        with proxy.client("alice") as client:
            headers, _ = ask(client, "small", extra_headers=round_.carrier())
        told = proxy.event(request_id=headers["x-token-machine-request-id"])
        assert told["round_id"] == told["$ai_trace_id"] == round_.round_id
        assert told["run_id"] == run.run_id
        with proxy.client("alice") as client:
            client.post(
                "/feedback",
                body={"request_id": headers["x-token-machine-request-id"], "score": 0.75},
                cast_to=object,
            )
        (grade,) = [one for one in proxy.events("$ai_metric") if one["round_id"] == round_.round_id]
        assert grade["$ai_metric_value"] == 0.75
        assert (grade["model_used"], grade["user_id"]) == ("small", "alice")
        round_.keep()
    with proxy.client("alice") as client:
        headers, _ = ask(client, "small", extra_headers={"baggage": "nightpane.round_id=%00"})
    assert "round_id" not in proxy.event(request_id=headers["x-token-machine-request-id"])


def test_only_the_caller_and_graders_grade(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    with proxy.client("alice") as client:
        headers, _ = ask(client, "small")
    body = {"request_id": headers["x-token-machine-request-id"], "score": 1}
    with proxy.client("bob") as bob, pytest.raises(openai.NotFoundError):
        bob.post("/feedback", body=body, cast_to=object)
    with proxy.client("judge") as judge:
        judge.post("/feedback", body=body, cast_to=object)
        for score in (1.5, -0.1, "1", True, None):
            with pytest.raises(openai.BadRequestError):
                judge.post("/feedback", body={**body, "score": score}, cast_to=object)
    grade = proxy.events("$ai_metric")[-1]
    assert (grade["graded_by"], grade["user_id"]) == ("judge", "alice")


@pytest.mark.parametrize("mode", ["429", "500", "503", "stall"])
@pytest.mark.parametrize("stream", [False, True])
def test_another_model_stands_in(
    proxy: Proxy, fakes: dict[str, Fake], mode: str, stream: bool
) -> None:
    fakes["small"].mode = mode
    with proxy.client("alice") as client:
        asked = "hasty" if mode == "stall" else "small"
        headers, answer = ask(client, asked, stream=stream)
        if stream:
            assert "".join(one.choices[0].delta.content or "" for one in answer) == "I am spare."
        else:
            assert answer.choices[0].message.content == "I am spare."
    assert headers["x-token-machine-model"] == "spare"
    told = proxy.event(request_id=headers["x-token-machine-request-id"])
    assert (told["model_used"], told["stood_in_for"]) == ("spare", asked)
    assert told["cost_usd"] == 0
    assert len(fakes["small"].seen) == 1


def test_a_stream_that_is_cut_is_carried_on(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    fakes["small"].mode = "cut"
    with proxy.client("alice") as client:
        headers, pieces = ask(client, "small", stream=True)
        assert "".join(one.choices[0].delta.content or "" for one in pieces) == "I I am spare."
    assert fakes["spare"].seen[0]["messages"][1] == {"role": "assistant", "content": "I "}
    told = proxy.event(request_id=headers["x-token-machine-request-id"])
    assert (told["model_used"], told["was_cut"]) == ("spare", True)
    # 100 tokens in, one that came before the cut.
    assert told["cost_usd"] == pytest.approx(102e-6)


def test_a_stream_that_nobody_carries_on_ends_with_an_error(
    proxy: Proxy, fakes: dict[str, Fake]
) -> None:
    fakes["small"].mode = fakes["spare"].mode = "cut"
    with proxy.client("alice") as client:
        headers, pieces = ask(client, "small", stream=True)
        with pytest.raises(openai.APIError):
            list(pieces)
    told = proxy.event(request_id=headers["x-token-machine-request-id"])
    assert (told["$ai_is_error"], told["$ai_error"]) == (True, "upstream_error")


def test_half_a_tools_call_is_not_carried_on(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    fakes["small"].mode = "tools-cut"
    with proxy.client("alice") as client:
        _, pieces = ask(client, "small", stream=True)
        with pytest.raises(openai.APIError):
            list(pieces)
    assert fakes["spare"].seen == []


def test_a_client_that_leaves_is_booked_for_what_came(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    with proxy.client("alice") as client:
        headers, pieces = ask(client, "small", stream=True)
        next(pieces)
        pieces.response.close()
    told = proxy.event(request_id=headers["x-token-machine-request-id"])
    # The rest may have been under way already.
    assert told["model_used"] == "small"
    assert told["cost_usd"] > 0


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [
        ("500", 502, "upstream_error"),
        ("429", 429, "upstream_rate_limit"),
        ("401", 502, "upstream_auth"),
        ("400", 400, "upstream_refused"),
        ("stall", 504, "upstream_timeout"),
    ],
)
def test_when_all_fail_the_error_says_so(
    proxy: Proxy, fakes: dict[str, Fake], mode: str, status: int, code: str
) -> None:
    fakes["small"].mode = mode
    fakes["small"].message = f"no, {ENVIRON['SMALL_KEY']} is bad"
    with proxy.client("bob") as bob, pytest.raises(openai.APIStatusError) as found:
        ask(bob, "hasty" if mode == "stall" else "small")
    assert (found.value.status_code, found.value.code) == (status, code)
    assert ENVIRON["SMALL_KEY"] not in found.value.response.text
    request_id = found.value.response.headers["x-token-machine-request-id"]
    told = proxy.event(request_id=request_id)
    assert (told["$ai_is_error"], told["$ai_error"]) == (True, code)
    assert told["$ai_http_status"] == status
    assert "cost_usd" not in told


def test_a_key_is_needed_and_its_models_are_kept_to(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    for key in ("wrong-key", "", ENVIRON["SMALL_KEY"]):
        status, body = raw(
            proxy, "POST", "/v1/chat/completions", {}, {"authorization": f"Bearer {key}"}
        )
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
    with proxy.client("bob") as bob:
        with pytest.raises(openai.PermissionDeniedError):
            ask(bob, "large")
        headers, _ = ask(bob, "rewrite")
        assert headers["x-token-machine-model"] == "small"
        fakes["small"].mode = "500"
        with pytest.raises(openai.InternalServerError):
            ask(bob, "rewrite")
    assert fakes["large"].seen == fakes["spare"].seen == []


def test_what_a_client_may_not_set_never_reaches_litellm(
    proxy: Proxy, fakes: dict[str, Fake]
) -> None:
    with proxy.client("alice") as client:
        for name, value in {
            "api_base": "http://127.0.0.1:9",
            "api_key": "x",
            "mock_response": "free",
            "fallbacks": ["large"],
            "extra_headers": {"a": "b"},
        }.items():
            with pytest.raises(openai.BadRequestError, match="unrecognized"):
                client.chat.completions.create(
                    model="small", messages=ASKED, extra_body={name: value}
                )
    assert fakes["small"].seen == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({"model": "small"}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages"),
        ({"model": 5, "messages": ASKED}, "model"),
        ({"model": "vectors", "messages": ASKED}, "model"),
        ({"messages": ASKED, "stream_options": 1}, "stream_options"),
        ({"messages": ASKED, "metadata": {"task_type": 5}}, None),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, None),
        ({"messages": ASKED, "response_format": 7}, "response_format"),
        ({"messages": [deep(100)]}, None),
    ],
)
def test_a_malformed_request_is_refused_in_openais_words(
    proxy: Proxy, body: Any, param: str | None
) -> None:
    status, said = raw(proxy, "POST", "/v1/chat/completions", body)
    assert status == 400
    assert said["error"]["type"] == "invalid_request_error"
    assert said["error"]["param"] == param


def test_a_remote_picture_is_not_fetched(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    def body(url: str) -> dict[str, Any]:
        part = {"type": "image_url", "image_url": {"url": url}}
        return {"model": "small", "messages": [{"role": "user", "content": [part]}]}

    status, said = raw(proxy, "POST", "/v1/chat/completions", body("http://169.254.169.254/"))
    assert (status, said["error"]["param"]) == (400, "messages")
    status, _ = raw(proxy, "POST", "/v1/chat/completions", body("data:image/png;base64,AAAA"))
    assert status == 200


def test_an_unknown_model_and_an_unknown_page(proxy: Proxy) -> None:
    status, said = raw(proxy, "POST", "/v1/chat/completions", {"model": "gpt-9", "messages": ASKED})
    assert (status, said["error"]["code"]) == (404, "model_not_found")
    status, said = raw(proxy, "GET", "/v1/nothing", None)
    assert (status, said["error"]["code"]) == (404, "unknown_url")


def test_a_large_request_is_refused(proxy: Proxy) -> None:
    body = {"model": "small", "messages": [{"role": "user", "content": "x" * 30_000}]}
    status, said = raw(proxy, "POST", "/v1/chat/completions", body)
    assert (status, said["error"]["code"]) == (413, "request_too_large")


def test_a_request_that_does_not_end_is_given_up(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "_BODY_S", 0.2)
    with socket.create_connection(
        (proxy.url.split(":")[1][2:], int(proxy.url.split(":")[2]))
    ) as one:
        head = f"authorization: Bearer {ENVIRON['TM_ALICE']}\r\ncontent-length: 100\r\n\r\n{{"
        one.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{head}".encode())
        one.settimeout(10)
        assert one.recv(100).startswith(b"HTTP/1.1 408")


def test_a_ledger_that_fails_refuses_new_calls_and_keeps_answers(
    proxy: Proxy, fakes: dict[str, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(proxy.ledger, "settle", full)
    with proxy.client("alice") as client:
        headers, answer = ask(client, "small")
        assert answer.choices[0].message.content == "I am small."
        assert proxy.event(request_id=headers["x-token-machine-request-id"])["cost_usd"] > 0
        monkeypatch.setattr(proxy.ledger, "reserve", full)
        with pytest.raises(openai.InternalServerError):
            ask(client, "small")
    assert len(fakes["small"].seen) == 1


def test_what_cannot_be_learned_is_told_and_routing_goes_on(
    proxy: Proxy, fakes: dict[str, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> Any:
        raise ValueError("not what was expected")

    kept = proxy.service._learn
    monkeypatch.setattr(proxy.service, "_learn", broken)
    wait_until(lambda: "not what was expected" in str(proxy.service.problem))
    with proxy.client("alice") as client:
        assert ask(client, "rewrite")[0]["x-token-machine-model"] == "large"
    monkeypatch.setattr(proxy.service, "_learn", kept)
    wait_until(lambda: proxy.service.problem is None)


def test_a_budget_is_refused_with_its_figures(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    with proxy.client("poor", max_retries=2) as poor:
        # The most a call may cost: 1000 tokens of the large model's answer are 0.02 USD.
        ask(poor, "large", max_tokens=1000)
        with pytest.raises(openai.RateLimitError) as found:
            ask(poor, "large", max_tokens=5000)
    assert found.value.code == "budget_exceeded"
    assert "0.0500 USD for" in found.value.message
    assert len(fakes["large"].seen) == 1
    # The first call is booked at its own price: 100 tokens in, 50 out.
    assert proxy.ledger.spent("poor").day_usd == pytest.approx(0.002)
    assert proxy.event(user_id="poor", **{"$ai_error": "budget_exceeded"})["$ai_http_status"] == 429


def test_calls_at_once_cannot_pass_the_budget(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    fakes["large"].mode = "hold"
    before = proxy.ledger.spent("poor").day_usd
    statuses: list[int] = []

    def one() -> None:
        body = {"model": "large", "messages": ASKED, "max_tokens": 500}
        statuses.append(raw(proxy, "POST", "/v1/chat/completions", body, key="poor")[0])

    threads = [threading.Thread(target=one) for _ in range(12)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(statuses) + len(fakes["large"].seen) == len(threads))
    assert proxy.ledger.spent("poor").day_usd <= 0.05
    fakes["large"].let_go.set()
    for thread in threads:
        thread.join(10)
    assert statuses.count(429) >= 7
    assert statuses.count(200) == len(fakes["large"].seen) >= 3
    assert proxy.ledger.spent("poor").day_usd == pytest.approx(before + 0.002 * statuses.count(200))


def test_changed_rules_come_into_force_and_wrong_ones_do_not(
    proxy: Proxy, fakes: dict[str, Fake]
) -> None:
    text, first = proxy.path.read_text(), proxy.service.rules.id
    proxy.path.write_text(text.replace('default = "large"', 'default = "no-such"', 1))
    wait_until(lambda: proxy.service.problem is not None)
    assert "no-such" in str(proxy.service.problem)
    assert raw(proxy, "GET", "/health", None)[1]["status"] == "degraded"
    with proxy.client("alice") as client:
        assert ask(client)[0]["x-token-machine-rule"] == first
    proxy.path.write_text(text + "\n# another version\n")
    wait_until(lambda: proxy.service.rules.id != first)
    with proxy.client("alice") as client:
        assert ask(client)[0]["x-token-machine-rule"] == proxy.service.rules.id
    assert raw(proxy, "GET", "/health", None)[1]["status"] == "ok"


def wait_until(is_so: Any) -> None:
    import time

    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def raw(
    proxy: Proxy,
    method: str,
    path: str,
    body: Any,
    headers: dict[str, str] | None = None,
    *,
    key: str = "alice",
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=20)
    given = {"authorization": f"Bearer {ENVIRON[f'TM_{key.upper()}']}"}
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, given if headers is None else headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found
