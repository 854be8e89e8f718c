"""What Token Machine's proxy costs: time added to a call, memory, and time to start.

    python bench/router.py

Prints one JSON line. The provider answers at once, from another process, so that only the proxy is
measured; calls go to it directly and through the proxy in turn, so that both meet the same machine.
``added_ms`` is the median of what a call through the proxy takes more, ``ratio`` how many times as
long it takes; a provider that thinks for a second makes the same addition a thousandth of it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai

CALLS = 400
WARM_UP = 40
AT_ONCE = 16
KEY = "a-key-for-the-benchmark"
ASKED: Any = [{"role": "user", "content": "Say something short. " * 20}]
PROVIDER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from tests.router.upstreams import Fake
fake = Fake("provider")
print(fake.server_port, flush=True)
fake._thread.join()
"""
RULES = """
[router]
default = "m"
[models.m]
model = "openai/m"
api_base = "http://127.0.0.1:{port}/v1"
input_usd_per_million = 1
output_usd_per_million = 2
[keys.bench]
env = "BENCH_KEY"
usd_total = 1000000
"""


def call(client: openai.OpenAI, *, stream: bool) -> None:
    """Make one call and read it to its end."""
    answer = client.chat.completions.create(model="m", messages=ASKED, stream=stream)
    if stream:
        for _ in answer:
            pass


def measure(clients: dict[str, openai.OpenAI], *, stream: bool) -> dict[str, float]:
    """Return the median milliseconds of a call, by client."""
    taken_ms: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(CALLS):
        for name, client in clients.items():
            began = time.perf_counter()
            call(client, stream=stream)
            if number >= WARM_UP:
                taken_ms[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(values) for name, values in taken_ms.items()}


def at_once(make: Callable[[], openai.OpenAI]) -> float:
    """Return the calls a second that several clients get at once."""

    def run() -> None:
        with make() as client:
            for _ in range(CALLS // AT_ONCE):
                call(client, stream=False)

    threads = [threading.Thread(target=run) for _ in range(AT_ONCE)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return CALLS // AT_ONCE * AT_ONCE / (time.perf_counter() - began)


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"process {pid} tells no memory")


def main() -> None:
    """Measure and print."""
    root = Path(__file__).parents[1]
    provide = [sys.executable, "-c", PROVIDER, str(root)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(provide, stdout=subprocess.PIPE, text=True) as provider,
    ):
        assert provider.stdout is not None
        port = int(provider.stdout.readline())
        (Path(folder) / "token-machine.toml").write_text(RULES.format(port=port))
        environ = {**os.environ, "BENCH_KEY": KEY, "AUTORESEARCH_PROJECT": "bench"}
        environ |= {"NIGHTPANE_STATE_DIR": folder, "NIGHTPANE_SPOOL_DIR": folder + "/spool"}
        command = [sys.executable, "-m", "nightpane", "token-machine", "serve"]
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, "--port", "0", "--json"],
            cwd=folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as proxy:
            assert proxy.stdout is not None
            url = json.loads(proxy.stdout.readline())["url"]
            start_s = time.perf_counter() - began
            found = run(f"http://127.0.0.1:{port}/v1", url, proxy.pid)
            proxy.terminate()
        provider.kill()
    print(json.dumps({"bench": "router", "start_s": round(start_s, 2), **found}))


def run(direct: str, url: str, pid: int) -> dict[str, Any]:
    """Return every figure."""
    before_mib = memory_mib(pid)
    bases = {"direct": direct, "proxy": url}
    with (
        openai.OpenAI(api_key=KEY, base_url=direct) as straight,
        openai.OpenAI(api_key=KEY, base_url=url) as through,
    ):
        clients = {"direct": straight, "proxy": through}
        medians = {
            name: measure(clients, stream=stream)
            for name, stream in (("call", False), ("stream", True))
        }
    rates = {
        name: at_once(lambda base=base: openai.OpenAI(api_key=KEY, base_url=base))
        for name, base in bases.items()
    }
    return {
        "median_ms": {
            name: {who: round(value, 2) for who, value in ms.items()}
            for name, ms in medians.items()
        },
        "added_ms": {name: round(ms["proxy"] - ms["direct"], 2) for name, ms in medians.items()},
        "ratio": {name: round(ms["proxy"] / ms["direct"], 2) for name, ms in medians.items()},
        f"calls_per_s_{AT_ONCE}_at_once": {name: round(value) for name, value in rates.items()},
        "memory_mib": {"at_start": round(before_mib), "after": round(memory_mib(pid))},
    }


if __name__ == "__main__":
    main()
