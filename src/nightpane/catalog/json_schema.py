"""The catalogue as JSON Schema (draft 2020-12): one definition an event."""

from __future__ import annotations

from typing import Any

from nightpane.catalog.envelope import ENVELOPE
from nightpane.catalog.registry import EVENTS
from nightpane.catalog.spec import EventSpec, PropertySpec

__all__ = ["json_schema"]

_ULID = "^[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}$"
_TYPES: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "ULID": {"type": "string", "pattern": _ULID},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list[str]": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object"},
    "any": {},
}


_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(event: str | None = None) -> dict[str, Any]:
    """Return a schema that an event ``{event, properties}`` of the catalogue fits, or one event's.

    Raises KeyError for an event that is not declared.
    """
    if event is not None:
        return {"$schema": _DIALECT, **_event(EVENTS[event])}
    return {
        "$schema": _DIALECT,
        "title": "nightpane events",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in EVENTS],
        "$defs": {name: _event(spec) for name, spec in EVENTS.items()},
    }


def _event(spec: EventSpec) -> dict[str, Any]:
    declared = (*ENVELOPE, *spec.properties)
    required = [one.name for one in declared if one.required and not one.unless]
    if spec.in_round:
        required.append("round_id")
    described: dict[str, Any] = {}
    for one in declared:
        described[one.name] = _property(one, required=one.name in required)
        if one.max_chars is not None:
            described[f"{one.name}_length"] = {
                "type": "integer",
                "description": f"characters of {one.name} before it was cut",
            }
    properties: dict[str, Any] = {
        "type": "object",
        "properties": described,
        "required": sorted(required),
    }
    if spec.patterns:
        number = {"type": ["number", "null"]}
        properties["patternProperties"] = {f"^{prefix}": number for prefix in spec.patterns}
    conditional = [_unless(one) for one in declared if one.required and one.unless]
    if conditional:
        properties["allOf"] = conditional
    return {
        "title": spec.name,
        "description": spec.description,
        "type": "object",
        "properties": {"event": {"const": spec.name}, "properties": properties},
        "required": ["event", "properties"],
    }


def _unless(one: PropertySpec) -> dict[str, Any]:
    given = {"properties": {one.name: {"not": {"type": "null"}}}, "required": [one.name]}
    excused = {"properties": {one.unless: {"const": True}}, "required": [one.unless]}
    return {"anyOf": [given, excused]}


def _property(one: PropertySpec, *, required: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {**_TYPES[one.type], "description": one.description}
    if "type" in schema and not required:
        schema["type"] = [schema["type"], "null"]
    if one.unit:
        schema["x-unit"] = one.unit
    if one.known:
        values = list(one.known)
        schema |= {"enum": [*values, None]} if one.closed else {"examples": values}
    if one.max_chars is not None:
        schema["x-cut-at-characters"] = one.max_chars
    if one.minimum is not None:
        schema["minimum"] = one.minimum
    if one.maximum is not None:
        schema["maximum"] = one.maximum
    return schema
