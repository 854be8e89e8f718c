"""The results folder: every file of a report is written here, whole or not at all.

The personal key must never get into a file other than ``.env``, whatever a trace or an error holds,
so every text passes ``clean`` on its way to the disk.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nightpane.errors import ConfigError

__all__ = ["Folder"]

_IGNORE = "# Keys and cached answers stay on this machine.\n.env\ncache/\n"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Folder:
    """Writes below ``root``; ``secret`` is replaced by a mark wherever it turns up."""

    def __init__(self, root: Path, secret: str = "") -> None:
        self.root = root
        self._secret = secret

    def open(self) -> None:
        """Make the folder and its ``.gitignore``. Raises ConfigError when that is impossible."""
        try:
            for name in ("data", "figures"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the results folder {self.root} cannot be made: {error.strerror}; "
                "choose another with --results-dir"
            ) from error
        self.text(".gitignore", _IGNORE)

    def path(self, name: str) -> Path:
        """Return where a file of the report stands."""
        return self.root / name

    def clean(self, text: str) -> str:
        """Return the text without the personal key."""
        return text.replace(self._secret, "[personal key]") if self._secret else text

    def text(self, name: str, text: str) -> Path:
        """Write a text file, replacing an earlier one at once."""
        return self._write(name, self.clean(text).encode("utf-8", "replace"), 0o644)

    def json(self, name: str, value: Any) -> Path:
        """Write a JSON file with sorted keys where order means nothing to a reader."""
        return self.text(name, json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def csv(self, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
        """Write a CSV file no cell of which a spreadsheet would run as a formula."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(value) for value in row] for row in rows)
        return self.text(name, out.getvalue())

    def environment(self, values: Mapping[str, str]) -> Path:
        """Write ``.env``, readable by its owner alone; the one file that may hold the key."""
        lines = [f"{name}={value}\n" for name, value in values.items()]
        return self._write(".env", "".join(lines).encode(), 0o600)

    def _write(self, name: str, data: bytes, mode: int) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.part")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, mode)
            file.write(data)
        partial.replace(path)
        return path


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value
