"""The few file system calls the spool makes, in one place, so that a test can make each one fail.

Nothing here retries, logs or decides: an OSError goes up as it came.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

__all__ = ["Files"]


class Files:
    """The real file system. A subclass may refuse, shorten or count calls."""

    def make_folder(self, path: Path) -> None:
        """Create a folder only its owner can enter, and the ones above it."""
        path.mkdir(parents=True, exist_ok=True)
        # Group or others may never enter: events hold prompts and code.
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)

    def create(self, path: Path) -> int:
        """Open a new file for appending and reading, mode 0600. Raises FileExistsError."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def append_to(self, path: Path) -> int:
        """Open a file for appending, mode 0600 when it is made by this."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """Open an existing file for reading."""
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self, fd: int) -> None:
        """Close a file; its lock ends with its last descriptor."""
        os.close(fd)

    def duplicate(self, fd: int) -> int:
        """Return a second descriptor of an open file; it shares the file's lock."""
        return os.dup(fd)

    def write(self, fd: int, data: bytes) -> int:
        """Append ``data`` in one call; return how many bytes went in."""
        return os.write(fd, data)

    def read(self, fd: int, size: int, offset: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``."""
        return os.pread(fd, size, offset)

    def size(self, fd: int) -> int:
        """Return the length of an open file in bytes."""
        return os.fstat(fd).st_size

    def truncate(self, fd: int, size: int) -> None:
        """Cut an open file to ``size`` bytes."""
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        """Return when an open file is on the disk itself."""
        os.fsync(fd)

    def sync_folder(self, path: Path) -> None:
        """Return when a folder's names are on the disk itself."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, fd: int) -> bool:
        """Take an open file for this process; False when another has it."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_named(self, fd: int, path: Path) -> bool:
        """Tell whether an open file is still the one that ``path`` names."""
        try:
            named, opened = path.stat(), os.fstat(fd)
        except FileNotFoundError:
            return False
        return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)

    def replace(self, source: Path, target: Path) -> None:
        """Rename a file, in one step, over whatever is there."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Delete a file; one that is gone already is fine."""
        path.unlink(missing_ok=True)

    def read_text(self, path: Path) -> str:
        """Return a small file's text."""
        return path.read_text("utf-8")

    def listing(self, path: Path) -> list[tuple[str, int]]:
        """Return name and length of each plain file in a folder; none when it does not exist."""
        found: list[tuple[str, int]] = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    try:
                        if entry.is_file(follow_symlinks=False):
                            found.append((entry.name, entry.stat(follow_symlinks=False).st_size))
                    except FileNotFoundError:
                        continue
        except FileNotFoundError:
            return []
        return found
