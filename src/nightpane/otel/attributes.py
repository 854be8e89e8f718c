"""Reading span attributes: first of several names, JSON in texts, lists spread over indexed names.

Attributes come from anywhere, so every reader returns None for what it cannot use and never raises.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["count", "decoded", "first", "indexed", "number", "pruned", "text"]

_MAX_PARTS = 12
_MAX_DIGITS = 6
_MAX_WHOLE = 1 << 53
_JSON_STARTS = ("{", "[", '"')


def first(attributes: Mapping[str, Any], names: Iterable[str]) -> Any:
    """Return the first of these attributes that is there and not empty, None otherwise."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value not in ("", [], {}):
            return value
    return None


def text(value: Any) -> str | None:
    """Return a text or a number as text; the first member of a list of them."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    found = str(value).strip()
    if not found.isascii():  # ids are drawn from texts, and a lone surrogate has no bytes
        found = found.encode("utf-8", "replace").decode()
    return found or None


def number(value: Any) -> float | None:
    """Return a finite number, given as number or text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) <= _MAX_WHOLE else None
    if isinstance(value, str) and len(value) <= 64:
        try:
            value = float(value)
        except ValueError:
            return None
    return value if isinstance(value, float) and math.isfinite(value) else None


def count(value: Any) -> int | None:
    """Return a whole number that is not negative."""
    found = number(value)
    if found is None or found < 0 or found != int(found):
        return None
    return int(found)


def decoded(value: Any) -> Any:
    """Return what a text of JSON (object, list or text) holds, any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(_JSON_STARTS):
        return value
    try:
        return json.loads(value, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return value


def indexed(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """Return the list that is spread over ``<prefix>.<index>.<path>`` attributes, in index order.

    Numbered levels further in become lists as well. What contradicts an earlier name is left out.
    """
    tree: dict[str, Any] = {}
    start = prefix + "."
    for name, value in attributes.items():
        if not name.startswith(start):
            continue
        *path, last = name[len(start) :].split(".", _MAX_PARTS)
        node = tree
        for part in path:
            below = node.setdefault(part, {})
            if not isinstance(below, dict):
                break
            node = below
        else:
            node.setdefault(last, value)
    found = _listed({part: below for part, below in tree.items() if _is_index(part)})
    return found if isinstance(found, list) else []


def pruned(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def _listed(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    members = {part: _listed(below) for part, below in node.items()}
    if members and all(_is_index(part) for part in members):
        return [members[part] for part in sorted(members, key=int)]
    return members


def _is_index(part: str) -> bool:
    return len(part) <= _MAX_DIGITS and part.isascii() and part.isdecimal()
