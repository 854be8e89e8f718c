"""What a query can name, for whoever helps to write one."""

from __future__ import annotations

from nightpane.hogql import functions
from nightpane.hogql.schema import EVENT_COLUMNS, PERSON_COLUMNS, SESSION_COLUMNS

__all__ = ["function_names", "tables"]


def tables() -> dict[str, list[str]]:
    """Return the tables and their columns."""
    return {
        "events": list(EVENT_COLUMNS),
        "persons": list(PERSON_COLUMNS),
        "sessions": list(SESSION_COLUMNS),
    }


def function_names() -> list[str]:
    """Return the functions of the allow-list, combinators of aggregates left out."""
    return functions.names()
