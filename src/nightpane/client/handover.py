"""A tracked event on its way to ``before_send``, and what becomes of it there.

``track()`` calls the hook as the SDK's ``capture()`` would, without what ``capture()`` does before:
copying every property and asking the operating system for its name (80 µs). What only ``track()``
knows, and the outcome that ``before_send`` cannot return, travel with the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightpane.client.envelope import Place
from nightpane.errors import NightpaneError

__all__ = ["Handover", "Tracked"]


@dataclass(slots=True)
class Handover:
    """What the caller of ``track()`` gave, and what became of it."""

    uuid: str
    place: Place | None
    agent: str | None
    round_id: str | None
    ts: float | None
    notes: list[str] = field(default_factory=list)
    has_distinct_id: bool = False
    taken: bool = False
    written: bool = False
    dropped: bool = False
    error: NightpaneError | None = None


class Tracked(dict[str, Any]):
    """A message as the SDK makes it, with its handover."""

    __slots__ = ("handover",)

    def __init__(self, handover: Handover, message: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.handover = handover
