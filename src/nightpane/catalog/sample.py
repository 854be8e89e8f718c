"""A valid example of every event, worked out from its declaration: for tests and the docs."""

from __future__ import annotations

from typing import Any

from nightpane.catalog.envelope import ENVELOPE
from nightpane.catalog.registry import EVENTS
from nightpane.catalog.spec import PropertySpec
from nightpane.ids import deterministic_ulid, session_id_from_ulid

__all__ = ["sample"]

_MS = 1_790_000_000_000  # some moment: samples must not depend on the clock


def sample(event: str) -> dict[str, Any]:
    """Return the properties of a valid event, envelope and every declared property included.

    The same for the same event, always. Raises KeyError for an event that is not declared.
    """
    spec = EVENTS[event]
    round_id = deterministic_ulid(_MS, "round")
    properties = {one.name: _value(one) for one in (*ENVELOPE, *spec.properties)}
    properties["$session_id"] = session_id_from_ulid(round_id)
    properties["$ai_trace_id"] = properties["round_id"] = round_id
    properties |= {one.unless: False for one in spec.properties if one.unless is not None}
    if not spec.in_round:
        for name in ("round_id", "$ai_trace_id", "$session_id"):
            del properties[name]
    return properties


def _value(one: PropertySpec) -> Any:
    if one.known:
        return one.known[0]
    by_type: dict[str, Any] = {
        "str": f"some {one.name}",
        "ULID": deterministic_ulid(_MS, one.name),
        "int": 12,
        "float": 0.5,
        "bool": True,
        "list[str]": ["one", "two"],
        "object": {"key": "value"},
        "any": 1.5,
    }
    return by_type[one.type]
