"""A loop with an experiment on it, simulated: what it would send, and the server's API."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from nightpane.testing import LocalServer

START = datetime(2026, 3, 1, 22, tzinfo=UTC)

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulated round came to."""

    score: float | None
    kept: bool
    cost_usd: float


Play = Callable[[random.Random, str], Outcome]


def round_events(
    flag: str, variant: str | None, number: int, outcome: Outcome, *, agent: str, run_id: str
) -> Iterator[Event]:
    """Yield the events of one round, one minute after the other rounds'."""
    at = START + timedelta(minutes=number)
    common = {
        "project": "sim",
        "agent": agent,
        "run_id": run_id,
        "round_id": f"{flag}-round-{number}",
    }

    def event(name: str, seconds: float, distinct_id: str = agent, **properties: Any) -> Event:
        return {
            "event": name,
            "distinct_id": distinct_id,
            "timestamp": (at + timedelta(seconds=seconds)).isoformat(),
            "properties": {**common, **properties},
        }

    if variant is not None:
        called = {"$feature_flag": flag, "$feature_flag_response": variant}
        yield event("$feature_flag_called", 0, **called)
    yield event("round_started", 1)
    if outcome.score is not None:
        yield event("round_scored", 20, "judge", score=outcome.score, direction="max")
    name = "round_kept" if outcome.kept else "round_reverted"
    yield event(name, 21, cost_usd=outcome.cost_usd)


class Api:
    """The management and query API of a local server, as a test asks it."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server

    def call(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = requests.request(
            method,
            f"{self.server.host}/api/projects/@current/{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.server.personal_api_key}"},
            timeout=60,
        )
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def send(self, events: list[Event]) -> None:
        for at in range(0, len(events), 2_000):
            answer = requests.post(
                f"{self.server.host}/batch/",
                json={"api_key": self.server.api_key, "batch": events[at : at + 2_000]},
                timeout=60,
            )
            assert answer.status_code == 200, answer.text

    def launch(self, key: str, **body: Any) -> dict[str, Any]:
        """Create and launch an experiment that began before the simulated rounds."""
        bucketing = body.pop("bucketing", "device_id")
        given = {
            "name": key,
            "feature_flag_key": key,
            "feature_flag": {"bucketing_identifier": bucketing},
            **body,
        }
        made = self.call("POST", "experiments/", given, 201)
        at = f"experiments/{made['id']}/"
        self.call("POST", at + "launch/")
        return dict(self.call("PATCH", at, {"start_date": START.isoformat()}))

    def result(self, experiment: dict[str, Any], metric: Any = None, status: int = 200) -> Any:
        node: dict[str, Any] = {"kind": "ExperimentQuery", "experiment_id": experiment["id"]}
        if metric is not None:
            node["metric"] = metric
        return self.call("POST", "query/", {"query": node}, status)


def simulate(
    flag: str,
    rounds: int,
    play: Play,
    *,
    seed: int,
    assign: Callable[[random.Random, int], str | None] | None = None,
    agent: Callable[[int], str] = lambda number: "coder",
    run: Callable[[int], str] = lambda number: "run-0",
) -> list[Event]:
    """Return the events of rounds whose variants are drawn evenly, or as ``assign`` says."""
    rng = random.Random(seed)
    found: list[Event] = []
    for number in range(rounds):
        variant = assign(rng, number) if assign else rng.choice(("control", "test"))
        outcome = play(rng, variant or "")
        found += round_events(
            flag, variant, number, outcome, agent=agent(number), run_id=run(number)
        )
    return found
