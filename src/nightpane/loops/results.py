"""The ledger ``results.tsv``, as the public AutoResearch loop keeps it: a row a round, by tabs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from nightpane.errors import LoopError

__all__ = ["Results"]


class Results:
    """A ledger that grows by rows. Columns: commit, the metric, the extra ones, status,
    description."""

    def __init__(self, path: Path, metric: str, extra: Sequence[str] = ()) -> None:
        self.path = path
        self._extra = tuple(extra)
        columns = ("commit", metric, *self._extra, "status", "description")
        self._header = "\t".join(columns) + "\n"

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.path.stat().st_size if self.path.exists() else 0

    def add(
        self,
        at: int,
        *,
        commit: str | None,
        score: float | None,
        status: str,
        description: str,
        dims: Mapping[str, float],
    ) -> None:
        """Write a row where the ledger ended before the round: the same row again changes nothing.

        Raises LoopError when the file cannot be written.
        """
        value = "" if score is None else f"{score:.6f}"
        extra = [f"{dims[name]:g}" if name in dims else "" for name in self._extra]
        cells = ((commit or "")[:7], value, *extra, status, " ".join(description.split()))
        row = "\t".join(cells) + "\n"
        try:
            with self.path.open("r+b" if self.path.exists() else "x+b") as file:
                file.truncate(at)
                file.seek(at)
                file.write(((self._header if at == 0 else "") + row).encode("utf-8"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LoopError(f"the ledger {self.path} cannot be written: {error}") from error
