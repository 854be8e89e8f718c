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


def json_schema() -> dict[str, Any]:
    """Return a schema that an event ``{event, properties}`` of the catalogue fits."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nightpane events",
        "oneOf": [{"$ref": f"#/$defs/{name}"} for name in EVENTS],
        "$defs": {name: _event(spec) for name, spec in EVENTS.items()},
    }


def _event(spec: EventSpec) -> dict[str, Any]:
    declared = {one.name: one for one in (*ENVELOPE, *spec.properties)}
    required = [one.name for one in declared.values() if one.required and not one.unless]
    if spec.in_round:
        required.append("round_id")
    properties: dict[str, Any] = {
        "type": "object",
        "properties": {one.name: _property(one) for one in declared.values()},
        "required": sorted(required),
        "additionalProperties": True,
    }
    if spec.patterns:
        properties["patternProperties"] = {f"^{p}": {"type": "number"} for p in spec.patterns}
    conditional = [one for one in declared.values() if one.required and one.unless]
    if conditional:
        properties["anyOf"] = [
            {"required": [one.name for one in conditional]},
            *({"properties": {one.unless: {"const": True}}, "required": [one.unless]}
              for one in conditional),
        ]  # fmt: skip
    return {
        "title": spec.name,
        "description": spec.description,
        "type": "object",
        "properties": {"event": {"const": spec.name}, "properties": properties},
        "required": ["event", "properties"],
    }


def _property(one: PropertySpec) -> dict[str, Any]:
    schema: dict[str, Any] = {**_TYPES[one.type], "description": one.description}
    if one.unit:
        schema["x-unit"] = one.unit
    if one.known:
        schema["examples"] = list(one.known)
    if one.max_chars is not None:
        schema["maxLength"] = one.max_chars
    if one.minimum is not None:
        schema["minimum"] = one.minimum
    if one.maximum is not None:
        schema["maximum"] = one.maximum
    return schema
