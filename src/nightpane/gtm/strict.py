"""JSON from anywhere, read strictly: what Python would let pass and could not write again, or not
without a change, is refused by its place. It must never end in anything but a value or GtmError.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nightpane.errors import GtmError

__all__ = ["read_text", "strict_json"]

_MOST_BYTES = 20_000_000
_MOST_DEPTH = 60
_MOST_DIGITS = 300


def read_text(path: Path) -> str:
    """Return a file's text of at most 20 MB in UTF-8. Raises GtmError when it cannot be read."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise GtmError(f"{path} is larger than {_MOST_BYTES:,} bytes: no container is")
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise GtmError(f"{path} cannot be read: {error}") from error


def strict_json(text: str) -> Any:
    """Return a text's JSON.

    Raises GtmError when it is none, larger than 20 MB or nested more than 60 deep, or holds a key
    twice in one object, NaN, a number too large for a float, or a text that UTF-8 cannot write.
    """
    if len(text) > _MOST_BYTES:
        raise GtmError(f"it is larger than {_MOST_BYTES:,} bytes: no container is")
    try:
        document = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError as error:
        raise GtmError("its JSON is nested too deeply") from error
    except ValueError as error:
        raise GtmError(f"it is no JSON: {error}") from error
    _sound(document, "", 0)
    return document


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = Counter(name for name, _ in pairs)
        double = names.most_common(1)[0][0]
        raise ValueError(f"the key {double[:80]!r} stands twice in one object")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:80]} is too large a number")
    return number


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"{text[:20]}… of {len(text)} digits is too large a number")
    return int(text)


def _sound(value: Any, where: str, depth: int) -> None:
    """Refuse what is nested too deeply, and halves of surrogate pairs."""
    if depth > _MOST_DEPTH:
        raise GtmError(f"{where[:80]}… is nested more than {_MOST_DEPTH} deep")
    if isinstance(value, str):
        _writable(value, where)
    elif isinstance(value, Mapping):
        for name, one in value.items():
            _writable(name, where)
            _sound(one, f"{where}.{name}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for index, one in enumerate(value):
            _sound(one, f"{where}[{index}]", depth + 1)


def _writable(text: str, where: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise GtmError(f"{where or 'a key'} holds half a character (a lone surrogate)") from error
