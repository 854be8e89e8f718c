"""What the contract tests share: waiting for what a client sent to be queryable."""

from __future__ import annotations

import json
import time
from typing import Any

from nightpane.testing import LocalServer

__all__ = ["arrived", "by_client", "wait_for"]

_DEADLINE_S = 20.0


def arrived(server: LocalServer, distinct_id: str) -> list[list[Any]]:
    """Return event, properties and uuid of what has arrived from a sender, by time."""
    query = (
        "select event, properties, toString(uuid) from events where distinct_id = {who} "
        "order by timestamp, event limit 1000"
    )
    return server.query().hogql(query, {"who": distinct_id}).rows


def wait_for(server: LocalServer, distinct_id: str, count: int) -> list[list[Any]]:
    """Return what has arrived from a sender once there are that many events."""
    deadline = time.monotonic() + _DEADLINE_S
    while len(rows := arrived(server, distinct_id)) < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(rows)} of {count} events arrived: {rows}\n{server.log}")
        time.sleep(0.02)
    return rows


def by_client(
    server: LocalServer, client: str, count: int
) -> list[tuple[str, str, dict[str, Any]]]:
    """Return event, distinct_id and properties of a client's events, once so many are there."""
    query = (
        "select event, distinct_id, properties from events where properties.client = {client} "
        "order by timestamp, toFloat(properties.ts) limit 1000"
    )
    deadline = time.monotonic() + _DEADLINE_S
    while len(rows := server.query().hogql(query, {"client": client}).rows) < count:
        if time.monotonic() > deadline:
            raise AssertionError(f"{len(rows)} of {count} events: {rows}\n{server.log}")
        time.sleep(0.02)
    if len(rows) != count:
        raise AssertionError(f"{len(rows)} events, more than {count}: {rows}")
    return [(event, who, json.loads(properties)) for event, who, properties in rows]
