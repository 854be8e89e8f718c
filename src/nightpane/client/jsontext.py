"""Arguments and results of tools as JSON text: without secrets, short, and with their whole size.

Secrets are masked here, by the names of arguments, which the finished text no longer shows. It must
never raise and never take long, whatever a tool is given or returns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from nightpane.catalog import cut
from nightpane.client.redact import KeyMask, mask_values, may_hold_secret
from nightpane.client.values import Plain, without_surrogates

__all__ = ["JsonText", "json_text"]

_MAX_NODES = 10_000
# Of a long text only the beginning is looked at: enough to mask what begins before the cut.
_HEAD_CHARS = 16_384
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class JsonText:
    """A value's JSON, cut. ``length`` (in characters, before the cut) is None when nothing was cut;
    like ``size_bytes``, the whole value's, it is also None when it is not known.
    """

    text: str | None
    length: int | None
    size_bytes: int | None


def json_text(value: Any, mask: KeyMask, limit: int) -> JsonText:
    """Return a value as JSON of at most ``limit`` characters."""
    try:
        size_bytes = _size_bytes(value)
        text, whole = _dump(value, mask)
    except Exception:  # noqa: BLE001 (a value's own code may raise anything)
        return JsonText(None, None, None)
    if size_bytes is None and whole:
        size_bytes = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    length = len(text) if whole else None
    if isinstance(value, str) and len(value) > _HEAD_CHARS:
        length = len(_json(value))
    shown = cut(text, limit)
    return JsonText(shown, None if shown == text and whole else length, size_bytes)


def _size_bytes(value: Any) -> int | None:
    """Return the size of what has one without being written out: texts, bytes, arrays."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
    if isinstance(value, bytes | bytearray):
        return len(value)
    size = getattr(value, "nbytes", None)
    return size if type(size) is int else None


def _dump(value: Any, mask: KeyMask) -> tuple[str, bool]:
    """Return the text, and whether nothing of the value was left out."""
    whole = True
    if isinstance(value, str | bytes | bytearray) and len(value) > _HEAD_CHARS:
        value, whole = value[:_HEAD_CHARS], False
    notes: list[str] = []
    converter = Plain(mask, notes, max_nodes=_MAX_NODES)
    plain = converter.value(value, "value")
    if may_hold_secret("\n".join(converter.texts)):
        plain = mask_values(plain, [])
    return _json(plain), whole and not notes


def _json(plain: Any) -> str:
    text = _ENCODER.encode(plain)
    return text if text.isascii() else str(without_surrogates(text))
