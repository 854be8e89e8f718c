"""One event as the JSON that goes into the spool, never larger than PostHog takes it.

PostHog takes AI events of up to 8 MiB, on a lane of their own; any other event at 900 KiB.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nightpane.catalog import AI_EVENTS
from nightpane.client.values import without_surrogates

__all__ = ["MAX_AI_EVENT_BYTES", "MAX_EVENT_BYTES", "encode", "limit_bytes", "shorten"]

# PostHog refuses events above some 960 kB; its own SDK drops them above 900 KiB.
MAX_EVENT_BYTES = 900 * 1024
MAX_AI_EVENT_BYTES = 8 * 1024 * 1024
_CUTS = (2_000_000, 200_000, 50_000, 10_000, 2_000, 500, 100)

_dumps = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode

_fast_dumps: Callable[[Any], bytes] | None
try:
    from orjson import dumps as _fast_dumps
except ModuleNotFoundError:
    # It comes with the extra "server" and saves 15 µs an event; the JSON says the same without it.
    _fast_dumps = None


def encode(message: dict[str, Any]) -> bytes:
    """Return a message of plain values as JSON; what UTF-8 cannot carry becomes U+FFFD."""
    if _fast_dumps is not None:
        try:
            return _fast_dumps(message)
        except TypeError:
            # An integer above 64 bits, or a text that UTF-8 cannot carry.
            pass
    try:
        return _dumps(message).encode("utf-8")
    except UnicodeEncodeError:
        return _dumps(without_surrogates(message)).encode("utf-8")


def limit_bytes(event: str) -> int:
    """Return how large an event of this name may be."""
    return MAX_AI_EVENT_BYTES if event in AI_EVENTS else MAX_EVENT_BYTES


def shorten(message: dict[str, Any], limit_bytes: int = MAX_EVENT_BYTES) -> bytes:
    """Return a message as JSON of at most ``limit_bytes``: its longest values are cut.

    Each cut is told in the property ``$nightpane_truncated``: where, and how long it was.
    """
    properties = message["properties"]
    for limit in _CUTS:
        if limit > limit_bytes:
            continue
        cuts: list[dict[str, Any]] = []
        shorter = {name: _cut(value, name, limit, cuts) for name, value in properties.items()}
        shorter["$nightpane_truncated"] = cuts[:100]
        payload = encode({**message, "properties": shorter})
        if len(payload) <= limit_bytes:
            return payload
    kept = {name: value for name, value in shorter.items() if _is_small(value)}
    names = [name[:100] for name in shorter if name not in kept]
    told = [{"property": name, "left_out": True} for name in names[:100]]
    kept = dict(list(kept.items())[:500])
    kept["$nightpane_truncated"] = told
    return encode({**message, "properties": kept})


def _cut(value: Any, place: str, limit: int, cuts: list[dict[str, Any]]) -> Any:
    if type(value) is str:
        if len(value) <= limit:
            return value
        cuts.append({"property": place[:200], "length": len(value)})
        return value[:limit] + "…"
    if type(value) is dict:
        items = value
        if len(value) > limit:
            cuts.append({"property": place[:200], "items": len(value)})
            items = dict(list(value.items())[:limit])
        return {
            key[:limit]: _cut(v, f"{place}.{key[:50]}", limit, cuts) for key, v in items.items()
        }
    if type(value) is list:
        if len(value) > limit:
            cuts.append({"property": place[:200], "items": len(value)})
            value = value[:limit]
        return [_cut(item, f"{place}[{at}]", limit, cuts) for at, item in enumerate(value)]
    return value


def _is_small(value: Any) -> bool:
    return not isinstance(value, dict | list) and len(str(value)) <= 1000
