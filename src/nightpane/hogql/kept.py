"""Trees that took long to parse, kept on disk from one start of the server to the next.

PostHog's grammar needs a third of a second for a board's query, always the same, since what a
reader chooses travels as ``values``. Only the grammar's output is kept: each time it is resolved
and printed anew against the allow-list, so a kept tree can ask for nothing that a query could not.
It must never be in the way: a folder that cannot be used is as good as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["KeptTrees"]

_MOST_FILES = 2_000
_MOST_BYTES = 32 * 1024 * 1024
_LEVEL = 1


class KeptTrees:
    """The grammar's answers by text, in one file each. The oldest unused ones go at the start."""

    def __init__(self, folder: Path) -> None:
        try:
            grammar = version("hogql-parser")
        except PackageNotFoundError:
            grammar = "none"
        self._folder = folder / f"hogql-{grammar}"
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room()

    def get(self, how: str, text: str) -> bytes | None:
        """Return the answer kept for a text, None when there is none that can be read."""
        path = self._path(how, text)
        try:
            answer = zlib.decompress(path.read_bytes())
            os.utime(path)
        except (OSError, zlib.error):
            return None
        return answer

    def put(self, how: str, text: str, answer: bytes) -> None:
        """Keep an answer, whole or not at all."""
        path = self._path(how, text)
        draft = path.with_suffix(f".{os.getpid()}.new")
        with contextlib.suppress(OSError):
            draft.write_bytes(zlib.compress(answer, _LEVEL))
            draft.replace(path)

    def _path(self, how: str, text: str) -> Path:
        return self._folder / hashlib.sha256(f"{how}\n{text}".encode()).hexdigest()

    def _make_room(self) -> None:
        found = []
        for entry in os.scandir(self._folder):
            with contextlib.suppress(OSError):  # another server's start may have taken it away
                about = entry.stat()
                found.append((about.st_mtime, about.st_size, entry.path))
        left = _MOST_BYTES
        for at, (_, size, path) in enumerate(sorted(found, reverse=True)):
            left -= size
            if left < 0 or at >= _MOST_FILES:
                Path(path).unlink(missing_ok=True)
