"""How an event is declared: a dataclass whose fields carry their meaning, type and unit.

Everything else (validation, JSON Schema, the reference page, the types of the store's columns) is
read from these declarations, so nothing here may depend on what is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeVar, dataclass_transform

__all__ = [
    "Direction",
    "Event",
    "EventSpec",
    "Group",
    "PropertySpec",
    "TypeWord",
    "cut",
    "declare",
    "prop",
    "required",
    "spec_of",
]

TypeWord = Literal["str", "int", "float", "bool", "ULID", "list[str]", "object", "any"]
Group = Literal["core", "step", "eval", "token_machine"]
Direction = Literal["max", "min"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertySpec:
    """One property: its name on the wire, type, unit, and what it means.

    ``max_chars`` cuts a text; ``known`` lists values with a fixed meaning, though others pass
    unless it is ``closed``; ``minimum`` and ``maximum`` bound a number, both inclusive. ``unless``
    names a boolean property that, when true, makes a required property optional.
    """

    name: str
    type: TypeWord
    description: str
    unit: str | None = None
    required: bool = False
    max_chars: int | None = None
    known: tuple[str, ...] = ()
    closed: bool = False
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


_WORDS: dict[str, TypeWord] = {
    "str": "str",
    "Direction": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "list[str]": "list[str]",
    "Any": "any",
    "Mapping[str, Any]": "object",
}


def prop(description: str, *, type: TypeWord | None = None, **about: Any) -> Any:  # noqa: A002
    """Declare a property that may be left out; ``about`` is what ``PropertySpec`` takes.

    The type word follows from the annotation; ``type`` overrides it (a ULID is annotated ``str``).
    """
    return field(default=None, metadata={"description": description, "type": type, **about})


def required(description: str, *, type: TypeWord | None = None, **about: Any) -> Any:  # noqa: A002
    """Declare a property that must be given; otherwise as ``prop``."""
    return field(metadata={"description": description, "type": type, "required": True, **about})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Event:
    """Base of the catalogue's events; ``event`` is the name on the wire."""

    event: ClassVar[str]
    group: ClassVar[Group]
    in_round: ClassVar[bool]
    patterns: ClassVar[tuple[str, ...]]
    _names: ClassVar[tuple[str, ...]]
    _cuts: ClassVar[tuple[tuple[str, int], ...]]

    def to_properties(self) -> dict[str, Any]:
        """Return the properties as sent: without None, and with long texts cut.

        A text that was cut is joined by ``<name>_length``, its length before.
        """
        return self.cut_texts(self.given())

    def given(self) -> dict[str, Any]:
        """Return the properties without None, long texts whole."""
        values = ((name, getattr(self, name)) for name in self._names)
        return {name: value for name, value in values if value is not None}

    @classmethod
    def cut_texts(cls, properties: dict[str, Any]) -> dict[str, Any]:
        """Return properties of this event with long texts cut, the same object when none is."""
        for name, limit in cls._cuts:
            value = properties.get(name)
            if isinstance(value, str) and len(value) > limit:
                properties = {**properties, name: cut(value, limit), f"{name}_length": len(value)}
        return properties

    # Written once here: generated for each of the events they would double the time of the import.
    def __repr__(self) -> str:
        given = ((name, getattr(self, name)) for name in self._names)
        shown = ", ".join(f"{name}={value!r}" for name, value in given if value is not None)
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event) or type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((self.event, self._values()))

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self._names)


_E = TypeVar("_E", bound=Event)


# To a type checker what is not made by ``required`` has a default, so a call without it is fine.
@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(required,))
def declare(
    event: str, group: Group, *, in_round: bool = True, patterns: tuple[str, ...] = ()
) -> Callable[[type[_E]], type[_E]]:
    """Make a class the dataclass of the event with this name on the wire.

    The class is frozen, slotted and keyword-only; the other arguments are those of ``EventSpec``.
    """

    def finish(cls: type[_E]) -> type[_E]:
        made = dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)(cls)
        made.event, made.group, made.in_round, made.patterns = event, group, in_round, patterns
        limits = {one.name: one.metadata.get("max_chars") for one in fields(made)}
        made._names = tuple(limits)
        made._cuts = tuple((name, limit) for name, limit in limits.items() if limit is not None)
        return made

    return finish


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
