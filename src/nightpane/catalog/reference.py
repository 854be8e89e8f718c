"""The reference page of the catalogue, in Markdown: ``docs/events.md`` is this text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nightpane.catalog.ai import AI_PROPERTIES
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
`nightpane schema --markdown`; `nightpane schema --json` prints the same as JSON Schema.

An event of another name and a property of another name pass as they are, with a warning once per
name: a loop carries what it likes. A property of the wrong type or a missing required one is an
error in strict mode (`NIGHTPANE_STRICT=1`); otherwise it is recorded on the event as
`$nightpane_invalid`, and the event is sent. On an event of another name only the envelope is
checked. A property that is null counts as missing.

**R** marks what is required. Counts, sizes, durations and costs are 0 or more; NaN and the
infinities are no numbers. A ULID has 26 characters of Crockford's base 32. A text longer than its
limit is cut, and its length before is kept as `<name>_length`.

## Envelope

On every event. `distinct_id` is `{project}:{client}:{agent}`. `round_id` is required on the events
that belong to a round.
"""

_MODEL_CALLS = """## Model calls

Calls of models are PostHog's own events (`$ai_generation`, `$ai_embedding`, `$ai_span`,
`$ai_trace`, `$ai_metric`, `$ai_feedback`, `$ai_evaluation`), made by PostHog's wrappers and never
checked here. In a round, `$ai_trace_id` is the round_id and `$ai_parent_id` the step, case or suite
the call ran in. nightpane gives the properties below these types.
"""


def markdown(event: str | None = None) -> str:
    """Return the reference page, or the part of it that tells of one event.

    Raises KeyError for an event that is not declared.
    """
    if event is not None:
        return "\n".join(_event(EVENTS[event]))
    lines = [_HEAD, *_table(ENVELOPE), ""]
    for group, title in GROUPS.items():
        lines += [f"## {title}", ""]
        for spec in EVENTS.values():
            if spec.group == group:
                lines += _event(spec)
    lines += [_MODEL_CALLS, *_table(AI_PROPERTIES)]
    return "\n".join(lines).rstrip() + "\n"


def notes(one: PropertySpec) -> str:
    """Return what is to be said of a property beyond its type, in a line."""
    found = [one.description]
    if one.known:
        found.append(("one of: " if one.closed else "known values: ") + ", ".join(one.known))
    if one.max_chars is not None:
        found.append(f"at most {one.max_chars:,} characters")
    if one.minimum or one.maximum is not None:
        upper = f" to {one.maximum:g}" if one.maximum is not None else " or more"
        found.append(f"{one.minimum or 0:g}{upper}")
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
