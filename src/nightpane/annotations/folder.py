"""The annotations that wait: one file each, beside the spool's segments.

    <ulid>.new       being written; nobody reads it
    <ulid>.json      waits; no request has carried it yet
    <ulid>.tried     waits; a request may have carried it, so the server is looked at first
    <ulid>.refused   a server refused it for good; the reason is inside

A file is locked while it is delivered and deleted only when a server has the annotation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightpane.annotations.annotation import Annotation
from nightpane.client.spool.files import Files
from nightpane.config import Settings
from nightpane.errors import SpoolError
from nightpane.ids import is_ulid, new_ulid, ulid_ms

__all__ = ["LOCAL", "Folder", "Kept", "destination", "refused", "waiting"]

LOCAL = "local server"
_NEW_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class Kept:
    """An annotation on disk and where it goes.

    ``host`` None: wherever the settings point when it is delivered; ``LOCAL``: the local server.
    ``reason`` is why it was refused for good, None while it waits.
    """

    annotation: Annotation
    host: str | None
    project_id: str | None
    reason: str | None = None

    def is_for(self, settings: Settings) -> bool:
        """Tell whether the host that the settings name is the one it was kept for."""
        host, project_id = destination(settings)
        return self.host in (None, host) and self.project_id in (None, project_id)

    def text(self) -> str:
        """Return the form on disk."""
        to = {"host": self.host, "project_id": self.project_id, "reason": self.reason}
        return json.dumps({"format": 1, **to, "annotation": self.annotation.document()})

    @classmethod
    def parse(cls, text: str) -> Kept:
        """Read the form on disk. Raises ValueError for one that this version does not know."""
        try:
            read = json.loads(text)
            if read["format"] != 1:
                raise ValueError(f"format {read['format']!r}")
            named = [read[name] for name in ("host", "project_id", "reason")]
            if any(value is not None and not isinstance(value, str) for value in named):
                raise ValueError("a destination that is no text")
            return cls(Annotation.from_document(read["annotation"]), *named)
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an annotation: {error!r}") from error


def destination(settings: Settings) -> tuple[str | None, str | None]:
    """Return host and project of what is kept now. The local server is named so: it may move."""
    if settings.sources.get("host") == LOCAL:
        return LOCAL, None
    return settings.host, settings.project_id if settings.host is not None else None


class Folder:
    """Reads and changes the waiting annotations of a spool folder."""

    def __init__(self, spool_dir: Path, files: Files | None = None) -> None:
        self.path = spool_dir / "annotations"
        self.files = files or Files()

    def add(self, kept: Kept) -> str:
        """Put an annotation on disk and return its name. Raises SpoolError when it cannot be."""
        name = new_ulid()
        try:
            self.files.make_folder(self.path)
            self._write(name, kept, "json")
        except OSError as error:
            raise SpoolError(f"the annotation cannot be kept in {self.path}: {error}") from error
        return name

    def names(self, *suffixes: str) -> list[tuple[str, str]]:
        """Return name and suffix of the files with these suffixes, the oldest first."""
        found = (file.partition(".") for file, _ in self.files.listing(self.path))
        return sorted((stem, end) for stem, _, end in found if end in suffixes and is_ulid(stem))

    def read(self, name: str, suffix: str) -> Kept | None:
        """Return an annotation on disk; None when it is gone or damaged (it stays as it is)."""
        try:
            return Kept.parse(self.files.read_text(self._file(name, suffix)))
        except (OSError, ValueError):
            return None

    @contextmanager
    def lease(self, name: str, suffix: str) -> Iterator[bool]:
        """Hold a file for as long as the block runs; False when it is gone or another has it."""
        path = self._file(name, suffix)
        try:
            fd = self.files.open(path)
        except FileNotFoundError:
            yield False
            return
        try:
            yield self.files.lock(fd) and self.files.is_named(fd, path)
        finally:
            self.files.close(fd)

    def mark_tried(self, name: str) -> None:
        """Remember, durably, that a request is about to carry it. The caller holds it."""
        self.files.replace(self._file(name, "json"), self._file(name, "tried"))
        self.files.sync_folder(self.path)

    def refuse(self, name: str, kept: Kept) -> None:
        """Set it aside with its ``reason``. The caller holds it."""
        self._write(name, kept, "refused")
        self.files.remove(self._file(name, "tried"))

    def remove(self, name: str, suffix: str) -> None:
        """Forget it: a server has it. The caller holds it."""
        self.files.remove(self._file(name, suffix))

    def tidy(self) -> None:
        """Delete files whose writer died before they were whole."""
        for name, suffix in self.names("new"):
            if time.time() - ulid_ms(name) / 1000 > _NEW_KEPT_S:
                self.files.remove(self._file(name, suffix))

    def _write(self, name: str, kept: Kept, suffix: str) -> None:
        fd = self.files.create(self._file(name, "new"))
        try:
            data = kept.text().encode()
            if self.files.write(fd, data) != len(data):
                raise OSError("the disk took only a part of it")
            self.files.sync(fd)
        finally:
            self.files.close(fd)
        self.files.replace(self._file(name, "new"), self._file(name, suffix))
        self.files.sync_folder(self.path)

    def _file(self, name: str, suffix: str) -> Path:
        return self.path / f"{name}.{suffix}"


def waiting(settings: Settings) -> list[Kept]:
    """Return the annotations that are kept and not delivered yet, the oldest first."""
    return _read(settings, "json", "tried")


def refused(settings: Settings) -> list[Kept]:
    """Return the annotations that a server refused for good, each with its reason."""
    return _read(settings, "refused")


def _read(settings: Settings, *suffixes: str) -> list[Any]:
    folder = Folder(settings.spool_dir)
    found = (folder.read(*name) for name in folder.names(*suffixes))
    return [kept for kept in found if kept is not None]
