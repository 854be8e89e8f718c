"""Rounds across processes and machines: what names a round, as a W3C ``baggage`` header.

The header may come from anywhere: what does not look like ours is passed over, and nothing raises.
Format: https://www.w3.org/TR/baggage/.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, unquote

from nightpane.client.envelope import DEFAULT_AGENT, Place, round_properties

__all__ = ["ENV", "KEYS", "baggage", "environ", "joined_place", "read"]

ENV = "BAGGAGE"
# Key in the header, then the property it stands for.
KEYS: Mapping[str, str] = {
    "nightpane.project": "project",
    "nightpane.client": "client",
    "nightpane.run_id": "run_id",
    "nightpane.round_id": "round_id",
    "nightpane.agent": "agent",
    "nightpane.parent_id": "$ai_parent_id",
}
_MAX_HEADER_CHARS = 8_192
_MAX_CHARS = 200
# The characters of PostHog's trace ids.
_IS_ID = re.compile(r"[A-Za-z0-9_~.@()!':|-]{1,200}").fullmatch
_IDS = frozenset({"run_id", "round_id", "$ai_parent_id"})


def baggage(place: Place, project: str, client: str) -> str:
    """Return the header's value for a place in a round."""
    known = {"project": project, "client": client, "agent": place.agent, **place.properties}
    return ",".join(
        f"{key}={quote(str(known[name]), safe='', errors='replace')}"
        for key, name in KEYS.items()
        if known.get(name) is not None
    )


def environ(place: Place, project: str, client: str) -> str:
    """Return the value of ``BAGGAGE`` for a child process, with what others put there."""
    others = [
        member
        for member in os.environ.get(ENV, "").split(",")
        if member.strip() and member.partition("=")[0].strip() not in KEYS
    ]
    return ",".join([baggage(place, project, client), *others])


def read(carrier: Mapping[str, str] | str | None) -> dict[str, str]:
    """Return what a carrier says of a round, by property; {} when it names none.

    ``carrier`` is a mapping such as an HTTP request's headers, the header's value, or None for this
    process's environment.
    """
    named = {name: value for name, value in _members(_header(carrier)) if _fits(name, value)}
    return named if "round_id" in named else {}


def joined_place(named: Mapping[str, str], agent: str | None) -> Place:
    """Return the place in the round that a carrier names; outside of rounds when it names none."""
    properties = {name: value for name, value in named.items() if name != "agent"}
    if "round_id" in named:
        properties = {**round_properties(named["round_id"]), **properties}
    return Place(properties, agent or named.get("agent") or DEFAULT_AGENT)


def _header(carrier: Mapping[str, str] | str | None) -> str:
    if carrier is None:
        return os.environ.get(ENV, "")
    if isinstance(carrier, str):
        return carrier
    if not isinstance(carrier, Mapping):
        return ""
    found = (value for key, value in carrier.items() if str(key).lower() == "baggage")
    return str(next(found, ""))


def _members(header: str) -> Iterator[tuple[str, str]]:
    for member in header[:_MAX_HEADER_CHARS].split(","):
        key, _, value = member.partition(";")[0].partition("=")
        if (name := KEYS.get(key.strip())) is not None:
            yield name, unquote(value.strip())


def _fits(name: str, value: str) -> bool:
    if name in _IDS:
        return _IS_ID(value) is not None
    return 0 < len(value) <= _MAX_CHARS and value.isprintable()
