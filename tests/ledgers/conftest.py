"""A ledger of a test: some text in a file, read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nightpane.ledgers import Ledger, read

Reader = Callable[..., Ledger]
HEADER = "commit\tval_bpb\tmemory_gb\tstatus\tdescription\n"


@pytest.fixture
def ledger(tmp_path: Path) -> Reader:
    """Return a function that writes text (or bytes) to a file and reads it as a ledger."""

    def make(text: str | bytes, name: str = "results.tsv", **options: Any) -> Ledger:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(path, **options)

    return make


def counts(found: Ledger) -> tuple[int, int, int, int, int]:
    """Rounds, kept, reverted, crashed, and lines that were not read."""
    words = ("kept", "reverted", "crashed")
    return found.n_rounds, *(found.count(word) for word in words), found.unread  # type: ignore[return-value]
