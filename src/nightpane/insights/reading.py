"""Reading a query node: every field with its type checked and its place named when it is wrong.

Fields that are not asked for are tolerated, as in PostHog: its clients send more than the server
needs. A wrong one is never taken for a missing one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nightpane.errors import InsightError

__all__ = ["Fields", "wrong"]


def wrong(attr: str, text: str) -> InsightError:
    """Return the refusal of a field, named by its path in the query such as ``series.0.math``."""
    return InsightError(f"{attr}: {text}", attr=attr)


class Fields:
    """An object of the query and its path. Every method raises InsightError naming the field."""

    __slots__ = ("given", "path")

    def __init__(self, given: Any, path: str = "") -> None:
        if not isinstance(given, Mapping):
            raise wrong(path or "query", f"must be an object, not {_shown(given)}.")
        self.given: Mapping[str, Any] = given
        self.path = path

    def at(self, name: str | int) -> str:
        """Return the path of a field of this object."""
        return f"{self.path}.{name}" if self.path else str(name)

    def text(self, name: str) -> str | None:
        """Return a text, or None when it is missing or null."""
        value: str | None = self._typed(name, str, "a text")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean; a missing one is false."""
        return bool(self._typed(name, bool, "true or false"))

    def whole(self, name: str, *, least: int = 0, most: int = 2**31) -> int | None:
        """Return a whole number within limits, or None when it is missing or null."""
        value = self.given.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(self.at(name), f"must be a whole number, not {_shown(value)}.")
        if not least <= value <= most:
            raise wrong(self.at(name), f"must be {least:,} to {most:,}, not {value:,}.")
        return value

    def choice(self, name: str, known: Sequence[str], default: str | None = None) -> str | None:
        """Return one of the known words, or the default when it is missing or null."""
        value = self.text(name)
        if value is None:
            return default
        if value not in known:
            raise wrong(self.at(name), f"{value!r} is not one of {', '.join(known)}.")
        return value

    def part(self, name: str) -> Fields | None:
        """Return an object, or None when it is missing or null."""
        value = self.given.get(name)
        return None if value is None else Fields(value, self.at(name))

    def items(self, name: str) -> list[Any]:
        """Return a list; a missing one is empty."""
        return self._typed(name, list, "a list") or []

    def parts(self, name: str) -> Iterator[Fields]:
        """Yield the objects of a list."""
        for place, item in enumerate(self.items(name)):
            yield Fields(item, f"{self.at(name)}.{place}")

    def refuse(self, *names: str, why: str) -> None:
        """Refuse fields that are set, rather than answer as if they were not."""
        for name in names:
            if self.given.get(name) not in (None, "", [], {}, False):
                raise wrong(self.at(name), why)

    def _typed(self, name: str, kind: type, words: str) -> Any:
        value = self.given.get(name)
        if value is not None and not isinstance(value, kind):
            raise wrong(self.at(name), f"must be {words}, not {_shown(value)}.")
        return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
