"""The reference page of the catalogue, in Markdown: ``docs/events.md`` is this text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nightpane.catalog.envelope import ENVELOPE
from nightpane.catalog.registry import EVENTS
from nightpane.catalog.spec import EventSpec, PropertySpec

__all__ = ["GROUPS", "markdown", "notes"]

GROUPS = {
    "core": "Core events",
    "step": "Step events",
    "eval": "Eval events",
    "token_machine": "Token Machine events",
}

_HEAD = """# Events

Every event nightpane emits or understands. This page is made from the catalogue by
`nightpane schema --markdown`.

An event of another name and a property of another name pass as they are: a loop carries what it
likes. A property of the wrong type or a missing required one is an error in strict mode
(`NIGHTPANE_STRICT=1`); otherwise it is recorded on the event as `$nightpane_invalid`, and the event
is sent. **R** marks what is required. A text longer than its limit is cut, and its length before is
kept as `<name>_length`.

## Envelope

On every event. `distinct_id` is `{project}:{client}:{agent}`. `round_id` is required on the events
that belong to a round.
"""


def markdown() -> str:
    """Return the reference page."""
    lines = [_HEAD, *_table(ENVELOPE), ""]
    for group, title in GROUPS.items():
        lines += [f"## {title}", ""]
        for spec in EVENTS.values():
            if spec.group == group:
                lines += _event(spec)
    return "\n".join(lines).rstrip() + "\n"


def notes(one: PropertySpec) -> str:
    """Return what is to be said of a property beyond its type, in a line."""
    found = [one.description]
    if one.known:
        found.append("known values: " + ", ".join(one.known))
    if one.max_chars is not None:
        found.append(f"at most {one.max_chars:,} characters")
    if one.minimum is not None and one.maximum is not None:
        found.append(f"{one.minimum:g} to {one.maximum:g}")
    if one.unless:
        found.append(f"not required when {one.unless} is true")
    return "; ".join(found)


def _event(spec: EventSpec) -> Iterator[str]:
    yield f"### `{spec.name}`"
    yield ""
    yield spec.description + ("" if spec.in_round else " Belongs to no round.")
    yield ""
    yield from _table(spec.properties)
    if spec.patterns:
        names = ", ".join(f"`{pattern}*`" for pattern in spec.patterns)
        yield f"| {names} | float |  |  | any number of them |"
    yield ""


def _table(properties: Iterable[PropertySpec]) -> Iterator[str]:
    yield "| property | type | unit | R | meaning |"
    yield "|---|---|---|---|---|"
    for one in properties:
        required = "R" if one.required else ""
        yield f"| `{one.name}` | {one.type} | {one.unit or ''} | {required} | {notes(one)} |"
