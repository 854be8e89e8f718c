"""Delivers what dead processes left in a spool folder, now: ``nightpane spool flush``."""

from __future__ import annotations

import json
import time
from pathlib import Path

from nightpane.client.destination import Destination, resolve
from nightpane.client.health import Counters, Voice
from nightpane.client.sender import Sender
from nightpane.client.spool.folder import SpoolFolder
from nightpane.client.spool.writer import SpoolWriter
from nightpane.client.transport import HttpTransport, Transport
from nightpane.config import Settings
from nightpane.errors import SpoolError

__all__ = ["Flushed", "flush", "retry_refused"]


class Flushed:
    """What a flush did: events delivered and set aside, and the last thing that went wrong."""

    def __init__(self, counters: Counters) -> None:
        self.delivered = counters["delivered"]
        self.set_aside = counters["set_aside"]
        self.last_error = counters.last_error


def flush(
    settings: Settings, *, timeout_s: float = 60.0, transport: Transport | None = None
) -> Flushed:
    """Deliver every segment of the configured spool that no living process holds.

    It ends when nothing more can be delivered now, at the latest after ``timeout_s``.
    """
    counters, deadline = Counters(), time.monotonic() + timeout_s
    http = HttpTransport() if transport is None else None
    sender = Sender(
        SpoolFolder(settings.spool_dir),
        None,
        transport or http or HttpTransport(),
        lambda destination: resolve(destination, settings, settings.state_dir),
        counters=counters,
        voice=Voice(),
    )
    sender.step(lambda: time.monotonic() < deadline)
    if http is not None:
        http.close()
    return Flushed(counters)


def retry_refused(folder: Path, destination: Destination) -> int:
    """Spool the events that were set aside once more, for ``destination``; return how many.

    Raises SpoolError when they cannot be written; then they stay set aside.
    """
    spool = SpoolFolder(folder)
    refused = spool.refused()
    if not refused:
        return 0
    writer = SpoolWriter(spool, destination)
    for note in refused:
        event = str(note["event"]).encode()
        if not isinstance(json.loads(event), dict):
            raise SpoolError(f"{folder / 'refused.jsonl'} holds something that is no event")
        writer.append(event)
    writer.close()
    spool.clear_refused()
    return len(refused)
