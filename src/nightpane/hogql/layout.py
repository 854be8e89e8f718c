"""Where the store keeps what HogQL names: given to the compiler, so that it knows no store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nightpane.hogql.types import ANY, BOOL, DATETIME, FLOAT, INT, STRING, Type

__all__ = ["ALWAYS_STRING", "Layout", "clickhouse_type"]

ALWAYS_STRING = frozenset(
    {
        "$ai_trace_id",
        "$ai_session_id",
        "$ai_parent_id",
        "$ai_span_id",
        "$ai_generation_id",
        "$ai_experiment_id",
    }
)
"""Identifiers that PostHog reads as text whatever their property definition says."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The tables' names, the properties with a column of their own, and those kept as text only.

    ``hot`` maps a property to the ClickHouse type of its column ``mat_<property>``; ``heavy``
    properties are read out of the JSON text; all others are paths of the JSON column ``props``.
    """

    hot: Mapping[str, str] = field(default_factory=dict)
    heavy: frozenset[str] = frozenset()
    database: str = "nightpane"

    def table(self, name: str) -> str:
        """Return the qualified name of a stored table."""
        return f"{self.database}.{name}"


def clickhouse_type(name: str) -> Type:
    """Return what is known of a ClickHouse column type."""
    inner = name.removeprefix("LowCardinality(").removesuffix(")") if "LowC" in name else name
    nullable = inner.startswith("Nullable(")
    if nullable:
        inner = inner.removeprefix("Nullable(").removesuffix(")")
    if inner == "String":
        kind = STRING
    elif inner == "Bool":
        kind = BOOL
    elif inner.startswith("Float"):
        kind = FLOAT
    elif inner.startswith(("Int", "UInt")):
        kind = INT
    elif inner.startswith("DateTime"):
        kind = DATETIME
    else:
        return ANY
    return kind.null(nullable)
