"""Carries one ``track()`` through the SDK's ``capture()`` to ``before_send`` and its outcome back.

The SDK swallows what ``before_send`` raises and copies every property on its way; ``track()`` needs
neither. The handover belongs to one thread and one event uuid, so that a capture made by a signal
handler or by a redactor meanwhile is not taken for it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nightpane.client.envelope import Place
from nightpane.errors import NightpaneError

__all__ = ["Handover", "Handovers"]


@dataclass(slots=True)
class Handover:
    """One tracked event: what the caller gave, and what became of it."""

    uuid: str
    properties: Mapping[str, Any]
    place: Place | None
    agent: str | None
    round_id: str | None
    ts: float | None
    notes: list[str] = field(default_factory=list)
    taken: bool = False
    written: bool = False
    dropped: bool = False
    error: NightpaneError | None = None


class Handovers(threading.local):
    """The handover in force on each thread."""

    current: Handover | None = None

    def take(self, uuid: object) -> Handover | None:
        """Return this event's handover, once; None for an event captured directly."""
        handover = self.current
        if handover is None or handover.taken or handover.uuid != uuid:
            return None
        handover.taken = True
        return handover
