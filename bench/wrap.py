"""What recording a model call costs the caller: the bare client, posthog.ai's wrapper, nightpane's.

    python bench/wrap.py

Prints one JSON line: medians in microseconds a call. The provider answers at once, from memory, so
that only the recording is measured; the three alternate in blocks, so that all meet the same
machine. ``added_us`` is what ``nightpane.llm.wrap`` takes more than posthog.ai's own wrapper on a
plain PostHog client, ``overhead_us`` what it takes more than the bare client.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import posthog
import posthog.ai.openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk

import nightpane
from nightpane.llm import wrap

CALLS = 4_000
BLOCK = 50
ASKED: Any = [
    {"role": "system", "content": "You improve a training script, one small change at a time."},
    {"role": "user", "content": "The last ten rounds and their scores follow. " * 40},
]
USAGE = {"prompt_tokens": 500, "completion_tokens": 60, "total_tokens": 560}
CHUNKS = 20


def completion() -> ChatCompletion:
    """Return an answer as OpenAI's client hands it over."""
    message = {"role": "assistant", "content": "Lower the learning rate and warm up. " * 8}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    whole = {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-x"}
    return ChatCompletion.model_validate({**whole, "choices": [choice], "usage": USAGE})


def chunks() -> list[ChatCompletionChunk]:
    """Return the same as a stream's chunks."""
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
    deltas = [{"content": "Lower the learning rate. "}] * CHUNKS
    raw = [
        {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    raw.append({**base, "choices": [], "usage": USAGE})
    return [ChatCompletionChunk.model_validate(one) for one in raw]


def make(kind: str, host: str) -> tuple[Callable[..., Any], Callable[[], object]]:
    """Return the ``create`` of a client that answers from memory, and what waits for delivery."""
    answer, stream = completion(), chunks()

    def ask(**options: Any) -> ChatCompletion | Iterator[ChatCompletionChunk]:
        return iter(stream) if options.get("stream") else answer

    if kind == "posthog":
        plain = posthog.Posthog("phc_bench", host=host)
        client: Any = posthog.ai.openai.OpenAI(posthog_client=plain, api_key="k")
        client._original_chat.completions.create = ask
        return client.chat.completions.create, plain.flush
    client = openai.OpenAI(api_key="k")
    client.chat.completions.create = ask
    if kind == "bare":
        return client.chat.completions.create, lambda: None
    pane = nightpane.Pane("bench", api_key="phc_bench", host=host)
    wrap(client, pane)
    return client.chat.completions.create, pane.flush


def measure(host: str, *, stream: bool) -> dict[str, float]:
    """Return the median microseconds of a call, by kind."""
    calls = {kind: make(kind, host) for kind in ("bare", "posthog", "nightpane")}
    taken_us: dict[str, list[float]] = {kind: [] for kind in calls}
    for _ in range(CALLS // BLOCK):
        for kind, (create, wait) in calls.items():
            for _ in range(BLOCK):
                began = time.perf_counter_ns()
                answer = create(model="gpt-x", messages=ASKED, stream=stream)
                if stream:
                    for _ in answer:
                        pass
                taken_us[kind].append((time.perf_counter_ns() - began) / 1000)
            wait()
    return {kind: statistics.median(values) for kind, values in taken_us.items()}


def main() -> None:
    """Measure and print."""
    logging.disable(logging.CRITICAL)
    # A server that takes everything, in a process of its own.
    serve = [sys.executable, str(Path(__file__).with_name("track.py")), "serve"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        host = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        os.environ["NIGHTPANE_STATE_DIR"] = os.environ["NIGHTPANE_SPOOL_DIR"] = folder
        found = {
            "call": measure(host, stream=False),
            f"stream of {CHUNKS}": measure(host, stream=True),
        }
        server.kill()
    print(
        json.dumps(
            {
                "bench": "wrap",
                "median_us": {
                    name: {kind: round(value, 1) for kind, value in medians.items()}
                    for name, medians in found.items()
                },
                "added_us": {
                    name: round(medians["nightpane"] - medians["posthog"], 1)
                    for name, medians in found.items()
                },
                "overhead_us": {
                    name: round(medians["nightpane"] - medians["bare"], 1)
                    for name, medians in found.items()
                },
            }
        )
    )


if __name__ == "__main__":
    main()
