"""A small world of events: typed, missing, mixed and hostile properties."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from nightpane.ids import deterministic_uuid
from nightpane.store import StoredEvent

__all__ = ["EVENTS", "HOSTILE_KEYS", "START"]

START = datetime(2026, 3, 1, tzinfo=UTC)
HOSTILE_KEYS = ("a'b", 'a"b', "a`b", "a\\b", "a.b", "a%b", "a b", "", "ünï", "\u0000", "*", "a\nb")
_SESSIONS = ("0190a0b0-0000-7000-8000-000000000001", "0190a0b0-0000-7000-8000-000000000002")


def _properties(number: int, dice: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = {
        "project": dice.choice(["autoagent", "autoresearch"]),
        "round_id": f"round-{number // 4}",
        "ok": dice.choice([True, False]),
        "num": dice.choice([1, 2.5, -3, 10]),
        "flag": dice.choice([True, False]),
        "word": dice.choice(["a", "b", "", "O'Hara", "100%", "null"]),
        "mixed": dice.choice([1, "1", True, "x", None, 2.5, [1, "a"], {"k": 1}]),
        "nested": {"list": [10, 20, 30], "deep": {"n": number, "s": 'it\'s "quoted"'}},
        "when": f"2026-03-{number % 28 + 1:02d}T12:00:00Z",
        "big": 2**60 + number,
        "$ai_is_error": number % 3 == 0,
        "$session_id": _SESSIONS[number % 2],
        "$ai_input": [{"role": "user", "content": f"prompt {number}"}],
    }
    if number % 4:
        found["score"] = number / 100
    if number % 5 == 0:
        found["rare"] = number
    for name in ("num", "word", "flag", "project"):
        if dice.random() < 0.2:
            found.pop(name, None)
    if number == 0:
        found |= {key: f"value of {key!r}" for key in HOSTILE_KEYS}
    return found


def _events() -> list[StoredEvent]:
    dice = random.Random(20260301)
    # The first event of all decides the types, so it has every property.
    first = {"num": 1.5, "flag": True, "word": "a", "mixed": "x", "when": "2026-03-01T12:00:00Z"}
    found = [
        StoredEvent(
            uuid=deterministic_uuid("first"),
            event="first",
            distinct_id="d0",
            timestamp=START,
            properties=first | {"big": 2**60, "nested": {}, "rare": 1},
        )
    ]
    for number in range(200):
        properties = _properties(number, dice)
        if number < 3:
            properties["$set"] = {"email": f"d{number}@example.org", "age": 20 + number}
        found.append(
            StoredEvent(
                uuid=deterministic_uuid("event", str(number)),
                event=dice.choice(["round_scored", "round_kept", "step.plan"]),
                distinct_id=f"d{number % 3}",
                timestamp=START + timedelta(hours=number),
                properties=properties,
            )
        )
    return found


EVENTS = _events()
