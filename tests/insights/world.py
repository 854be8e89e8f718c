"""Five weeks of random events, and the plain Python that answers questions about them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from nightpane.ids import deterministic_uuid
from nightpane.store import StoredEvent

__all__ = ["COHORTS", "DAYS", "EVENTS", "NOW", "SEEN", "Seen", "start_of"]

NOW = datetime(2026, 4, 3, 15, 30, tzinfo=UTC)
_START = datetime(2026, 2, 27, tzinfo=UTC)
DAYS = 36
_SESSIONS = [f"0190a0b0-0000-7000-8000-00000000000{i}" for i in range(6)]

COHORTS: dict[int, dict[str, Any]] = {
    1: {
        "name": "Old agents",
        "is_static": False,
        "filters": {
            "properties": {
                "type": "AND",
                "values": [{"type": "person", "key": "age", "operator": "gte", "value": 3}],
            }
        },
    },
    3: {"name": "The first", "is_static": True},
}


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as the tests count it."""

    event: str
    agent: str
    at: datetime
    properties: dict[str, Any]

    @property
    def age(self) -> int:
        """The age the agent has as a person."""
        return int(self.agent.removeprefix("agent-"))


def _seen(number: int, dice: random.Random) -> Seen:
    properties: dict[str, Any] = {
        "project": dice.choice(["alpha", "beta", "gamma", ""]),
        "model": f"model-{dice.randrange(30)}",
        "cost_usd": dice.choice([0.5, 1, 2.25, 10, -1]),
        "kept": dice.choice([True, False]),
        "version": dice.choice(["1.2.3", "1.10.0", "0.9"]),
        "$session_id": dice.choice(_SESSIONS),
        "when": dice.choice(
            ["2026-03-01T12:00:00Z", "2026-03-02T00:00:00Z", "2026-03-20T00:00:00Z"]
        ),
    }
    for name in ("project", "cost_usd", "kept", "$session_id"):
        if number and dice.random() < 0.15:
            del properties[name]
    return Seen(
        event=dice.choice(["round_kept", "round_kept", "round_reverted", "step.plan"]),
        agent=f"agent-{min(dice.randrange(9), dice.randrange(9))}",
        at=_START + timedelta(seconds=dice.randrange(DAYS * 86_400)),
        properties=properties,
    )


def _world() -> list[Seen]:
    dice = random.Random(20260403)
    found = [_seen(number, dice) for number in range(1_200)]
    # At the very edges of days, weeks and months, where an interval is easily missed by one.
    edges = ("2026-03-01T00:00:00", "2026-03-31T23:59:59", "2026-03-29T00:00:00")
    found += [
        Seen("round_kept", "agent-1", datetime.fromisoformat(f"{at}+00:00"), {}) for at in edges
    ]
    # And agents that were not there from the start.
    for number in range(1_200, 1_300):
        one = _seen(number, dice)
        late = f"agent-{10 + dice.randrange(10)}"
        found.append(Seen(one.event, late, max(one.at, _START + timedelta(days=8)), one.properties))
    return found


SEEN = _world()
EVENTS = [
    StoredEvent(
        uuid=deterministic_uuid("seen", str(number)),
        event=one.event,
        distinct_id=one.agent,
        timestamp=one.at,
        properties={**one.properties, "$set": {"age": one.age}},
    )
    for number, one in enumerate(SEEN)
]


def start_of(interval: str, timezone: str = "UTC") -> Callable[[datetime], datetime]:
    """Return what tells the start of the interval an instant is in."""
    zone = ZoneInfo(timezone)

    def start(at: datetime) -> datetime:
        local = at.astimezone(zone)
        if interval == "hour":
            return local.replace(minute=0, second=0, microsecond=0)
        day = local.date()
        if interval == "week":
            day -= timedelta(days=day.isoweekday() % 7)
        if interval == "month":
            day = date(day.year, day.month, 1)
        return datetime.combine(day, time(), zone)

    return start
