"""The properties every event carries: which loop, tenant, run, round and role, from which commit.

What the caller gave explicitly is kept. The ids make every round one tree: ``$ai_span_id`` is an
event's own id, ``$ai_parent_id`` what it happened in, and ``round_started`` is the root. Inside a
round, a model call whose trace id nobody chose joins the round.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nightpane.catalog import RoundStarted
from nightpane.client.sdk import sdk_properties
from nightpane.ids import is_ulid, session_id_from_ulid

__all__ = ["DEFAULT_AGENT", "Envelope", "Place", "round_properties"]

DEFAULT_AGENT = "orchestrator"
_MAX_DISTINCT_ID = 200
# Trace ids that are made when none is given: the random UUID (version 4) of posthog.ai, the one
# ordered by time (version 7) of LangChain, the name of the OpenAI Agents SDK.
_MADE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|trace_[0-9a-f]{32}"
).fullmatch
_MODEL_CALLS = frozenset({"$ai_generation", "$ai_embedding"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the loop an event belongs: the ids it inherits, and the agent if none is given.

    ``calls`` are inherited by calls of models alone.
    """

    properties: Mapping[str, Any]
    agent: str | None
    calls: Mapping[str, Any] | None = None

    @property
    def round_id(self) -> str | None:
        """The round it belongs to, None outside of rounds."""
        found: str | None = self.properties.get("round_id")
        return found

    @property
    def parent_id(self) -> str | None:
        """The id of the step, case, suite or round that it is, None outside of rounds."""
        found: str | None = self.properties.get("$ai_parent_id")
        return found

    def inside(self, span_id: str, agent: str | None) -> Place:
        """Return the place inside a part of this one, whose id is ``span_id``."""
        properties = {**self.properties, "$ai_parent_id": span_id}
        return Place(properties, agent or self.agent, self.calls)


@functools.lru_cache(maxsize=256)
def _round_ids(round_id: str) -> tuple[tuple[str, str], ...]:
    ids = [("round_id", round_id), ("$ai_trace_id", round_id), ("$ai_parent_id", round_id)]
    if is_ulid(round_id):
        ids.append(("$session_id", session_id_from_ulid(round_id)))
    return tuple(ids)


def round_properties(round_id: str) -> dict[str, str]:
    """Return what follows from a round's id: itself, its trace, its session and its root."""
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
            if place.calls is not None and event in _MODEL_CALLS:
                stamped.update(place.calls)
            agent = agent if agent is not None else place.agent
        if round_id is not None and round_id != stamped.get("round_id"):
            stamped.pop("$session_id", None)
            stamped.update(_round_ids(round_id))
        stamped["agent"] = agent if agent is not None else DEFAULT_AGENT
        stamped["ts"] = self._clock() if ts is None else ts
        trace, parent = stamped.get("$ai_trace_id"), stamped.get("$ai_parent_id")
        stamped.update(properties)
        if event.startswith("$ai_"):
            _join_round(stamped, properties, trace, parent)
        elif event == RoundStarted.event:
            _make_root(stamped)
        return stamped

    def distinct_id(self, stamped: Mapping[str, Any]) -> str:
        """Return ``{project}:{client}:{agent}``, cut where PostHog cuts it."""
        text = f"{stamped['project']}:{stamped['client']}:{stamped['agent']}"
        return text[:_MAX_DISTINCT_ID]


def _join_round(
    stamped: dict[str, Any], given: Mapping[str, Any], trace: str | None, parent: str | None
) -> None:
    """Hang an event of PostHog's wrappers and integrations where the code stands.

    ``trace`` and ``parent`` are the place's. An integration (LangChain, the agents' SDKs) has ids
    of its own for what is nested in its trace: its outermost events, which name no parent or their
    own trace, get the place's; the inner ones keep theirs.
    """
    own, above = stamped.get("$ai_trace_id"), given.get("$ai_parent_id")
    if trace is not None and own != trace:
        if own is None or _MADE(str(own)):
            stamped["$ai_trace_id"] = trace
            above = None if above == own else above
        else:
            parent = None  # A trace of somebody's choice is a tree of its own.
    above = parent if above is None else above
    if above is not None:
        stamped["$ai_parent_id"] = above
    else:
        stamped.pop("$ai_parent_id", None)
    # On wrapper events these only repeat the names of the event's own properties.
    stamped.pop("$context_tags", None)


def _make_root(stamped: dict[str, Any]) -> None:
    round_id = stamped.get("round_id")
    if round_id is not None and stamped.get("$ai_parent_id") == round_id:
        del stamped["$ai_parent_id"]
        stamped.setdefault("$ai_span_id", round_id)
