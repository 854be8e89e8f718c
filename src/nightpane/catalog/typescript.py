"""The catalogue as a TypeScript module: ``nightpane schema --typescript``.

Types are written from the declarations; what runs is ``typescript.ts``, the same for every
catalogue. It imports nothing, so that posthog-node and posthog-js may both be used with it.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from nightpane.catalog.ai import AI_EVENTS, AI_PROPERTIES
from nightpane.catalog.registry import CLASSES, EVENTS
from nightpane.catalog.spec import EventSpec, PropertySpec, TypeWord

__all__ = ["typescript"]

_HEAD = """// Made by `nightpane schema --typescript`: change nothing here.

"""
_TYPES: dict[TypeWord, str] = {
    "str": "string",
    "ULID": "Ulid",
    "int": "number",
    "float": "number",
    "bool": "boolean",
    "list[str]": "string[]",
    "object": "Record<string, unknown>",
    "any": "unknown",
}
_CALL = EventSpec(
    name="$ai_generation",
    group="core",
    description="A call of a model, or another of PostHog's LLM events.",
    properties=AI_PROPERTIES,
    in_round=False,
)


def typescript() -> str:
    """Return the module: an interface for each event, a typed ``track()``, ids."""
    classes = [(event.__name__, EVENTS[event.event]) for event in CLASSES]
    lines: list[str] = []
    for name, spec in (*classes, ("ModelCall", _CALL)):
        lines += [*_interface(name, spec), ""]
    lines += [*_by_name(classes), ""]
    lines += [*_tables(), ""]
    runtime = (Path(__file__).parent / "typescript.ts").read_text("utf-8")
    return _HEAD + "\n".join(lines) + runtime


def _interface(name: str, spec: EventSpec) -> Iterator[str]:
    excused = [one for one in spec.properties if one.unless]
    yield from _comment([spec.description.replace("``", "`")], "")
    if excused:
        conditions = (
            f"({{ {one.name}: {_type(one)} }} | {{ {one.unless}: true }})" for one in excused
        )
        yield f"export type {name} = {name}Properties & {' & '.join(conditions)}"
        yield ""
        yield f"export interface {name}Properties {{"
    else:
        yield f"export interface {name} {{"
    for one in spec.properties:
        yield from _comment(_about(one), "  ")
        if one.required and not one.unless:
            yield f"  {_key(one.name)}: {_type(one)}"
        else:
            yield f"  {_key(one.name)}?: {_type(one)} | null"
    for prefix in spec.patterns:
        yield "  /** any number of them */"
        yield f"  [name: `{prefix}${{string}}`]: number | null"
    yield "}"


def _about(one: PropertySpec) -> list[str]:
    unit = f" ({one.unit})" if one.unit else ""
    found = [f"{one.description}{unit}"]
    if one.known and not one.closed:
        found.append(f"known values: {', '.join(one.known)}")
    if one.max_chars is not None:
        found.append(f"cut at {one.max_chars:,} characters")
    if one.minimum or one.maximum is not None:
        found.append(f"from {one.minimum or 0:g}" + (f" to {one.maximum:g}" if one.maximum else ""))
    return found


def _type(one: PropertySpec) -> str:
    if one.closed:
        return " | ".join(f"'{value}'" for value in one.known)
    return _TYPES[one.type]


def _key(name: str) -> str:
    return name if name.replace("$", "_").isidentifier() else f"'{name}'"


def _comment(parts: Iterable[str], indent: str) -> Iterator[str]:
    text = "; ".join(parts)
    if len(text) + len(indent) <= 92:
        yield f"{indent}/** {text} */"
        return
    yield f"{indent}/**"
    yield from (f"{indent} * {line}" for line in textwrap.wrap(text, 96 - len(indent)))
    yield f"{indent} */"


def _by_name(classes: Iterable[tuple[str, EventSpec]]) -> Iterator[str]:
    yield "/** The properties of each event, by its name. */"
    yield "export interface EventProperties {"
    for name, spec in classes:
        yield f"  {_key(spec.name)}: {name}"
    for event in sorted(AI_EVENTS):
        yield f"  {event}: ModelCall"
    yield "}"


def _tables() -> Iterator[str]:
    yield "const REQUIRED: Partial<Record<EventName, readonly string[]>> = {"
    for name, spec in EVENTS.items():
        required = [one.name for one in spec.properties if one.required]
        names = [*required, *(["round_id"] if spec.in_round else [])]
        if names:
            yield f"  {_key(name)}: {json.dumps(names)},"
    yield "}"
    unless = {
        one.name: one.unless for spec in EVENTS.values() for one in spec.properties if one.unless
    }
    yield f"const UNLESS: Record<string, string> = {json.dumps(unless)}"
    yield "const LONGEST: Partial<Record<EventName, Record<string, number>>> = {"
    for name, spec in EVENTS.items():
        limits = {one.name: one.max_chars for one in spec.properties if one.max_chars}
        if limits:
            yield f"  {_key(name)}: {json.dumps(limits)},"
    yield "}"
