"""The ledger ``results.tsv``, as the public loops keep it: a row a round, by tabs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from nightpane.errors import LoopError

__all__ = ["Results"]


class Results:
    """A ledger that grows by rows of the named ``columns``."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self._columns = tuple(columns)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.path.stat().st_size if self.path.exists() else 0

    def add(self, at: int, cells: Mapping[str, str]) -> None:
        """Write a row where the ledger ended before the round: the same row again changes nothing.

        A column without a cell stays empty. Raises LoopError when the file cannot be written.
        """
        row = _line(" ".join(cells.get(name, "").split()) for name in self._columns)
        try:
            with self.path.open("r+b" if self.path.exists() else "x+b") as file:
                file.truncate(at)
                file.seek(at)
                file.write(((_line(self._columns) if at == 0 else "") + row).encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LoopError(f"the ledger {self.path} cannot be written: {error}") from error


def _line(cells: Iterable[str]) -> str:
    return "\t".join(cells) + "\n"
