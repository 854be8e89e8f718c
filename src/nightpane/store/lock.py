"""One process owns a store: the lock that says so, and says who.

The lock is the kernel's (flock), so it is gone with its process however that ends; the text in the
file is only for the message to the one who comes second.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

from nightpane.errors import StoreLockedError

__all__ = ["StoreLock"]


class StoreLock:
    """The held lock of a data folder."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, data_dir: Path) -> StoreLock:
        """Take the lock of a data folder. Raises StoreLockedError naming the holder."""
        path = data_dir / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StoreLockedError(_held(path, data_dir)) from error
        lock = cls(path, descriptor)
        lock.announce("")
        return lock

    def announce(self, host: str) -> None:
        """Write down who holds the lock and where it listens."""
        about = {"pid": os.getpid(), "host": host, "started_at": time.time()}
        text = json.dumps(about).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would race with the next holder."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1


def _held(path: Path, data_dir: Path) -> str:
    try:
        about = json.loads(path.read_text("utf-8"))
        holder = f"process {about['pid']}"
        if about.get("host"):
            holder += f", which listens at {about['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        holder = "another process"
    return (
        f"the store in {data_dir} is in use by {holder}: use that one, stop it, "
        "or give another --data-dir"
    )
