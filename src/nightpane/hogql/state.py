"""What one compilation carries along: its settings, its fresh names, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nightpane.errors import HogQLError
from nightpane.hogql.layout import Layout
from nightpane.hogql.nodes import CTE
from nightpane.hogql.types import Type

if TYPE_CHECKING:
    from nightpane.hogql.scope import Scope

__all__ = ["Cx", "Expr", "State"]

_MOST_SOURCES = 1000


@dataclass(frozen=True, slots=True)
class Expr:
    """A translated expression: its ClickHouse text and what is known of it.

    ``raw`` is the untyped text of a property before its definition is applied; ``aggregate`` names
    the aggregate function inside, if any; ``text`` marks a property without a definition of a type.
    """

    sql: str
    type: Type
    aggregate: str | None = None
    raw: str | None = None
    text: bool = False


@dataclass(slots=True)
class State:
    """The settings of a compilation and the counter of its internal names."""

    layout: Layout
    property_types: Mapping[str, str]
    timezone: str
    source: str
    max_rows: int
    person_overrides: bool = False
    tables: set[str] = field(default_factory=set)
    prefix: str = "_t"
    count: int = 0

    def __post_init__(self) -> None:
        # No name in the query can meet an internal one.
        while self.prefix in self.source:
            self.prefix += "_"

    def fresh(self) -> str:
        """Return a name used nowhere else in this query. Raises HogQLError when there are too many.

        A table expression is written out wherever it is used, so a few that use each other twice
        could otherwise grow without bound.
        """
        self.count += 1
        if self.count > _MOST_SOURCES:
            raise HogQLError(f"the query reads from more than {_MOST_SOURCES:,} tables")
        return f"{self.prefix}{self.count}"


@dataclass(frozen=True, slots=True)
class Cx:
    """Where the translator stands.

    ``condition`` tells that NULL counts as false here, so a comparison needs no guard against it;
    ``join`` that this is a join's condition, where PostHog adds none; ``aggregate`` names the
    aggregate function around, if any.
    """

    state: State
    scope: Scope
    ctes: Mapping[str, tuple[CTE, Any]] = field(default_factory=dict)
    condition: bool = False
    join: bool = False
    aggregate: str | None = None
    place: str = "select"
    depth: int = 0

    def value(self) -> Cx:
        """Return the same place, where NULL must stay what PostHog makes of it."""
        return replace(self, condition=False) if self.condition else self

    def test(self) -> Cx:
        """Return the same place as a condition: NULL is false."""
        return self if self.condition else replace(self, condition=True)
