"""Importers: the ledgers of loops that already ran become the catalogue's events.

`read` recognises a file by its content and tells what is in it; `events` makes the events;
`import_ledger` hands them to a pane.
"""

from __future__ import annotations

from nightpane.ledgers.emit import Imported, ImportedEvent, events, import_ledger
from nightpane.ledgers.model import Problem, Round
from nightpane.ledgers.reading import Ledger, Run, read
from nightpane.ledgers.times import Anchors

__all__ = [
    "Anchors",
    "Imported",
    "ImportedEvent",
    "Ledger",
    "Problem",
    "Round",
    "Run",
    "events",
    "import_ledger",
    "read",
]
