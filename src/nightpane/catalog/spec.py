"""How an event is declared: a dataclass whose fields carry their meaning, type and unit.

Everything else (validation, JSON Schema, the reference page, the types of the store's columns) is
read from these declarations, so nothing here may depend on what is made of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar

__all__ = ["Event", "EventSpec", "Group", "PropertySpec", "TypeWord", "cut", "prop", "spec_of"]

TypeWord = Literal["str", "int", "float", "bool", "ULID", "list[str]", "object", "any"]
Group = Literal["core", "step", "eval", "token_machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertySpec:
    """One property: its name on the wire, type, unit, and what it means.

    ``max_chars`` cuts a text; ``known`` lists values with a fixed meaning, though others pass;
    ``minimum`` and ``maximum`` bound a number, both inclusive. ``unless`` names a boolean property
    that, when true, makes a required property optional.
    """

    name: str
    type: TypeWord
    description: str
    unit: str | None = None
    required: bool = False
    max_chars: int | None = None
    known: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unless: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSpec:
    """One event: its name on the wire, group, meaning and own properties.

    ``in_round`` tells whether the envelope's round_id is required. ``patterns`` are prefixes of
    further properties that belong to it, such as ``dim_``, all of them numbers.
    """

    name: str
    group: Group
    description: str
    properties: tuple[PropertySpec, ...]
    in_round: bool
    patterns: tuple[str, ...] = ()


_T = TypeVar("_T")
_WORDS: dict[str, TypeWord] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "list[str]": "list[str]",
    "Any": "any",
    "Mapping[str, Any]": "object",
}


def prop(
    description: str,
    *,
    default: Any = None,
    type: TypeWord | None = None,  # noqa: A002 (the word of the table)
    **about: Any,
) -> Any:
    """Declare a property of an event; ``about`` is what ``PropertySpec`` takes.

    A property with ``required=True`` has no default, unless ``unless`` names an exception. The type
    word follows from the annotation; ``type`` overrides it (a ULID is annotated ``str``).
    """
    metadata = {"description": description, "type": type, **about}
    if about.get("required") and not about.get("unless"):
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of the catalogue's events; ``event`` is the name on the wire."""

    event: ClassVar[str]
    group: ClassVar[Group]
    in_round: ClassVar[bool] = True
    patterns: ClassVar[tuple[str, ...]] = ()

    def to_properties(self) -> dict[str, Any]:
        """Return the properties as sent: without None, and with long texts cut.

        A text that was cut is joined by ``<name>_length``, its length before.
        """
        properties: dict[str, Any] = {}
        for declared in fields(self):
            value = getattr(self, declared.name)
            if value is None:
                continue
            limit = declared.metadata.get("max_chars")
            if limit is not None and isinstance(value, str) and len(value) > limit:
                properties[f"{declared.name}_length"] = len(value)
                value = cut(value, limit)
            properties[declared.name] = value
        return properties


def cut(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of a text, never splitting what is read as one.

    A combining mark, a variation selector or a joiner at the place of the cut goes with the
    character it belongs to.
    """
    if len(text) <= limit:
        return text
    end = limit
    while end > 0 and _continues(text[end], text[end - 1]):
        end -= 1
    return text[: end or limit]


def _continues(char: str, before: str) -> bool:
    import unicodedata

    if char.isascii():
        return False
    joiner = "\u200d"
    is_mark = unicodedata.category(char) in ("Mn", "Me", "Mc", "Cf")
    skin_tone = "\U0001f3fb" <= char <= "\U0001f3ff"
    return is_mark or skin_tone or before == joiner


def spec_of(event: type[Event]) -> EventSpec:
    """Return the declaration of an event class as plain values."""
    return EventSpec(
        name=event.event,
        group=event.group,
        description=" ".join((event.__doc__ or "").split()),
        properties=tuple(_property(declared.name, declared) for declared in fields(event)),
        in_round=event.in_round,
        patterns=event.patterns,
    )


def _property(name: str, declared: Any) -> PropertySpec:
    about: Mapping[str, Any] = declared.metadata
    annotation = str(declared.type).removesuffix(" | None")
    rest = {key: value for key, value in about.items() if key != "type"}
    return PropertySpec(name=name, type=about["type"] or _WORDS[annotation], **rest)
