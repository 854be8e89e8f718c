"""Importers: the ledgers of loops that already ran become the catalogue's events.

`read` recognises a file by its content and tells what is in it.
"""

from __future__ import annotations

from nightpane.ledgers.model import Problem, Round
from nightpane.ledgers.reading import Ledger, Run, read

__all__ = ["Ledger", "Problem", "Round", "Run", "read"]
