"""Lines of text from whatever bytes a ledger holds, in constant memory.

Handles byte order marks, UTF-16, CRLF and lone CR, terminal colour codes and stray control
characters. It must never follow a link out of the ledger's folder, read anything but a regular
file, or keep more than one line in memory.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nightpane.errors import LedgerError

__all__ = ["MAX_DOCUMENT_BYTES", "MAX_LINE_CHARS", "Line", "Source", "clean"]

MAX_LINE_CHARS = 4 * 1024 * 1024
MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
_HEAD_BYTES = 256 * 1024
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[@-Z\\^_]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200b\u2060\ufeff]")


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its line break; ``text`` is None when it is too long to be a record."""

    number: int
    text: str | None


def clean(text: str) -> str:
    """Return text without terminal codes and control characters (tabs and line breaks stay)."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return _CONTROL.sub("", text)


class Source:
    """A ledger file that can be read again from its start, always to the size it had at first.

    A loop may append to it meanwhile; what comes later belongs to the next import. Raises
    LedgerError when the path is no readable regular text file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        status = _regular(path)
        self.size_bytes = status.st_size
        self.modified_s = status.st_mtime
        head = self._head()
        self.encoding = _encoding(head)
        if self.encoding == "utf-8" and _looks_binary(head):
            raise LedgerError(f"{path} is a binary file, not a ledger in text")

    def lines(self) -> Iterator[Line]:
        """Yield every line, numbered from 1 as an editor numbers them.

        Raises LedgerError when reading fails midway.
        """
        try:
            with self._open() as raw:
                text = io.TextIOWrapper(raw, self.encoding, errors="replace", newline=None)
                yield from _numbered(text)
        except OSError as error:
            raise LedgerError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def document(self) -> str:
        """Return the whole text. Raises LedgerError above `MAX_DOCUMENT_BYTES`."""
        if self.size_bytes > MAX_DOCUMENT_BYTES:
            raise LedgerError(
                f"{self.path} is one JSON document of {self.size_bytes:,} bytes; up to "
                f"{MAX_DOCUMENT_BYTES:,} bytes are read. Write it as JSON lines instead"
            )
        try:
            with self._open() as raw:
                data = raw.read()
        except OSError as error:
            raise LedgerError(f"{self.path} cannot be read: {error.strerror or error}") from error
        return data.decode(self.encoding, errors="replace").lstrip("\ufeff")

    def _open(self) -> io.BufferedReader:
        return io.BufferedReader(_Bounded(self.path, self.size_bytes), 1 << 16)

    def _head(self) -> bytes:
        try:
            with self._open() as raw:
                return raw.read(_HEAD_BYTES)
        except OSError as error:
            raise LedgerError(f"{self.path} cannot be read: {error.strerror or error}") from error


class _Bounded(io.RawIOBase):
    """A file's first ``size`` bytes."""

    def __init__(self, path: Path, size: int) -> None:
        self._file = path.open("rb", buffering=0)  # closed by close()
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)[: self._left]  # type: ignore[arg-type]
        count = self._file.readinto(view) or 0
        self._left -= count
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _regular(path: Path) -> os.stat_result:
    try:
        if path.is_symlink():
            target, folder = path.resolve(strict=True), path.parent.resolve()
            if not target.is_relative_to(folder):
                raise LedgerError(
                    f"{path} is a symbolic link to {target}, outside its own folder; "
                    "name the file itself to import it"
                )
        status = path.stat()
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LedgerError(f"{path} cannot be read: {reason}") from error
    if stat.S_ISDIR(status.st_mode):
        raise LedgerError(f"{path} is a folder; name the ledger file in it")
    if not stat.S_ISREG(status.st_mode):
        raise LedgerError(f"{path} is not a regular file")
    if status.st_size == 0:
        raise LedgerError(f"{path} is empty")
    return status


def _numbered(text: io.TextIOWrapper) -> Iterator[Line]:
    number = 0
    while part := text.readline(MAX_LINE_CHARS):
        number += 1
        if not part.endswith("\n") and len(part) == MAX_LINE_CHARS:
            while (rest := text.readline(MAX_LINE_CHARS)) and not rest.endswith("\n"):
                pass
            yield Line(number, None)
            continue
        part = part.removesuffix("\n")
        yield Line(number, part.lstrip("\ufeff") if number == 1 else part)


def _encoding(head: bytes) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8"


def _looks_binary(head: bytes) -> bool:
    if b"\x00" in head:
        # A few stray NULs are what a crash leaves in a text file; many are another kind of file.
        return head.count(b"\x00") * 50 > len(head)
    undecodable = head.decode("utf-8", errors="replace").count("\ufffd")
    return undecodable * 5 > len(head)
