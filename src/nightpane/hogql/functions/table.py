"""How the tables of functions are written down and read.

One function a line: ``name[>engine name] arity result``. The arity is ``2``, ``1-3`` or ``1+``.
The result is a kind of value; ``same`` is the first argument's, ``arg2`` the second's, ``items`` an
array's element; ``!`` after it means never NULL, ``?`` maybe NULL, neither: NULL if an argument is.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Function", "read_table"]


@dataclass(frozen=True, slots=True)
class Function:
    """One callable function. ``most`` and ``most_params`` are None when there is no limit."""

    name: str
    engine: str
    least: int
    most: int | None
    result: str
    aggregate: bool = False
    least_params: int = 0
    most_params: int | None = 0


def read_table(text: str, *, aggregate: bool = False) -> dict[str, Function]:
    """Return the functions written in a table, by name."""
    found = {}
    for line in text.strip().splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        for word in words[:-2]:
            name, _, engine = word.partition(">")
            arity, _, params = words[-2].partition(";")
            least, most = _range(arity)
            least_params, most_params = _range(params or "0")
            found[name] = Function(
                name, engine or name, least, most, words[-1], aggregate, least_params, most_params
            )
    return found


def _range(text: str) -> tuple[int, int | None]:
    if text.endswith("+"):
        return int(text[:-1]), None
    low, _, high = text.partition("-")
    return int(low), int(high or low)
