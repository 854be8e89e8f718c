"""Bursts of events, and the steps of each session counted in plain Python."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.insights.world import Seen

from nightpane.ids import deterministic_uuid
from nightpane.store import Store, StoredEvent

__all__ = ["SPAN", "WALKED", "Way", "insert", "limited", "shown_as", "ways"]

# After everything else in the store.
FIRST = datetime(2027, 2, 1, tzinfo=UTC)
SPAN = {"date_from": "2027-02-01", "date_to": "2027-02-10"}
GAPS_S = (0, 1, 40, 600, 1799, 1800, 1801, 7_000)
URLS = ("/", "/docs/", "/docs/a", "/docs/b/", "https://x.test/", "")
Way = list[tuple[datetime, str]]


def _bursts() -> list[Seen]:
    dice = random.Random(20270201)
    found = []
    for agent in range(25):
        at = FIRST + timedelta(hours=dice.randrange(30))
        for _ in range(dice.randrange(5, 60)):
            at += timedelta(seconds=dice.choice(GAPS_S))
            event = dice.choice(["plan", "plan", "edit", "score", "$pageview", "$screen", "$other"])
            properties: dict[str, Any] = {"kept": dice.choice([True, False])}
            if dice.random() < 0.9:
                properties["$current_url"] = dice.choice(URLS)
                properties["$screen_name"] = dice.choice(["Home", "Runs"])
            found.append(Seen(event, f"walker-{agent}", at, properties))
    return found


WALKED = _bursts()


def insert(store: Store, kind: str, events: list[Seen]) -> None:
    """Put events of a kind of their own in the store."""
    store.insert(
        [
            StoredEvent(
                uuid=deterministic_uuid(kind, str(number)),
                event=one.event,
                distinct_id=one.agent,
                timestamp=one.at,
                properties=one.properties,
            )
            for number, one in enumerate(events)
        ]
    )


def shown_as(one: Seen) -> str:
    """Say what an event is shown as when nothing is asked for."""
    if one.event == "$pageview":
        url = str(one.properties.get("$current_url", ""))
        return url[:-1] if len(url) > 1 and url.endswith("/") else url
    return str(one.properties.get("$screen_name", "")) if one.event == "$screen" else one.event


def ways(name: Callable[[Seen], str], kept: Callable[[Seen], bool]) -> list[tuple[str, Way]]:
    """Return each session's agent and steps: those repeated are the last of them."""
    found = []
    for agent in sorted({one.agent for one in WALKED}):
        events = sorted((one.at, name(one)) for one in WALKED if one.agent == agent and kept(one))
        for session in _sessions(events):
            following = [item for _, item in session[1:]] + [""]
            pairs = zip(session, following, strict=True)
            found.append((agent, [step for step, item in pairs if step[1] != item]))
    return found


def _sessions(events: Way) -> list[Way]:
    found: list[Way] = []
    for number, (at, item) in enumerate(events):
        if number == 0 or (at - events[number - 1][0]).total_seconds() >= 1800:
            found.append([(at, item)])
        else:
            found[-1].append((at, item))
    return found


def limited(way: Way, shown: dict[str, Any]) -> Way:
    """Return the steps that are shown of a way."""
    start, end, steps = shown.get("startPoint"), shown.get("endPoint"), shown.get("stepLimit", 5)
    for point, part in ((start, slice), (end, None)):
        names = [item for _, item in way]
        if point is not None and point not in names:
            return []
        if point is not None:
            at = names.index(point)
            way = way[at:] if part else way[: at + 1]
    if len(way) <= steps:
        return way
    if start and end:
        half = steps // 2
        return [*way[:half], (way[half][0], "..."), *way[len(way) - half :]]
    return way[-steps:] if end else way[:steps]
