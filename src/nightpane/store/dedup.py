"""Which uuids the store already has: an index in memory, small enough for millions of events.

It holds 64 bits of each uuid, so it answers "certainly new" or "perhaps there"; the writer settles
the second case with an exact query. It never answers "new" for what is there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["UuidIndex"]

_RECENT = 65_536


class UuidIndex:
    """A set of 64-bit hashes: sorted arrays that are merged as they grow, and a recent set.

    Used by one thread at a time. Takes 8 bytes an event.
    """

    def __init__(self) -> None:
        self._levels: list[NDArray[np.uint64]] = []
        self._recent: set[int] = set()

    def __len__(self) -> int:
        return sum(level.size for level in self._levels) + len(self._recent)

    def load(self, row_binary: bytes) -> None:
        """Take in uuids as ClickHouse writes them in RowBinary: two little-endian halves each."""
        halves = np.frombuffer(row_binary, dtype="<u8").reshape(-1, 2)
        self._push(np.sort(halves[:, 0] ^ halves[:, 1]))

    def perhaps_has(self, keys: Sequence[bytes]) -> list[bool]:
        """Tell for each 16-byte uuid whether it may be in the index."""
        hashes = _hashes(keys)
        found = np.fromiter((h in self._recent for h in hashes.tolist()), bool, hashes.size)
        for level in self._levels:
            at = np.minimum(np.searchsorted(level, hashes), level.size - 1)
            found |= level[at] == hashes
        result: list[bool] = found.tolist()
        return result

    def add(self, keys: Sequence[bytes]) -> None:
        """Take in 16-byte uuids."""
        self._recent.update(_hashes(keys).tolist())
        if len(self._recent) >= _RECENT:
            recent = np.fromiter(self._recent, np.uint64, len(self._recent))
            self._recent = set()
            self._push(np.sort(recent))

    def _push(self, level: NDArray[np.uint64]) -> None:
        if not level.size:
            return
        self._levels.append(level)
        while len(self._levels) > 1 and self._levels[-2].size <= 2 * self._levels[-1].size:
            last, before = self._levels.pop(), self._levels.pop()
            self._levels.append(np.sort(np.concatenate([before, last])))


def _hashes(keys: Sequence[bytes]) -> NDArray[np.uint64]:
    halves = np.frombuffer(b"".join(keys), dtype=">u8").reshape(-1, 2)
    hashes: NDArray[np.uint64] = (halves[:, 0] ^ halves[:, 1]).astype(np.uint64)
    return hashes
