"""Whether an event fits its declaration: compiled once per event, quick on every call.

It says what is wrong and never raises, whatever the values are; what follows is the caller's.
"""

from __future__ import annotations

import re
import reprlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from nightpane.catalog.envelope import ENVELOPE
from nightpane.catalog.registry import EVENTS
from nightpane.catalog.spec import EventSpec, PropertySpec

__all__ = ["problems"]

_SHOWN_CHARS = 80
_MAX_FLOAT = sys.float_info.max
# The form that `nightpane.ids.is_ulid` accepts, in a fifth of its time.
_IS_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25}").fullmatch


def problems(event: str, properties: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with an event as it would be sent, envelope included; [] when nothing.

    Properties nobody declared are no problem, and neither is an event nobody declared: only its
    envelope is looked at, unless it is one of PostHog's own (a name that begins with ``$``).
    """
    compiled = _COMPILED.get(event)
    if compiled is None:
        if event.startswith("$"):
            return []
        compiled = _ENVELOPE_ONLY
    required, checks, patterns = compiled
    found: list[str] = []
    for name, unless in required:
        if properties.get(name) is None and (unless is None or properties.get(unless) is not True):
            found.append(f"{name} is missing; it is required")
    for name, value in properties.items():
        check = checks.get(name)
        if check is None:
            if not patterns or not isinstance(name, str) or not name.startswith(patterns):
                continue
            check = _number
        if value is not None and (wanted := check(value)) is not None:
            found.append(f"{name} is {_shown(value)}; expected {wanted}")
    return found


class _Shortened(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = _SHOWN_CHARS


def _shown(value: Any) -> str:
    """Return a value's repr, cut; a whole payload is neither shown nor worked out."""
    try:
        if isinstance(value, (dict, list, tuple)):
            text = f"{type(value).__name__} {_Shortened().repr(value)}"
        else:
            text = repr(value[:_SHOWN_CHARS] if isinstance(value, str) else value)
    except Exception as error:  # noqa: BLE001 (a value's own repr may do anything)
        text = f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


# A check returns what it wanted, or None when the value is right.
_Check = Callable[[Any], str | None]


def _check(spec: PropertySpec) -> _Check | None:
    if spec.closed:
        return _one_of(spec.known)
    if spec.type == "int":
        return _bounded(_integer, spec.minimum, spec.maximum)
    if spec.type == "float":
        return _bounded(_number, spec.minimum, spec.maximum)
    return _BY_TYPE.get(spec.type)


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text"


def _ulid(value: Any) -> str | None:
    fits = isinstance(value, str) and _IS_ULID(value)
    return None if fits else "a ULID (26 characters)"


def _truth(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _list_of_texts(value: Any) -> str | None:
    fits = isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)
    return None if fits else "a list of texts"


def _object(value: Any) -> str | None:
    return None if isinstance(value, Mapping) else "an object"


_BY_TYPE: dict[str, _Check] = {
    "str": _text,
    "ULID": _ulid,
    "bool": _truth,
    "list[str]": _list_of_texts,
    "object": _object,
}


def _integer(value: Any) -> str | None:
    kind = type(value)
    # 3.0 is JSON's 3 once it has been through a language with one kind of number.
    if kind is int or (isinstance(value, float) and value.is_integer()):
        return None
    return None if isinstance(value, int) and kind is not bool else "a whole number"


def _number(value: Any) -> str | None:
    if not isinstance(value, (float, int)) or isinstance(value, bool):
        return "a number"
    # False for NaN and the infinities, and for integers no double can hold.
    return None if -_MAX_FLOAT <= value <= _MAX_FLOAT else "a finite number"


def _bounded(check: _Check, low: float | None, high: float | None) -> _Check:
    if low is None and high is None:
        return check
    least = low if low is not None else -_MAX_FLOAT
    most = high if high is not None else _MAX_FLOAT

    def within(value: Any) -> str | None:
        if (wanted := check(value)) is not None:
            return wanted
        if value < least:
            return f"at least {least:g}"
        return None if value <= most else f"at most {most:g}"

    return within


def _one_of(known: tuple[str, ...]) -> _Check:
    wanted = " or ".join(map(repr, known))
    return lambda value: None if isinstance(value, str) and value in known else wanted


_Compiled = tuple[tuple[tuple[str, str | None], ...], dict[str, _Check], tuple[str, ...]]


def _compile(spec: EventSpec | None) -> _Compiled:
    declared = (*ENVELOPE, *(spec.properties if spec else ()))
    required = [(one.name, one.unless) for one in declared if one.required]
    if spec and spec.in_round:
        required.append(("round_id", None))
    checks = {one.name: check for one in declared if (check := _check(one)) is not None}
    return tuple(required), checks, spec.patterns if spec else ()


_COMPILED = {name: _compile(spec) for name, spec in EVENTS.items()}
_ENVELOPE_ONLY = _compile(None)
