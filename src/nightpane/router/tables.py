"""Reading a TOML table strictly: each field is asked for by name, what nobody asked for is refused.

Errors name the file, the table and the field, the value, and what would be taken.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from nightpane.errors import ConfigError

__all__ = ["Fields"]


class Fields:
    """One table of a file. ``done()`` refuses the fields nobody asked for.

    ``path`` is the table's own, empty for the whole file. Raises ConfigError for what is no table.
    """

    def __init__(self, values: Any, file: str, path: str = "") -> None:
        self._file = file
        self._path = path
        if not isinstance(values, Mapping):
            raise ConfigError(f"{self.where} is {values!r}; it must be a table")
        self._values = values
        self._asked: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    @property
    def where(self) -> str:
        """File and table, for errors."""
        return f"{self._file}: {self._path}" if self._path else self._file

    def at(self, name: str) -> str:
        """Return file and field, for errors."""
        return f"{self.where}.{name}" if self._path else f"{self._file}: {name}"

    def names(self) -> list[str]:
        """Return the names in the table, for one whose names are the reader's own."""
        return list(self._values)

    def table(self, name: str) -> Fields:
        """Return the table below this one, an empty one when it is not there."""
        path = f"{self._path}.{name}" if self._path else name
        return Fields(self._raw(name, {}), self._file, path)

    def text(self, name: str, default: str | None = None) -> str | None:
        """Return a text that is not empty."""
        value = self._raw(name, None)
        if value is None:
            return default
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, "a text")
        return value

    def must(self, name: str) -> str:
        """Return a text that may not be missing."""
        value = self.text(name)
        if value is None:
            raise ConfigError(f"{self.at(name)} is missing")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self._raw(name, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise self.wrong(name, "a list of texts")
        if len(set(value)) < len(value):
            raise self.wrong(name, "each text once")
        return tuple(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false."""
        value = self._raw(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def number(
        self, name: str, default: float | None, *, low: float = 0.0, high: float = math.inf
    ) -> float | None:
        """Return a finite number from ``low`` to ``high``."""
        value = self._raw(name, None)
        if value is None:
            return default
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:
            upto = "" if high == math.inf else f" to {high:g}"
            raise self.wrong(name, f"a number from {low:g}{upto}")
        return float(value)

    def sure(self, name: str, default: float, *, low: float = 0.0, high: float = math.inf) -> float:
        """Return a number that has a default."""
        value = self.number(name, default, low=low, high=high)
        return default if value is None else value

    def count(self, name: str, default: int, *, low: int = 1, high: int = 2**40) -> int:
        """Return a whole number from ``low`` to ``high``."""
        value = self._raw(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(name, f"a whole number from {low} to {high}")
        return value

    def wrong(self, name: str, takes: str) -> ConfigError:
        """Return the error for a field whose value does not fit."""
        return ConfigError(f"{self.at(name)} is {self._values.get(name)!r}; it takes {takes}")

    def rest(self) -> dict[str, Any]:
        """Return what is in the table, unread."""
        self._asked += self._values
        return dict(self._values)

    def done(self) -> None:
        """Raise ConfigError for the first field that is not known here."""
        for name in self._values:
            if name not in self._asked:
                near = difflib.get_close_matches(name, self._asked, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(self._asked)}"
                raise ConfigError(f"{self.at(name)} is no field here; {hint}")

    def _raw(self, name: str, default: Any) -> Any:
        self._asked.append(name)
        return self._values.get(name, default)
