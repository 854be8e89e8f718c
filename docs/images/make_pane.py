"""Makes pane.png: ten nights of three made-up loops in a server of their own, then a screenshot.

    python docs/images/make_pane.py [OUTPUT] [--theme light|dark] [--width PIXELS] [--height PIXELS]

Needs the extra ``server``, the package ``playwright`` and a Chromium at /usr/bin/chromium. The
scores come from a seeded random walk, so the picture is the same up to its dates.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from nightpane.ids import deterministic_ulid, deterministic_uuid
from nightpane.testing import LocalServer

NIGHTS = 10
_FAILURES = ("crash", "timeout", "invalid")


def loops(seed: int = 7) -> Iterator[dict[str, Any]]:
    """Give the events of all loops, in PostHog's shape for ``/batch/``."""
    start = datetime.now(UTC).replace(hour=22, minute=10, second=0, microsecond=0)
    while start > datetime.now(UTC) - timedelta(hours=10):
        start -= timedelta(days=1)
    rng = random.Random(seed)
    climb = {"project": "autoresearch", "metric": "val_bpb", "direction": "min"}
    yield from _loop(rng, start, climb, level=1.012, luck=0.15, gain=0.0021, minutes=5, price=0.04)
    tags = {"project": "gtm-autoresearch", "metric": "tag_score", "direction": "max"}
    yield from _loop(rng, start, tags, level=0.52, luck=0.04, gain=0.016, minutes=11, price=0.11)
    agent = {"project": "autoagent", "metric": "avg_score", "direction": "max"}
    yield from _loop(rng, start, agent, level=0.61, luck=0.0, gain=0.02, minutes=14, price=None)


def _loop(
    rng: random.Random,
    last: datetime,
    about: dict[str, str],
    *,
    level: float,
    luck: float,
    gain: float,
    minutes: float,
    price: float | None,
) -> Iterator[dict[str, Any]]:
    sign = -1 if about["direction"] == "min" else 1
    best = level
    for ago in reversed(range(NIGHTS)):
        at = last - timedelta(days=ago, minutes=rng.randrange(40))
        run = deterministic_ulid(int(at.timestamp() * 1000), about["project"], str(ago))
        lucky = luck + (0.06 if ago > NIGHTS - 3 else 0)
        rounds = rng.randrange(int(380 / minutes), int(560 / minutes))
        for i in range(rounds):
            at += timedelta(minutes=minutes * rng.uniform(0.8, 1.2))
            failed = rng.random() < 0.06
            better = rng.random() < lucky
            step = gain * (rng.uniform(0.2, 1) if better else -rng.expovariate(0.5))
            score = None if failed else best + sign * step
            kept = score is not None and sign * (score - best) > 0
            yield from _round(rng, at, run, i, about, best, score, kept=kept, price=price)
            best = score if kept and score is not None else best
        stop = {"reason": rng.choice(("max_rounds", "budget")), "rounds_completed": rounds}
        yield _event("stop_triggered", at, "planner", {**about, "run_id": run, **stop})


def _round(
    rng: random.Random,
    at: datetime,
    run: str,
    i: int,
    about: dict[str, str],
    best: float,
    score: float | None,
    *,
    kept: bool,
    price: float | None,
) -> Iterator[dict[str, Any]]:
    round_id = deterministic_ulid(int(at.timestamp() * 1000), run, str(i))
    envelope = {"project": about["project"], "client": "internal", "run_id": run}
    envelope |= {"round_id": round_id, "$ai_trace_id": round_id}
    later = at + timedelta(seconds=rng.uniform(20, 60))
    cost = {} if price is None else {"cost_usd": round(price * rng.uniform(0.5, 1.6), 5)}
    started = {"model": "small-27b", "baseline_score": best}
    yield _event("round_started", at, "planner", envelope | started)
    yield _event("proposal_generated", later, "coder", envelope | cost)
    if score is None and rng.random() < 0.5:
        reverted = {"failure_mode": "invalid"}
        yield _event("round_reverted", later, "judge", envelope | reverted)
        return
    yield _event("proposal_applied", later + timedelta(seconds=2), "coder", envelope)
    end = at + timedelta(seconds=rng.uniform(120, 240))
    if score is None:
        reverted = {"failure_mode": rng.choice(_FAILURES[:2])}
        yield _event("round_reverted", end, "judge", envelope | reverted)
        return
    scored = {"score": round(score, 6), "metric": about["metric"], "direction": about["direction"]}
    yield _event("round_scored", end, "judge", envelope | scored)
    after = end + timedelta(seconds=1)
    if kept:
        delta = {"delta": round(abs(score - best), 6), "new_best": round(score, 6)}
        yield _event("round_kept", after, "judge", envelope | delta)
    else:
        yield _event("round_reverted", after, "judge", envelope | {"failure_mode": "score_missed"})


def _event(name: str, at: datetime, agent: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "event": name,
        "uuid": deterministic_uuid(name, at.isoformat(), str(properties.get("round_id"))),
        "timestamp": at.isoformat(),
        "distinct_id": f"{properties['project']}:internal:{agent}",
        "properties": {**properties, "agent": agent},
    }


def fill(server: LocalServer) -> None:
    """Send the loops' events to a server."""
    events = list(loops())
    for i in range(0, len(events), 1000):
        batch = {"api_key": server.api_key, "batch": events[i : i + 1000]}
        answer = requests.post(f"{server.host}/batch/", json=batch, timeout=30)
        answer.raise_for_status()


def picture(url: str, output: Path, *, theme: str, width: int, height: int) -> None:
    """Write a screenshot of the page at ``url``; the whole page for a height of 0."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        size = {"width": width, "height": height or 900}
        page = browser.new_page(viewport=size, color_scheme=theme, device_scale_factor=1.5)
        page.goto(url)
        page.wait_for_selector("#rounds td", timeout=30_000)
        page.wait_for_timeout(900)
        page.screenshot(path=str(output), full_page=height == 0)
        browser.close()


def main() -> None:
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).with_name("pane.png")
    parser.add_argument("output", nargs="?", type=Path, default=default)
    parser.add_argument("--theme", default="light", choices=("light", "dark"))
    parser.add_argument("--width", type=int, default=1240)
    parser.add_argument("--height", type=int, default=1700, help="0 for the whole page")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, LocalServer(Path(folder)) as server:
        fill(server)
        keys = json.loads((Path(folder) / "keys.json").read_text("utf-8"))
        url = f"{server.host}/?token={keys['page_token']}"
        picture(url, given.output, theme=given.theme, width=given.width, height=given.height)
    sys.stdout.write(f"{given.output}\n")


if __name__ == "__main__":
    main()
