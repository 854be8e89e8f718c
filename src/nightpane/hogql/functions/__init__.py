"""The allow-list of functions: what is not in these tables cannot be called.

Nothing here reads files, the network, dictionaries, settings or system tables, waits, or tells
about the machine. A test compares every entry with the engine and with a list of forbidden ones.
"""

from __future__ import annotations

from nightpane.hogql.functions.aggregates import AGGREGATES, WINDOW_ONLY, aggregate
from nightpane.hogql.functions.arrays import ARRAYS
from nightpane.hogql.functions.numbers import NUMBERS
from nightpane.hogql.functions.strings import STRINGS
from nightpane.hogql.functions.table import Function, read_table
from nightpane.hogql.functions.times import TIMES
from nightpane.hogql.functions.values import VALUES

__all__ = ["AGGREGATES", "SCALARS", "TEXT_TO_ARRAY", "WINDOW_ONLY", "Function", "find", "names"]

SCALARS: dict[str, Function] = {
    name: function
    for table in (NUMBERS, STRINGS, TIMES, ARRAYS, VALUES)
    for name, function in read_table(table).items()
}
TEXT_TO_ARRAY = frozenset(
    name for name, item in read_table(STRINGS).items() if item.result == "array!"
)
"""Functions that make an array of a text: a NULL text is read as an empty one."""

_SQL_WORDS = (
    "count sum avg min max median coalesce ifNull nullIf isNull now lower upper"
    " length concat substring round floor ceil abs sqrt exp ln log power mod if"
    " not and or xor any trim ltrim rtrim replace position left right reverse greatest least"
)
_ANY_CASE = {name.lower(): name for name in _SQL_WORDS.split()}


def find(name: str) -> Function | None:
    """Return the function of that name, None when it cannot be called.

    Names are case-sensitive, but for the few that SQL writes in capitals.
    """
    found = SCALARS.get(name) or aggregate(name)
    if found is None and (usual := _ANY_CASE.get(name.lower())):
        found = SCALARS.get(usual) or aggregate(usual)
    return found


def names() -> list[str]:
    """Return every name that can be called, combinators of aggregates left out."""
    return sorted({*SCALARS, *AGGREGATES, *WINDOW_ONLY})
