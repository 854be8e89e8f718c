"""Rounds as events, for tests of what reads them: written out by hand, not by the client."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import requests

from nightpane.ids import deterministic_ulid, deterministic_uuid
from nightpane.testing import LocalServer

_counter = itertools.count()


def event(name: str, at: datetime, /, *, agent: str = "judge", **properties: Any) -> dict[str, Any]:
    """Return one event in the shape of ``/batch/``."""
    project = properties.get("project", "p")
    return {
        "event": name,
        "uuid": deterministic_uuid(name, str(next(_counter))),
        "timestamp": at.isoformat(),
        "distinct_id": f"{project}:internal:{agent}",
        "properties": {"agent": agent, **properties},
    }


def one_round(
    at: datetime,
    *,
    project: str,
    score: float | None = 1.0,
    kept: bool = False,
    failure_mode: str = "score_missed",
    stages: Sequence[str] = ("round_started", "proposal_generated", "proposal_applied"),
    end: Mapping[str, Any] | None = None,
    run: str = "run",
    lasts_s: float = 60,
    metric: str | None = "m",
    direction: str | None = "max",
    client: str = "internal",
) -> list[dict[str, Any]]:
    """Return the events of one round; a None score is a round that was not scored."""
    round_id = deterministic_ulid(int(at.timestamp() * 1000), project, str(next(_counter)))
    envelope = {"project": project, "client": client, "round_id": round_id}
    envelope["run_id"] = deterministic_ulid(1, run, project)
    over = at + timedelta(seconds=lasts_s)
    found = [event(stage, at, agent="planner", **envelope) for stage in stages]
    if score is not None:
        about = {"metric": metric, "direction": direction}
        given = {name: value for name, value in about.items() if value is not None}
        found.append(event("round_scored", over, **envelope, score=score, **given))
    if kept:
        found.append(event("round_kept", over, **envelope, **(end or {})))
    else:
        end = {"failure_mode": failure_mode, **(end or {})}
        found.append(event("round_reverted", over, **envelope, **end))
    return found


def send(server: LocalServer, events: Sequence[Mapping[str, Any]]) -> None:
    """Deliver events to a server."""
    for i in range(0, len(events), 1000):
        body = {"api_key": server.api_key, "batch": list(events[i : i + 1000])}
        requests.post(f"{server.host}/batch/", json=body, timeout=30).raise_for_status()
