"""What knobs cost a round, and a flag its server: prints one JSON line.

Run with ``python bench/flags.py``. It starts a local server of its own in a temporary folder.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import requests

from nightpane import Pane
from nightpane.flags import Context, FlagSet
from nightpane.testing import LocalServer

ROUNDS = 300
EVALUATIONS = 20_000


def median_us(times_s: list[float]) -> float:
    return round(statistics.median(times_s) * 1e6, 1)


def rounds(pane: Pane, *, knobs: bool) -> list[float]:
    """Return how long each round took to begin and read its five knobs."""
    times: list[float] = []
    with pane.run(knobs=knobs, agent="coder") as run:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            round_ = run.round().__enter__()
            if knobs:
                round_.knobs.as_dict()
            times.append(time.perf_counter() - began)
            round_.revert("score_missed")
            round_.__exit__(None, None, None)
    return times


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder) / "server") as server:
        os.environ |= {
            "NIGHTPANE_STATE_DIR": folder,
            **{k: v for k, v in server.environ.items() if k.startswith("POSTHOG_")},
        }
        variants = [{"key": name, "rollout_percentage": 50} for name in ("control", "test")]
        filters = {"groups": [{"properties": [], "rollout_percentage": 100}]}
        filters["multivariate"] = {"variants": variants}  # type: ignore[assignment]
        keys = ("scorer_v2", "escalate_after", "max_rounds", "budget_usd", "kill_switch")
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {server.personal_api_key}"
        url = f"{server.host}/api/projects/{server.project_id}/feature_flags/"
        for key in keys:
            session.post(url, json={"key": key, "filters": filters}).raise_for_status()

        def pane(personal: bool) -> Pane:
            os.environ["POSTHOG_PERSONAL_API_KEY"] = server.personal_api_key if personal else ""
            return Pane("bench", spool_dir=Path(folder) / "spool")

        plain = rounds(pane(True), knobs=False)
        local = rounds(pane(True), knobs=True)
        remote = rounds(pane(False), knobs=True)
        asked: list[float] = []
        for number in range(ROUNDS):
            began = time.perf_counter()
            body = {"token": server.api_key, "distinct_id": f"agent-{number}"}
            session.post(f"{server.host}/flags/?v=2", json=body).raise_for_status()
            asked.append(time.perf_counter() - began)
    flags = FlagSet(
        {"id": n, "key": key, "active": True, "filters": filters} for n, key in enumerate(keys)
    )
    began = time.perf_counter()
    for number in range(EVALUATIONS):
        flags.evaluate(Context(f"agent-{number}"))
    result = {
        "round_start_us": median_us(plain),
        "round_start_local_knobs_us": median_us(local),
        "first_round_start_local_knobs_ms": round(local[0] * 1e3, 1),
        "round_start_remote_knobs_us": median_us(remote),
        "flags_request_us": median_us(asked),
        "evaluate_five_flags_us": round((time.perf_counter() - began) / EVALUATIONS * 1e6, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
