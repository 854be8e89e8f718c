"""What the compiler knows of an expression's type: enough for nulls and comparisons, no more.

``ANY`` means "not known"; such an expression is treated as possibly null.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = [
    "ANY",
    "ARRAY",
    "BOOL",
    "DATE",
    "DATETIME",
    "FLOAT",
    "INT",
    "INTERVAL",
    "MAP",
    "NULL",
    "STRING",
    "TUPLE",
    "UUID_",
    "Type",
    "common",
]


@dataclass(frozen=True, slots=True)
class Type:
    """A kind of value and whether it can be NULL; ``item`` is the kind inside an array.

    ``document`` names a JSON object held as text (``event`` or ``person``), whose keys are
    properties with known types; ``text`` tells that it is a property without another type, which
    may stand where PostHog would take a boolean or a number.
    """

    kind: str
    nullable: bool = False
    item: Type | None = None
    document: str | None = None
    text: bool = False

    def null(self, nullable: bool = True) -> Type:
        """Return the same kind with this nullability."""
        return self if self.nullable == nullable else replace(self, nullable=nullable)

    @property
    def numeric(self) -> bool:
        """Tell whether it is a number."""
        return self.kind in ("int", "float")

    @property
    def temporal(self) -> bool:
        """Tell whether it is a date or a time."""
        return self.kind in ("date", "datetime")


ANY = Type("any", nullable=True)
NULL = Type("null", nullable=True)
INT = Type("int")
FLOAT = Type("float")
BOOL = Type("bool")
STRING = Type("string")
DATE = Type("date")
DATETIME = Type("datetime")
UUID_ = Type("uuid")
ARRAY = Type("array")
TUPLE = Type("tuple")
MAP = Type("map")
INTERVAL = Type("interval")


def common(types: list[Type]) -> Type:
    """Return the type that values of all these types have together."""
    known = [kind for kind in types if kind.kind != "null"]
    nullable = any(kind.nullable for kind in types)
    if not known:
        return NULL
    first = known[0]
    if all(kind.kind == first.kind for kind in known):
        return first.null(nullable)
    if all(kind.numeric for kind in known):
        return FLOAT.null(nullable)
    if all(kind.temporal for kind in known):
        return DATETIME.null(nullable)
    return ANY
