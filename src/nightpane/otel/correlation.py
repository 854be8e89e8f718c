"""Where in a loop a span belongs, from what travels with it.

A loop names its round in W3C baggage; a span processor copies baggage to attributes, a process may
have it among its resource attributes, and a request may bring it in a header. Nearest wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote

from nightpane.ids import deterministic_uuid, is_ulid, session_id_from_ulid
from nightpane.otel.attributes import decoded, first, text

__all__ = ["PLACE_NAMES", "Place", "distinct_id", "place_of", "read_baggage"]

_PREFIXES = (
    *("nightpane.", "", "ai.telemetry.metadata.", "ai.settings.context."),
    "traceloop.association.properties.",
)
# Without a prefix these words mean too many things.
_ONLY_OURS = ("project", "client", "agent", "parent_id")
_MAX_CHARS = 200
_ID_CHARS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~.@()!':|")
_DISTINCT_ID_ON_SPAN = (
    *("posthog.distinct_id", "user.id", "ai.telemetry.metadata.posthog_distinct_id"),
    *("ai.settings.context.posthog_distinct_id",),
)
_DISTINCT_ID_ON_RESOURCE = ("posthog.distinct_id", "user.id")
DEFAULT_CLIENT, DEFAULT_AGENT = "internal", "orchestrator"


@dataclass(frozen=True, slots=True)
class Place:
    """The round a span belongs to, its run, and who made it; None where nothing says."""

    round_id: str | None = None
    run_id: str | None = None
    project: str | None = None
    client: str | None = None
    agent: str | None = None
    parent_id: str | None = None

    def within(self, outer: Place) -> Place:
        """Return this place with what it lacks taken from an outer one.

        Only of the same round, or of no round: what belongs to another round stays there.
        """
        if self.round_id and outer.round_id and self.round_id != outer.round_id:
            return self
        return Place(*(getattr(self, name) or getattr(outer, name) for name in PLACE_NAMES))

    def properties(self, root: bool) -> dict[str, str]:
        """Return the properties of an event here; a ``root`` gets the place as its parent."""
        found = {
            name: value
            for name in ("round_id", "run_id", "project", "client", "agent")
            if (value := getattr(self, name)) is not None
        }
        if self.round_id is not None:
            found["$ai_trace_id"] = self.round_id
            found["$session_id"] = session_id_from_ulid(self.round_id)
            if root:
                found["$ai_parent_id"] = self.parent_id or self.round_id
        return found


PLACE_NAMES = tuple(one.name for one in fields(Place))


def place_of(attributes: Mapping[str, Any]) -> Place:
    """Return the place that attributes (a span's, a resource's) or baggage name."""
    if not attributes:
        return Place()
    round_id = _ulid(attributes, "round_id")
    if round_id is None:
        session = text(attributes.get("session.id"))
        round_id = session.upper() if is_ulid(session) and session is not None else None
    return Place(
        round_id=round_id or _metadata_round(attributes),
        run_id=_ulid(attributes, "run_id"),
        project=_word(attributes, "project"),
        client=_word(attributes, "client"),
        agent=_word(attributes, "agent"),
        parent_id=_span_id(attributes),
    )


def read_baggage(header: str) -> dict[str, str]:
    """Return the members of a W3C ``baggage`` header; what is malformed is passed over."""
    members: dict[str, str] = {}
    for member in header[:8192].split(","):
        name, equals, value = member.partition(";")[0].partition("=")
        if equals and name.strip():
            members.setdefault(unquote(name.strip()), unquote(value.strip()))
    return members


def distinct_id(
    place: Place, attributes: Mapping[str, Any], resource: Mapping[str, Any], trace_id: str
) -> tuple[str, bool]:
    """Return a span's distinct id, and whether it stands for somebody.

    As PostHog: the span's own, then the resource's; then the loop's agent; at last an id drawn
    from the trace, which makes no person.
    """
    named = _written(first(attributes, _DISTINCT_ID_ON_SPAN)) or _written(
        first(resource, _DISTINCT_ID_ON_RESOURCE)
    )
    if named is not None:
        return named[:_MAX_CHARS], True
    if place.project is not None:
        words = (place.project, place.client or DEFAULT_CLIENT, place.agent or DEFAULT_AGENT)
        return ":".join(words)[:_MAX_CHARS], True
    return deterministic_uuid("otel-distinct-id", place.round_id or trace_id), False


def _written(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _named(attributes: Mapping[str, Any], name: str) -> Iterable[str]:
    prefixes = [one for one in _PREFIXES if one or name not in _ONLY_OURS]
    for prefix in prefixes:
        if (found := text(attributes.get(prefix + name))) is not None:
            yield found


def _ulid(attributes: Mapping[str, Any], name: str) -> str | None:
    return next((one.upper() for one in _named(attributes, name) if is_ulid(one)), None)


def _word(attributes: Mapping[str, Any], name: str) -> str | None:
    return next((one[:_MAX_CHARS] for one in _named(attributes, name)), None)


def _span_id(attributes: Mapping[str, Any]) -> str | None:
    found = _word(attributes, "parent_id")
    return found if found is not None and _ID_CHARS.issuperset(found) else None


def _metadata_round(attributes: Mapping[str, Any]) -> str | None:
    """Return the round that OpenInference's ``metadata`` names."""
    metadata = decoded(attributes.get("metadata"))
    return _ulid(metadata, "round_id") if isinstance(metadata, dict) else None
