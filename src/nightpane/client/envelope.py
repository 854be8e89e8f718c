"""The properties every event carries: which loop, tenant, run, round and role, from which commit.

What the caller gave explicitly is kept. Inside a round, a model call whose trace id nobody chose
joins the round.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nightpane.client.sdk import sdk_properties
from nightpane.ids import is_ulid, session_id_from_ulid

__all__ = ["DEFAULT_AGENT", "Envelope", "Place", "round_properties"]

DEFAULT_AGENT = "orchestrator"
_MAX_DISTINCT_ID = 200
# What posthog.ai makes when it is given no trace id: a random UUID (version 4).
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the loop an event belongs: the ids it inherits, and the agent if none is given."""

    properties: Mapping[str, Any]
    agent: str | None


@functools.lru_cache(maxsize=256)
def _round_ids(round_id: str) -> tuple[tuple[str, str], ...]:
    ids = [("round_id", round_id), ("$ai_trace_id", round_id)]
    if is_ulid(round_id):
        ids.append(("$session_id", session_id_from_ulid(round_id)))
    return tuple(ids)


def round_properties(round_id: str) -> dict[str, str]:
    """Return the properties that follow from a round's id: itself, its trace and its session."""
    return dict(_round_ids(round_id))


class Envelope:
    """Stamps events for one project and client."""

    def __init__(
        self,
        project: str,
        client: str,
        git_sha: str | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base: dict[str, Any] = {**sdk_properties(), "project": project, "client": client}
        if git_sha is not None:
            self._base["git_sha"] = git_sha
        self._clock = clock

    def stamp(
        self,
        event: str,
        properties: dict[str, Any],
        place: Place | None,
        *,
        agent: str | None,
        round_id: str | None,
        ts: float | None,
    ) -> dict[str, Any]:
        """Return the event's properties with the envelope's before them."""
        stamped = dict(self._base)
        if place is not None:
            stamped.update(place.properties)
            agent = agent if agent is not None else place.agent
        if round_id is not None:
            stamped.pop("$session_id", None)
            stamped.update(_round_ids(round_id))
        stamped["agent"] = agent if agent is not None else DEFAULT_AGENT
        stamped["ts"] = self._clock() if ts is None else ts
        ours = stamped.get("$ai_trace_id")
        stamped.update(properties)
        if event.startswith("$ai_"):
            self._join_round(stamped, ours)
        return stamped

    def distinct_id(self, stamped: Mapping[str, Any]) -> str:
        """Return ``{project}:{client}:{agent}``, cut where PostHog cuts it."""
        text = f"{stamped['project']}:{stamped['client']}:{stamped['agent']}"
        return text[:_MAX_DISTINCT_ID]

    def _join_round(self, stamped: dict[str, Any], ours: str | None) -> None:
        if ours is not None and _UUID4.match(str(stamped["$ai_trace_id"])):
            stamped["$ai_trace_id"] = ours
        # On wrapper events these only repeat the names of the event's own properties.
        stamped.pop("$context_tags", None)
