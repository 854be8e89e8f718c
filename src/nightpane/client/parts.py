"""The texts that lie side by side in a list: the parts of a message, the chunks of a stream.

Whoever reads them reads one text, so a secret may begin in one and end in the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["Part", "adjacent_parts", "seams"]

_TEXT_KEYS = ("text", "content")
_SEAM_CHARS = 100


class Part:
    """The text of one item of a list, and where it lies in the text of all of them."""

    __slots__ = ("_at", "_items", "_key", "_moved", "end", "start", "text")

    def __init__(self, items: list[Any], at: int, key: str, text: str, start: int) -> None:
        self._items = items
        self._at = at
        self._key = key
        self._moved = 0
        self.text = text
        self.start = start
        self.end = start + len(text)

    def cut(self, start: int, stop: int, mask: str) -> None:
        """Put ``mask`` in place of what lies here of a span of the whole text.

        Spans must come in order.
        """
        first = max(start, self.start) - self.start + self._moved
        last = min(stop, self.end) - self.start + self._moved
        self._moved += len(mask) - (last - first)
        self.text = self.text[:first] + mask + self.text[last:]
        item = self._items[self._at]
        self._items[self._at] = {**item, self._key: self.text} if self._key else self.text


def adjacent_parts(items: list[Any]) -> Iterator[list[Part]]:
    """Yield the texts of a list that lie side by side, wherever there are two or more."""
    group: list[Part] = []
    for at, item in enumerate(items):
        key = _text_key(item)
        if key is None:
            if len(group) > 1:
                yield group
            group = []
            continue
        text = item[key] if key else item
        group.append(Part(items, at, key, text, group[-1].end if group else 0))
    if len(group) > 1:
        yield group


def seams(items: list[Any]) -> str:
    """Return what of a list's texts lies around their seams, to be looked at for secrets."""
    pieces: list[str] = []
    for item in items:
        key = _text_key(item)
        if key is None:
            pieces.append("\n")
            continue
        text = item[key] if key else item
        if len(text) > 2 * _SEAM_CHARS:
            text = f"{text[:_SEAM_CHARS]}\n{text[-_SEAM_CHARS:]}"
        pieces.append(text)
    return "".join(pieces) if len(pieces) > 1 else ""


def _text_key(item: Any) -> str | None:
    """Return the key of an item's text: none of a text itself, None where there is no text."""
    if type(item) is str:
        return ""
    if type(item) is dict:
        for key in _TEXT_KEYS:
            if type(item.get(key)) is str:
                return key
    return None
