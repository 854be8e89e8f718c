"""What a management body may say: a type, a length and a choice for each field, PostHog's refusals.

Must never let a value through that the document would not give back unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nightpane.server.rest import invalid

__all__ = ["Field", "accepted", "is_true", "moment", "now", "parsed", "tags", "text_of"]

_NAMES = {str: "string", bool: "boolean", int: "integer", list: "list", dict: "dictionary"}
_LONGEST_TAG = 255
_MOST_TAGS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field. ``choices`` are all it may be; ``read`` changes what was given, or refuses it."""

    kind: type[Any]
    default: Any = None
    nullable: bool = False
    max_length: int | None = None
    choices: tuple[Any, ...] = ()
    read: Callable[[str, Any], Any] | None = None

    def accept(self, name: str, value: Any) -> Any:
        """Return a field's value as it is kept. Raises ApiRefusal (400)."""
        if value is None:
            if self.nullable:
                return None
            raise invalid(name, "This field may not be null.", code="null")
        if not isinstance(value, self.kind) or (self.kind is int and isinstance(value, bool)):
            raise invalid(name, f"Not a valid {_NAMES[self.kind]}.", code="invalid")
        if self.choices and value not in self.choices:
            raise invalid(name, f'"{value}" is not a valid choice.', code="invalid_choice")
        if self.max_length is not None and len(value) > self.max_length:
            detail = f"Ensure this field has no more than {self.max_length} characters."
            raise invalid(name, detail, code="max_length")
        return value if self.read is None else self.read(name, value)


def accepted(fields: Mapping[str, Field], body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body sets; what it may not set is passed over. Raises ApiRefusal (400)."""
    return {name: one.accept(name, body[name]) for name, one in fields.items() if name in body}


def tags(name: str, value: list[Any]) -> list[str]:
    """Return a list of tags as it is kept: trimmed, lower case, each once, sorted.

    Raises ApiRefusal (400).
    """
    if not all(isinstance(one, str) and 0 < len(one.strip()) <= _LONGEST_TAG for one in value):
        raise invalid(name, f"A tag is a text of 1 to {_LONGEST_TAG} characters.", code="invalid")
    if len(value) > _MOST_TAGS:
        raise invalid(name, f"Ensure this field has no more than {_MOST_TAGS} elements.")
    return sorted({one.strip().lower() for one in value})


def moment(name: str, value: str) -> str:
    """Return a time as it is kept: ISO 8601, UTC, with a Z. Raises ApiRefusal (400)."""
    return text_of(parsed(name, value))


def parsed(name: str, value: str) -> datetime:
    """Return an ISO 8601 time; without a zone it is UTC. Raises ApiRefusal (400)."""
    try:
        at = datetime.fromisoformat(value)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        detail = "Datetime has wrong format. Use ISO 8601, such as 2026-03-08T02:30:00Z."
        raise invalid(name, detail, code="invalid") from error


def text_of(at: datetime) -> str:
    """Return a time as PostHog writes it."""
    return at.isoformat().replace("+00:00", "Z")


def now() -> str:
    """Return this moment as PostHog writes it."""
    return text_of(datetime.now(UTC))


def is_true(text: str) -> bool:
    """Return what a word in an address means."""
    return text.lower() in ("true", "1", "yes", "t", "y")
