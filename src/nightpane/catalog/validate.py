"""Whether an event fits its declaration: compiled once per event, quick on every call."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from nightpane.catalog.envelope import ENVELOPE
from nightpane.catalog.registry import EVENTS
from nightpane.catalog.spec import EventSpec, PropertySpec
from nightpane.ids import is_ulid

__all__ = ["problems"]

_SHOWN_CHARS = 80


def problems(event: str, properties: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with an event as it would be sent, envelope included; [] when nothing.

    Properties nobody declared are no problem, and neither is an event nobody declared: only its
    envelope is looked at, unless it is one of PostHog's own (a name that begins with ``$``).
    """
    checks = _COMPILED.get(event)
    if checks is None:
        if event.startswith("$"):
            return []
        checks = _ENVELOPE_ONLY
    found: list[str] = []
    required, typed, patterns = checks
    for name, unless in required:
        if properties.get(name) is None and not (unless and properties.get(unless) is True):
            found.append(f"{name} is missing; it is required")
    for name, value in properties.items():
        if value is None:
            continue
        check = typed.get(name)
        if check is None and patterns and name.startswith(patterns):
            check = _DIMENSION
        if check is not None and (wanted := check(value)) is not None:
            found.append(f"{name} is {_shown(value)}; expected {wanted}")
    return found


def _shown(value: Any) -> str:
    text = f"{type(value).__name__} " if isinstance(value, (dict, list, tuple)) else ""
    try:
        text += repr(value[:_SHOWN_CHARS] if isinstance(value, str) else value)
    except Exception as error:  # noqa: BLE001 (a value's own repr may do anything)
        text += f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


# A check returns what it wanted, or None when the value is right.
_Check = Callable[[Any], str | None]


def _check(spec: PropertySpec) -> _Check | None:
    low, high = spec.minimum, spec.maximum
    if spec.type == "str":
        return lambda value: None if isinstance(value, str) else "a text"
    if spec.type == "ULID":
        return lambda value: None if is_ulid(value) else "a ULID (26 characters)"
    if spec.type == "bool":
        return lambda value: None if isinstance(value, bool) else "true or false"
    if spec.type == "list[str]":
        return _list_of_texts
    if spec.type == "object":
        return lambda value: None if isinstance(value, Mapping) else "an object"
    if spec.type == "int":
        return lambda value: _integer(value, low, high)
    if spec.type == "float":
        return lambda value: _number(value, low, high)
    return None


def _list_of_texts(value: Any) -> str | None:
    fits = isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
    return None if fits else "a list of texts"


def _integer(value: Any, low: float | None, high: float | None) -> str | None:
    # 3.0 is JSON's 3 once it has been through a language with one kind of number.
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole:
        return "a whole number"
    return _within(value, low, high)


def _number(value: Any, low: float | None, high: float | None) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, float) and not math.isfinite(value):
        return "a finite number"
    return _within(value, low, high)


def _within(value: float, low: float | None, high: float | None) -> str | None:
    if low is not None and value < low:
        return f"at least {low:g}"
    if high is not None and value > high:
        return f"at most {high:g}"
    return None


_Compiled = tuple[tuple[tuple[str, str | None], ...], dict[str, _Check], tuple[str, ...]]


def _compile(spec: EventSpec | None) -> _Compiled:
    declared = (*ENVELOPE, *(spec.properties if spec else ()))
    required = [(one.name, one.unless) for one in declared if one.required]
    if spec and spec.in_round:
        required.append(("round_id", None))
    typed = {one.name: check for one in declared if (check := _check(one)) is not None}
    return tuple(required), typed, spec.patterns if spec else ()


def _DIMENSION(value: Any) -> str | None:  # noqa: N802 (a constant that happens to be a function)
    return _number(value, None, None)


_COMPILED = {name: _compile(spec) for name, spec in EVENTS.items()}
_ENVELOPE_ONLY = _compile(None)
